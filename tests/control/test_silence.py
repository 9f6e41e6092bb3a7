"""A peer that is stopped, as by Ctrl+Z in its window, is not waited for without end."""

import os
import signal

import pytest
import trio

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
