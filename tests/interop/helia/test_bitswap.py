"""Blocks between ours and Helia: sixty each way, and a chain of three hundred.

Helia ends its side of every stream that we open at once. Taken for the loss of the stream, that lets 2 of 60 blocks
through in a minute."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from betar_tui.ipld.cid import from_str, to_str
from betar_tui.p2p.types import Misbehaviour
from tests.interop.helia.driver import HeliaError, HeliaPeer, install, open_helia, why_not
from tests.p2p.peers import Peer, peer, until

REQUIRE = os.environ.get("BETAR_TUI_REQUIRE_HELIA") == "1"
"""Whether a machine that cannot run the JavaScript peer fails these tests instead of skipping them."""
BLOCKS, CHAIN = 60, 300
SECONDS = 40.0
"""Longest wait for either. On an idle machine it takes less than 5 s: a block of a chain costs 5 ms of CPU time here and
8 ms there, since Helia opens a stream for each message."""


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of the installed peer; skips, with the reason, where it cannot be had."""
    refuse = pytest.fail if REQUIRE else pytest.skip
    if reason := why_not():
        refuse(reason)
    try:
        return install()
    except HeliaError as error:
        refuse(str(error))
        raise


@asynccontextmanager
async def connected(packages: Path) -> AsyncIterator[tuple[Peer, HeliaPeer]]:
    async with open_helia(packages) as helia, peer("python") as ours:
        await ours.network.connect(helia.address)
        await until(lambda: helia.peer_id in ours.network._bitswap._links)
        yield ours, helia


@pytest.mark.timeout(400)  # the first run installs the packages
async def test_sixty_blocks_each_way(packages: Path) -> None:
    async with connected(packages) as (ours, helia):
        cids = [ours.shelf.put(os.urandom(600)) for _ in range(BLOCKS)]
        assert await helia.fetch([to_str(cid) for cid in cids]) < SECONDS
        theirs = [os.urandom(600) for _ in range(BLOCKS)]
        put = await helia.request("put", blocks=[base64.b64encode(each).decode() for each in theirs])
        with trio.fail_after(SECONDS):
            got = await ours.fetch([from_str(each) for each in put["cids"]], helia.peer_id)
        assert sorted(got.values()) == sorted(theirs)
        assert ours.of(Misbehaviour) == []


async def test_a_chain_of_three_hundred_each_way(packages: Path) -> None:
    async with connected(packages) as (ours, helia):
        link = b""
        for _ in range(CHAIN):
            link = ours.shelf.put(link + os.urandom(100) if link else os.urandom(10))
        walked = await helia.request("walk", cid=to_str(link))
        assert walked["count"] == CHAIN
        assert walked["ms"] < SECONDS * 1000
        name = ""
        for _ in range(CHAIN):
            data = from_str(name) + os.urandom(100) if name else os.urandom(10)
            (name,) = (await helia.request("put", blocks=[base64.b64encode(data).decode()]))["cids"]
        with trio.fail_after(SECONDS):
            cid = from_str(name)
            for _ in range(CHAIN):
                cid = (await ours.fetch([cid], helia.peer_id))[cid][:36]
        assert ours.of(Misbehaviour) == []
