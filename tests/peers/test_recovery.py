"""Peers that freeze, are killed, and are connected twice: as processes, over loopback, without any discovery."""

import json
import os
import signal

import pytest

from betar_tui.market.marketplace import ListingDraft
from betar_tui.store.database import open_store
from tests.peers.harness import Served, eventually, level, served


@pytest.mark.skipif(os.name != "posix", reason="freezing a process needs SIGSTOP")
async def test_a_peer_that_was_dialled_is_frozen_then_killed(tmp_path):
    async with served(tmp_path / "b") as b:
        async with served(tmp_path / "a") as a:
            await b.market.connect(a.address)
            await level(a, b, "before")

            a.process.send_signal(signal.SIGSTOP)
            await eventually(lambda: _alone(b), what="the silence is noticed by use", within=15)
            await b.market.publish([ListingDraft("meanwhile", 1)])
            a.process.send_signal(signal.SIGCONT)
            await level(a, b, "continued", within=10)

            a.process.kill()
            await a.process.wait()
        # It listens on another port now: only what it has learnt of the peer that dialled it brings it back.
        async with served(tmp_path / "a") as a:
            await level(a, b, "restarted", within=20)


async def _alone(peer: Served) -> bool:
    return not await peer.market.peers()


async def test_connect_is_honest(tmp_path):
    async with served(tmp_path / "a") as a, served(tmp_path / "b") as b, served(tmp_path / "c") as c:
        first = await a.run("connect", b.address)
        assert first.stdout.decode().startswith(f"connected to {b.peer_id}")
        again = await a.run("connect", b.address)
        assert again.stdout.decode().startswith(f"already connected to {b.peer_id}")
        from_the_other_side = json.loads((await b.run("connect", a.address, "--json")).stdout)
        assert from_the_other_side["already_connected"] is True
        assert from_the_other_side["peer_id"] == a.peer_id

        wrong = c.address.replace(c.peer_id, b.peer_id)
        refused = await a.run("connect", wrong, check=False)
        assert refused.returncode == 1
        assert "already connected, but not at this address" in refused.stderr.decode()
        a.process.terminate()
        await a.process.wait()
    (row,) = _stored(a)
    assert row.addrs == (b.address,)
    assert row.reached


async def test_members_are_remembered_whichever_side_dialled(tmp_path):
    async with served(tmp_path / "a") as a, served(tmp_path / "b") as b:
        await a.market.connect(b.address)
        await level(a, b, "met")
        for one, other, reached in ((a, b, True), (b, a, False)):
            one.process.terminate()
            await one.process.wait()
            (row,) = _stored(one)
            assert (row.peer_id, row.addrs, row.reached) == (other.peer_id, (other.address,), reached)


def _stored(peer):
    store = open_store(peer.directory / "replica.db")
    try:
        return store.peers()
    finally:
        store.close()
