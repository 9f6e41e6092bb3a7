"""A Go peer puts what it has of our listings, without their signatures, as a Go betar's `info` pull does on each connection;
and deletes them."""

from __future__ import annotations

import json
from pathlib import Path

import trio

from betar_tui.market.marketplace import Difference, ListingDraft, Provenance
from betar_tui.replica import keys
from tests.interop.driver import open_gopeer, wait_until
from tests.peers.harness import Served, eventually, served

COUNT = 10


async def judge(reader: Served) -> set[Difference]:
    """All listings are verified, and how the map differs."""
    page = (await reader.market.listings()).listings
    assert len(page) == COUNT
    assert all(each.provenance is Provenance.VERIFIED and each.seller_is_peer for each in page)
    return {each.difference for each in page}


async def test_what_go_puts_again_unsigned_or_deletes_stays_verified_and_is_healed_in_one_delta(
    gopeer_binary: Path, nursery: trio.Nursery, tmp_path: Path
) -> None:
    async with (
        served(tmp_path / "a", "--announce-interval", "5s", "--listing-dialect", "betar-go") as a,
        open_gopeer(nursery, binary=gopeer_binary) as go,
    ):
        await go.connect(a.address)
        await go.topic_peers(wait_for=a.peer_id)
        receipts = await a.market.publish([ListingDraft(f"n{n}", 1) for n in range(COUNT)])
        names = [keys.of_agent(each.id) for each in receipts]

        async def has_all() -> bool:
            return len(await go.list("/agents")) == COUNT

        async def all_signed() -> bool:
            values = (await go.list("/agents")).values()
            return len(values) == COUNT and all("signature" in json.loads(value) for value in values)

        async def deltas() -> int:
            return (await a.market.status()).blocks

        await wait_until(has_all)
        for again in range(2):
            before = await deltas()
            values = await go.list("/agents")
            assert set(values) == set(names)
            if again:
                await go.batch({}, names)
            else:
                for key, value in values.items():  # one delta each, as Go does
                    plain = json.loads(value)
                    del plain["signature"]
                    await go.put(key, json.dumps(plain).encode())
            puts = 1 if again else COUNT

            async def here(least: int = before + puts) -> bool:
                await judge(a)
                return await deltas() >= least

            await eventually(here, what="Go's deltas at ours")
            await wait_until(all_signed)
            assert await judge(a) == {Difference.NONE}
            assert await deltas() - before - puts <= 3, "at most one a round, and a round may fall between Go's ten"
