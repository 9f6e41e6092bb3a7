"""Files that are read, replaced and refused, without a process."""

import errno
import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.config import load_config
from betar_tui.errors import ConfigError
from betar_tui.files.plain import read
from betar_tui.files.replacing import Replacement, create_secret, replace, rotate
from betar_tui.files.rules import RefusedError, explain, follow


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_file_is_read_up_to_its_limit(size: int, limit: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(bytes(size))
        if size <= limit:
            assert read(path, limit) == bytes(size)
        else:
            with pytest.raises(RefusedError, match="is larger than"):
                read(path, limit)


@given(st.integers(0, 45))
def test_links_are_followed_to_their_end(count: int) -> None:
    with TemporaryDirectory() as folder:
        places = [Path(folder, str(number)) for number in range(count + 1)]
        places[-1].touch()
        for place, following in zip(places, places[1:], strict=False):
            place.symlink_to(following.name)
        if count < 40:
            assert follow(places[0]) == places[-1]
        else:
            with pytest.raises(OSError, match="Too many levels"):
                follow(places[0])


@given(st.one_of(st.none(), st.binary(max_size=30)), st.binary(max_size=30), st.sampled_from([0o600, 0o644, 0o640]))
def test_a_replaced_file_has_the_new_content_and_the_old_mode(old: bytes | None, new: bytes, mode: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "file")
        if old is not None:
            path.write_bytes(old)
            path.chmod(mode)
        replace(path, new)
        assert path.read_bytes() == new
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if old is None else mode)
        assert os.listdir(folder) == ["file"]


@pytest.mark.parametrize("name", ["fsync", "fchmod", "replace"])
def test_what_cannot_be_completed_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(OSError, match="No space") as caught:
        replace(path, b"new")
    assert (
        explain(caught.value, "cannot write x", "") == "cannot write x: the disk is full; make room on it and try again"
    )
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["file"])


def test_what_has_come_into_the_place_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    new = Replacement(tmp_path / "file")
    (tmp_path / "file").mkdir()
    with pytest.raises(RefusedError, match="it is a directory"):
        new.commit()
    assert os.listdir(tmp_path) == ["file"]


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    create_secret(tmp_path / "key", b"one")
    with pytest.raises(FileExistsError):
        create_secret(tmp_path / "key", b"two")
    assert (tmp_path / "key").read_bytes() == b"one"


def test_a_file_system_without_permissions_gets_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.lstat
    found = (0o100777, *real(__file__)[1:])
    monkeypatch.setattr(os, "lstat", lambda path: os.stat_result(found) if os.path.exists(path) else real(path))
    with pytest.raises(RefusedError, match="keeps no permissions"):
        create_secret(tmp_path / "key", b"secret")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("in_the_way", ["directory", "link"])
def test_a_log_is_not_renamed_over_something_else(tmp_path: Path, in_the_way: str) -> None:
    (tmp_path / "log").write_text("lines")
    (tmp_path / "victim").write_text("mine")
    if in_the_way == "directory":
        (tmp_path / "log.1").mkdir()
    else:
        (tmp_path / "log.1").symlink_to("victim")
    with pytest.raises(RefusedError, match=f"it is a {in_the_way}"):
        rotate(tmp_path / "log", tmp_path / "log.1")
    assert ((tmp_path / "log").read_text(), (tmp_path / "victim").read_text()) == ("lines", "mine")


PIECES = st.sampled_from(
    ["a", "listen", "interface", "log_level", "log_file", "refresh_interval", ".", "=", "[", "]", "{", "}", '"', "'", '"""',
     "\n", " ", ",", "#", "\\u0000", "\\", "1", "0x", "f" * 5000, "9" * 5000, "1979-05-27", "inf", "-", "true", "é", "\x00",
     "~x"]
)  # fmt: skip


@given(st.one_of(st.lists(PIECES, max_size=60).map("".join).map(str.encode), st.binary(max_size=60)))
def test_any_settings_are_taken_or_refused_in_one_short_line(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        Path(folder, "config.toml").write_bytes(content)
        try:
            load_config(Path(folder), {})
        except ConfigError as error:
            assert len(str(error).replace(folder, "").splitlines()) == 1
            assert len(str(error)) < 400
