"""A temporary directory that does not outlive those who use it."""

import os
import signal
import subprocess
import sys

import pytest

from betar_tui.files.temporary import remove_leftover, temporary_directory

HOLD = """
import sys
from betar_tui.files.temporary import temporary_directory
with temporary_directory("held-") as (path, lock):
    (path / "content").write_text("x")
    print(path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def names(place):
    return {each.name for each in place.iterdir()}


def test_it_is_private_and_removed_at_the_end(place):
    with temporary_directory("held-") as (path, lock):
        assert path.stat().st_mode & 0o777 == 0o700
        assert not os.get_inheritable(lock)
        (path / "content").mkdir()
    assert not names(place)


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_stays(place):
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        held = os.path.basename(process.stdout.readline().decode().strip())
        with temporary_directory("held-") as (path, _):
            assert names(place) == {held, path.name}
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        assert names(place) == {held}
        with temporary_directory("held-") as (path, _):
            assert names(place) == {path.name}


def test_nothing_else_is_removed(place):
    (place / "held-directory").mkdir()
    (place / "held-file").write_text("mine")
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "in-use").write_text("")
    os.symlink(place / "elsewhere", place / "held-link")
    with temporary_directory("held-"):
        pass
    remove_leftover(place / "nothing")
    assert names(place) == {"held-directory", "held-file", "elsewhere", "held-link"}
