"""Sockets whose paths are longer than an address."""

import os
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from betar_tui.files import sockets
from betar_tui.files.rules import RefusedError
from betar_tui.files.sockets import MAX_ADDRESS, bind_socket, connect_socket, remove_socket, short_way


@pytest.fixture(params=["of the open directory", "of a link"])
def way(request, tmp_path, monkeypatch):
    if request.param == "of a link":
        monkeypatch.setattr(sockets, "_OPEN_FILES", tmp_path / "nothing")
        monkeypatch.setattr(sockets, "_WAYS", Path("/tmp") / f"way-{os.getpid()}")
    yield request.param
    for each in (Path("/tmp") / f"way-{os.getpid()}").glob("*/*"):
        each.unlink()


def deep(directory: Path) -> Path:
    return directory / ("d" * 100) / ("é" * 60) / "control.sock"


def test_a_path_of_any_length_is_listened_on_and_reached(way, tmp_path):
    path = deep(tmp_path)
    for _ in range(2):  # the second time the socket of before is replaced
        with closing(socket.socket(socket.AF_UNIX)) as listener, closing(socket.socket(socket.AF_UNIX)) as client:
            bind_socket(listener, path)
            listener.listen(1)
            assert stat.S_ISSOCK(path.lstat().st_mode)
            assert stat.S_IMODE(path.lstat().st_mode) == 0o600
            connect_socket(client, path)
            client.sendall(b"x")
            assert listener.accept()[0].recv(1) == b"x"
    remove_socket(path)
    assert not path.exists()


def test_the_way_fits_and_follows_from_the_path_alone(way, tmp_path, monkeypatch):
    path = deep(tmp_path)
    path.parent.mkdir(parents=True)
    found = []
    for place in ("one", "other"):
        monkeypatch.setenv("TMPDIR", str(tmp_path / place))
        with short_way(path) as short:
            assert len(os.fsencode(short)) <= MAX_ADDRESS
            assert os.path.samefile(os.path.dirname(short), path.parent)
            found.append(short)
    assert found[0] == found[1]
    with short_way(tmp_path / "s") as short:
        assert short == str(tmp_path / "s")


def test_a_place_for_links_that_others_can_write_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sockets, "_OPEN_FILES", tmp_path / "nothing")
    monkeypatch.setattr(sockets, "_WAYS", tmp_path)
    planted = tmp_path / f"betar-tui-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    path = deep(tmp_path)
    path.parent.mkdir(parents=True)
    with pytest.raises(RefusedError, match="everybody may write to it"), short_way(path):
        pass
