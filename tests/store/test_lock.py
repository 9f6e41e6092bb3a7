"""One peer per data directory, by a lock that dies with its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from betar_tui.errors import StoreError, StoreLockedError
from betar_tui.store.lock import DirectoryLock

HOLDER = """
import sys
from pathlib import Path
from betar_tui.store.lock import DirectoryLock
lock = DirectoryLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
lock.release()
"""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    lock = DirectoryLock(folder)
    lock.acquire()
    yield
    lock.release()


def start_holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_with_the_pid_of_the_holder(tmp_path: Path) -> None:
    with start_holder(tmp_path) as process:
        try:
            with pytest.raises(StoreLockedError, match=rf"{tmp_path} is in use by process {process.pid}; ") as caught:
                DirectoryLock(tmp_path).acquire()
            assert caught.value.pid == process.pid
            # Being refused has not spoiled it.
            with pytest.raises(StoreLockedError) as caught:
                DirectoryLock(tmp_path).acquire()
            assert caught.value.pid == process.pid
        finally:
            process.kill()


def test_it_is_free_again_after_kill_9(tmp_path: Path) -> None:
    with start_holder(tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with held(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_it_is_free_again_after_a_clean_end(tmp_path: Path) -> None:
    with start_holder(tmp_path) as process:
        process.communicate("")
    assert process.returncode == 0
    assert (tmp_path / "lock").read_text() == ""
    with held(tmp_path):
        pass


def test_two_in_one_process(tmp_path: Path) -> None:
    one, other = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    one.acquire()
    with pytest.raises(StoreLockedError) as caught:
        other.acquire()
    assert caught.value.pid == os.getpid()
    other.release()
    with pytest.raises(StoreLockedError):
        other.acquire()
    one.release()
    one.release()
    other.acquire()
    other.release()


def test_a_holder_that_has_not_said_its_pid(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / "lock").write_text("?")
        with pytest.raises(StoreLockedError, match="another process") as caught:
            DirectoryLock(tmp_path).acquire()
        assert caught.value.pid == 0


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="check the directory's permissions") as caught:
        DirectoryLock(tmp_path / "none").acquire()
    assert not isinstance(caught.value, StoreLockedError)


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(StoreError, match=r"No locks available; .*local disk") as caught:
        DirectoryLock(tmp_path).acquire()
    assert not isinstance(caught.value, StoreLockedError)


def test_a_full_disk_does_not_prevent_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, data: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", refuse)
    with held(tmp_path), pytest.raises(StoreLockedError, match="another process"):
        DirectoryLock(tmp_path).acquire()


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        with held(tmp_path):
            pass
        child.kill()
