"""Attacks by mass: listings, heads and links that are worth nothing, for as long as they are taken."""

from __future__ import annotations

import itertools
import os

from betar_tui.ipld import cid
from tests.attack.attacker import Attacker
from tests.attack.deltas import block, element, filled, listing

INLINE = 15_800
"""Bytes of elements of a block that fits into a broadcast."""


async def large_listings(attacker: Attacker) -> None:
    """Twice a second a delta with 28 listings of 64 KiB, each with 8,000 fields of its own."""
    numbers = itertools.count()
    links: tuple[bytes, ...] = ()
    for height in itertools.count(1):
        if attacker.left <= 0:
            return
        made = block(filled((element(*_large(next(numbers))) for _ in range(100)), 1_900_000), links, height)
        links = (cid.of(made),)
        await attacker.announce(made, inline=False)
        await attacker.rest(0.5)


async def small_listings(attacker: Attacker) -> None:
    """50,000 small listings, some 60 in each broadcast."""
    numbers = itertools.count()
    links: tuple[bytes, ...] = ()
    for height in itertools.count(1):
        if attacker.left <= 0:
            return
        made = block(filled((element(*listing(next(numbers))) for _ in range(1000)), INLINE), links, height)
        links = (cid.of(made),)
        await attacker.announce(made, inline=True)
        await attacker.rest(0.02)
        if next(numbers) > 50_000:
            return


async def invented_links(attacker: Attacker) -> None:
    """Deltas with 4,000 links each to blocks that nobody has."""
    for number in itertools.count():
        if attacker.left <= 0:
            return
        links = [cid.DAG_PB + os.urandom(32) for _ in range(4000)]
        await attacker.announce(block(element(b"/w/%d" % number), links, 10), inline=False)
        await attacker.rest(0.05)


async def invented_heads(attacker: Attacker) -> None:
    """Roots, 400 in each broadcast: every one is a head, since nothing links to it."""
    numbers = itertools.count()
    while attacker.left > 0:
        await attacker.announce(*(block(element(b"/h/%d" % next(numbers))) for _ in range(400)), inline=True)
        await attacker.rest(0.15)


def _large(number: int) -> tuple[bytes, bytes]:
    fields: dict[str, object] = {f"{number:x}-{each:x}": 0 if each % 2 else [] for each in range(4000)}
    return listing(number, **fields, rest="x" * 6000)
