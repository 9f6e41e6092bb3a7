"""Blocks and chains of blocks between a network of ours and Helia; see `peer.js` for the form of a chain."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.interop.helia.driver import HeliaPeer, open_helia
from tests.p2p.peers import Peer, peer, until

LINK = 36
"""Bytes of a binary CID."""


@asynccontextmanager
async def connected(packages: Path) -> AsyncIterator[tuple[Peer, HeliaPeer]]:
    async with open_helia(packages) as helia, peer("python") as ours:
        await ours.network.connect(helia.address)
        await until(lambda: helia.peer_id in ours.network._bitswap._links)
        yield ours, helia


def shelve_chain(ours: Peer, length: int) -> bytes:
    """Put a chain of blocks on a shelf; returns the CID of the last."""
    link = b""
    for _ in range(length):
        link = ours.shelf.put(link + os.urandom(100) if link else os.urandom(10))
    return link


async def walk(ours: Peer, cid: bytes, length: int, peer_id: str) -> None:
    """Fetch a chain, a block after the other."""
    for _ in range(length):
        cid = (await ours.fetch([cid], peer_id))[cid][:LINK]
