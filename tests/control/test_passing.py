"""Open files that are handed over with a request: used by it, closed after it, and no more of them than are wanted."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from betar_tui.control.client import ControlClient
from betar_tui.control.command import CommandClient
from betar_tui.control.server import serve_control
from betar_tui.control.wire import lines
from betar_tui.errors import ArchiveError, ControlError
from betar_tui.files.passing import ancillary
from betar_tui.market.marketplace import Exported, Imported
from tests.peers.harness import eventually
from tests.tui.fake import FakeMarketplace


class Archives(FakeMarketplace):
    """It writes a word to what it exports, and reads what it imports."""

    def __init__(self) -> None:
        super().__init__([])
        self.read = b""

    async def export_car(self, path: str, heads: Sequence[str] = (), descriptor: int | None = None) -> Exported:
        assert descriptor is not None
        os.write(descriptor, b"exported")
        if heads:
            raise ArchiveError(f"cannot write {path}: no such head; try another")
        return Exported(path, (), 1, 8)

    async def import_car(self, path: str, descriptor: int | None = None) -> Imported:
        assert descriptor is not None
        self.read = os.pread(descriptor, 100, 0)
        return Imported(path, 1, 0, 0, 0)


@asynccontextmanager
async def served(tmp_path: Path):
    async with trio.open_nursery() as nursery:
        market = Archives()
        await nursery.start(serve_control, market, tmp_path / "control.sock")
        yield market
        nursery.cancel_scope.cancel()


def open_files() -> set[str]:
    """What is open in this process, but for what the listing itself opens."""
    return {
        os.readlink(f"/proc/self/fd/{each}")
        for each in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{each}")
    }


async def test_both_clients_hand_files_over_and_the_server_opens_none(tmp_path):
    async with served(tmp_path) as market:
        client = ControlClient(tmp_path / "control.sock")
        with (tmp_path / "a.car").open("w+b") as file:
            assert (await client.export_car("a", (), file.fileno())).path == "a"
            assert (tmp_path / "a.car").read_bytes() == b"exported"
            await client.import_car("a", file.fileno())
            assert market.read == b"exported"
            with pytest.raises(ArchiveError, match="no such head"):
                await client.export_car("a", ["x"], file.fileno())
        for ask in (client.export_car, client.import_car):
            with pytest.raises(ControlError, match="opens no files for others"):
                await ask(str(tmp_path / "a.car"))

        def by_command() -> None:
            command = CommandClient(tmp_path / "control.sock")
            with (tmp_path / "e.car").open("wb") as file:
                trio.run(lambda: command.export_car("e", (), file.fileno()))

        await trio.to_thread.run_sync(by_command)
        assert (tmp_path / "e.car").read_bytes() == b"exported"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.car", "e.car"]


async def test_a_file_that_a_call_does_not_take_is_not_left_for_the_next(tmp_path):
    (tmp_path / "given").touch()
    async with served(tmp_path), await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        with (tmp_path / "given").open() as given:
            await stream.socket.sendmsg([b'{"id": 1, "method": "nonsense"}\n'], ancillary(given.fileno()))
        answers = lines(stream)
        assert "knows no call" in (await anext(answers))["error"]["message"]
        await stream.send_all(b'{"id": 2, "method": "import_car", "params": {"path": "x"}}\n')
        assert "none was handed over" in (await anext(answers))["error"]["message"]
        if os.path.isdir("/proc/self/fd"):
            assert str(tmp_path / "given") not in open_files()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not list what is open")
async def test_files_that_nothing_asked_for_are_closed(tmp_path):
    (tmp_path / "given").touch()
    async with served(tmp_path):
        with (tmp_path / "given").open() as given:
            for request in (b"", b"junk\n", json.dumps({"id": 1, "method": "heads"}).encode() + b"\n"):
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(str(tmp_path / "control.sock"))
                    for _ in range(5):
                        sock.sendmsg([b" "], ancillary(given.fileno()))
                    sock.sendall(request)
                    await trio.testing.wait_all_tasks_blocked(0.01)
        await eventually(lambda: str(tmp_path / "given") not in open_files(), what="the files closed")
