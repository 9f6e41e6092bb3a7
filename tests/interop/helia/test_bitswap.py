"""Blocks between ours and Helia: sixty each way, and a chain of three hundred.

Helia ends its side of every stream that we open at once. Taken for the loss of the stream, that lets 2 of 60 blocks
through in a minute."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from betar_tui.ipld.cid import from_str, to_str
from betar_tui.p2p.types import Misbehaviour
from tests.interop.helia.blocks import connected, shelve_chain, walk
from tests.interop.helia.driver import HeliaError, install, why_not

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


@pytest.mark.timeout(400)  # the first run installs the packages
async def test_sixty_blocks_each_way(packages: Path) -> None:
    async with connected(packages) as (ours, helia):
        cids = [ours.shelf.put(os.urandom(600)) for _ in range(BLOCKS)]
        assert await helia.fetch([to_str(cid) for cid in cids]) < SECONDS
        theirs = [os.urandom(600) for _ in range(BLOCKS)]
        put = await helia.put(*theirs)
        with trio.fail_after(SECONDS):
            got = await ours.fetch([from_str(each) for each in put], helia.peer_id)
        assert sorted(got.values()) == sorted(theirs)
        assert ours.of(Misbehaviour) == []


async def test_a_chain_of_three_hundred_each_way(packages: Path) -> None:
    async with connected(packages) as (ours, helia):
        assert await helia.walk(to_str(shelve_chain(ours, CHAIN)), CHAIN) < SECONDS
        name = await helia.put_chain(CHAIN)
        with trio.fail_after(SECONDS):
            await walk(ours, from_str(name), CHAIN, helia.peer_id)
        assert ours.of(Misbehaviour) == []
