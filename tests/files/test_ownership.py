"""Who else can write, judged by owner, mode and accounts."""

import grp
import os
import pwd
import struct
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.files.directories import judge_directory
from betar_tui.files.ownership import is_open_to_others, is_shared, other_writers
from betar_tui.files.rules import RefusedError

ME, FRIEND, STRANGER = 1000, 1001, 1002
OWN_GROUP, COMMON, LISTED, VOLUME = 1000, 100, 50, 70_000
"""A group of my own, the primary one of others, one that lists a member, and one of no account."""
ACCOUNTS = {ME: OWN_GROUP, FRIEND: COMMON, STRANGER: STRANGER, 0: 0}
GROUPS = {OWN_GROUP: ["me"], COMMON: [], LISTED: ["user1001"], STRANGER: [], 0: ["me"]}
SHARED_GROUPS = {COMMON, LISTED, STRANGER}


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    def group(gid: int) -> SimpleNamespace:
        return SimpleNamespace(gr_name=f"group{gid}", gr_mem=GROUPS[gid])

    users = [
        SimpleNamespace(pw_uid=uid, pw_gid=gid, pw_name="me" if uid == ME else f"user{uid}")
        for uid, gid in ACCOUNTS.items()
    ]
    monkeypatch.setattr(os, "geteuid", lambda: ME)
    monkeypatch.setattr(grp, "getgrgid", group)
    monkeypatch.setattr(pwd, "getpwall", lambda: users)


def found(mode: int, uid: int, gid: int) -> os.stat_result:
    return os.stat_result((mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


MODES = st.integers(0, 0o7777)
OWNERS = st.sampled_from([*ACCOUNTS, 4711])
GIDS = st.sampled_from([*GROUPS, VOLUME])


@given(MODES, OWNERS, GIDS)
def test_who_can_write_to_a_directory(mode: int, uid: int, gid: int) -> None:
    directory = found(mode, uid, gid)
    by_others = bool(mode & 0o002) or bool(mode & 0o020 and gid in SHARED_GROUPS)
    foreign = uid not in (0, ME)
    assert bool(other_writers(directory)) == by_others
    assert is_shared(directory) == (by_others or foreign)
    assert is_open_to_others(directory) == (foreign or (by_others and not mode & 0o1000))


def test_they_are_named() -> None:
    assert other_writers(found(0o777, ME, OWN_GROUP)) == "everybody"
    assert other_writers(found(0o770, ME, COMMON)) == "the group group100"
    assert other_writers(found(0o2770, 0, VOLUME)) == ""


def access(*entries: tuple[int, int, int]) -> bytes:
    """An access list as Linux stores it: tag, permissions, number of user or group."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFF_FFFF
OWNER, USER, OWNING, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32


@pytest.mark.parametrize(
    ("entries", "who"),
    [
        ([(USER, 6, FRIEND)], "user 1001"),
        ([(USER, 4, FRIEND)], ""),
        ([(USER, 6, ME), (USER, 7, 0)], ""),
        ([(GROUP, 7, COMMON)], "the group group100"),
        ([(GROUP, 7, OWN_GROUP), (GROUP, 7, VOLUME)], ""),
    ],
)
def test_an_access_list_says_who_of_those_that_the_mode_leaves_open(entries, who) -> None:
    whole = access((OWNER, 7, NOBODY), (OWNING, 5, NOBODY), *entries, (MASK, 7, NOBODY), (OTHER, 0, NOBODY))
    assert other_writers(found(0o770, ME, COMMON), whole) == who
    assert is_open_to_others(found(0o1770, ME, COMMON), whole) is False
    assert other_writers(found(0o750, ME, COMMON), whole) == "", "the mask forbids it"


def test_a_directory_whose_list_lets_another_user_write_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.undo()  # the accounts of this machine
    whole = access((OWNER, 7, NOBODY), (USER, 7, 4711), (OWNING, 0, NOBODY), (MASK, 7, NOBODY), (OTHER, 0, NOBODY))
    try:
        os.setxattr(tmp_path, "system.posix_acl_access", whole)
    except (OSError, AttributeError):
        pytest.skip("no access lists on this file system")
    with pytest.raises(RefusedError, match="user 4711 may write to it"):
        judge_directory(tmp_path)
