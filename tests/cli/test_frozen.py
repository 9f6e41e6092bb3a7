"""A peer that answers nothing is named, soon; one that is only slow is waited for."""

from __future__ import annotations

import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import trio

from betar_tui.control import patience
from betar_tui.control.client import ControlClient
from betar_tui.control.command import CommandClient
from betar_tui.control.server import serve_control
from betar_tui.errors import ControlError
from tests.cli.conftest import running
from tests.tui.fake import FakeMarketplace, listing

COMMANDS = (
    ["list"], ["show", "x"], ["publish", "--name", "x", "--price", "1"], ["update", "x", "--price", "2"], ["delist", "x"],
    ["watch"], ["status"], ["address"], ["peers"], ["connect", "/ip4/127.0.0.1/tcp/1/p2p/x"], ["block", "x"],
    ["unblock", "x"], ["blocked"], ["mute", "x"], ["unmute", "x"], ["muted"], ["heads"], ["log"], ["export", "-"],
    ["import", "{empty}"], ["doctor"],
)  # fmt: skip


def test_every_command_says_that_the_peer_is_stopped(tmp_path):
    (tmp_path / "empty.car").touch()
    with running(tmp_path / "data") as market:
        pid = market.process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            calls = [[part.format(empty=tmp_path / "empty.car") for part in call] for call in COMMANDS]
            with ThreadPoolExecutor(len(calls)) as pool:
                done = list(pool.map(lambda call: market.run(*call), calls))
        finally:
            os.kill(pid, signal.SIGCONT)
        for call, each in zip(calls, done, strict=True):
            text = each.stderr if call != ["doctor"] else each.stdout
            assert each.returncode == 1, (call, each)
            assert f"does not answer: process {pid} is stopped" in text and f"kill -CONT {pid} wakes it" in text, call
        assert market.run("list").returncode == 0


@pytest.fixture
def hasty(monkeypatch):
    """Clients that ask soon whether a peer is alive; the threads that have asked, in order."""
    asked: list[int] = []
    look = patience.is_stopped

    def counted(pid: int) -> bool:
        asked.append(threading.get_ident())
        return look(pid)

    monkeypatch.setattr(patience, "ANSWER_WITHIN", 0.05)
    monkeypatch.setattr(patience, "ALIVE_WITHIN", 5.0)
    monkeypatch.setattr(patience, "is_stopped", counted)
    return asked


class Slow(FakeMarketplace):
    """It answers when it is let."""

    def __init__(self) -> None:
        super().__init__([listing("slow")])
        self.let = trio.Event()

    async def heads(self):
        await self.let.wait()
        return ()


async def test_a_slow_peer_is_waited_for(tmp_path, hasty):
    market, path = Slow(), tmp_path / "control.sock"
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, market, path)
        answers = []

        async def ask_by_command() -> None:
            answers.append(await trio.to_thread.run_sync(lambda: trio.run(CommandClient(path).heads)))

        async def ask() -> None:
            answers.append(await ControlClient(path).heads())

        nursery.start_soon(ask_by_command)
        nursery.start_soon(ask)
        # Each of the two, in a thread of its own, has asked some times whether the peer is alive.
        while len(set(hasty)) < 2 or min(map(hasty.count, set(hasty))) < 3:
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert answers == []
        market.let.set()
        while len(answers) < 2:
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert answers == [(), ()]
        nursery.cancel_scope.cancel()


def test_a_peer_that_takes_no_connection_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "ANSWER_WITHIN", 0.1)
    monkeypatch.setattr(patience, "ALIVE_WITHIN", 0.1)
    (tmp_path / "lock").write_text("4242\n")
    with socket.socket(socket.AF_UNIX) as peer, socket.socket(socket.AF_UNIX) as first:
        peer.bind(str(tmp_path / "control.sock"))
        peer.listen(0)
        first.connect(str(tmp_path / "control.sock"))  # nobody accepts it: the queue is full
        for ask in (CommandClient(tmp_path / "control.sock").running, lambda: trio.run(running_of(tmp_path))):
            with pytest.raises(ControlError, match="process 4242, does not answer; kill 4242, and start it again"):
                ask()


def running_of(directory):
    return ControlClient(directory / "control.sock").running


def test_a_peer_that_does_not_come_to_an_end_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "ANSWER_WITHIN", 0.05)
    monkeypatch.setattr(patience, "GIVE_UP_AFTER", 0.1)
    path = tmp_path / "control.sock"

    def answer_pings(peer: socket.socket) -> None:
        kept = []
        while True:
            try:
                connection = peer.accept()[0]
            except OSError:
                return
            kept.append(connection)
            if b"ping" in connection.recv(1 << 16):
                connection.sendall(b"{}\n")

    with socket.socket(socket.AF_UNIX) as peer:
        peer.bind(str(path))
        peer.listen()
        thread = threading.Thread(target=answer_pings, args=(peer,), daemon=True)
        thread.start()
        for ask in (CommandClient(path).heads, ControlClient(path).heads):
            with pytest.raises(ControlError, match="has not answered heads for"):
                trio.run(ask)
        peer.shutdown(socket.SHUT_RDWR)
        thread.join(10)
