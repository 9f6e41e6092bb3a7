"""Who else can write, judged by owner, mode and accounts."""

import grp
import os
import pwd
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.files.ownership import is_open_to_others, is_shared, other_writers

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
