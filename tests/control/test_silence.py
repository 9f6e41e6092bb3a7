"""A peer that is stopped, as by Ctrl+Z in its window, is not waited for without end."""

import json
import os
import signal

import pytest
import trio

from betar_tui.control import patience
from betar_tui.control.client import ControlClient
from betar_tui.errors import UnansweredError
from tests.peers.harness import served


async def test_a_stopped_peer_is_named_and_found_again(tmp_path):
    async with served(tmp_path) as peer:
        os.kill(peer.process.pid, signal.SIGSTOP)
        with (
            trio.fail_after(30),
            pytest.raises(UnansweredError, match=f"does not answer: process {peer.process.pid} is stopped"),
        ):
            await peer.market.status()
        with trio.fail_after(30), pytest.raises(UnansweredError):
            async with peer.market.events():
                pass
        os.kill(peer.process.pid, signal.SIGCONT)
        assert (await peer.market.status()).peer_id == peer.peer_id


LARGE = "x" * (4 << 20)
"""More than a socket holds."""


async def listening(path):
    listener = trio.socket.socket(trio.socket.AF_UNIX)
    await listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(8)
    return listener


async def test_a_peer_that_does_not_read_is_asked_whether_it_is_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "ANSWER_WITHIN", 0.2)
    monkeypatch.setattr(patience, "ALIVE_WITHIN", 0.2)
    with await listening(tmp_path / "control.sock"), trio.fail_after(30), pytest.raises(UnansweredError):
        await ControlClient(tmp_path / "control.sock").mute(LARGE)


async def test_a_peer_that_reads_late_gets_the_whole_request(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "ANSWER_WITHIN", 0.2)
    got = bytearray()

    async def peer(listener):
        slow, _ = await listener.accept()
        alive, _ = await listener.accept()  # the client asks on a second connection
        with slow, alive:
            await alive.send(b"{}")
            while not got.endswith(b"\n"):
                got.extend(await slow.recv(1 << 20))
            await slow.send(b'{"id": 1, "result": "12D3"}\n')

    with await listening(tmp_path / "control.sock") as listener, trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer, listener)
            assert await ControlClient(tmp_path / "control.sock").mute(LARGE) == "12D3"
    assert LARGE in json.loads(got)["params"].values()
