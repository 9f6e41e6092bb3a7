"""kill -9 of a serving peer under load, again and again, on one data directory.

Several publishers write through its control socket while a second peer listens and writes too, so that merges are cut
as well as own writes. Acknowledged publishes, updates and delists are recorded. After each restart the peer must open,
hold all of them, have a sound database, and agree with the second peer on heads and values.
"""

import random
import sqlite3
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

import trio

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import ListingDraft, ListingPatch
from tests.peers.harness import Served, eventually, served, values

COUNT = 200
PUBLISHERS = 3


class Ledger:
    """What was acknowledged: the price of each listing, None for a removed one.

    A write without an answer may have been done, or be done at a later start: the peer remembers what it means to
    publish before it does. Such a listing may be any of `open` from then on.
    """

    def __init__(self) -> None:
        self.known: dict[str, float | None] = {}
        self.open: dict[str, set[float | None]] = {}

    def begin(self, listing_id: str, price: float | None) -> None:
        self.open[listing_id] = {self.known.get(listing_id), price}

    def done(self, listing_id: str, price: float | None) -> None:
        self.known[listing_id] = price
        del self.open[listing_id]

    def check(self, shown: dict[str, float]) -> list[str]:
        """What is not as it was acknowledged; each is told once."""
        wrong = []
        for listing_id, price in self.known.items():
            now = shown.get(listing_id)
            if now not in self.open.get(listing_id, {price}):
                wrong.append(f"{listing_id}: acknowledged {price}, found {now}")
                self.open[listing_id] = {price, now}
        return wrong


async def publish(peer: Served, ledger: Ledger, rng: random.Random, who: str) -> None:
    """Write until the peer is gone."""
    mine: list[str] = []
    with suppress(BetarError, OSError):
        status = await peer.market.status()
        while True:
            price = rng.randrange(1_000_000) / 100
            fate = rng.random()
            if mine and fate < 0.2:
                listing_id = mine.pop(rng.randrange(len(mine)))
                ledger.begin(listing_id, None)
                await peer.market.delist(listing_id)
                ledger.done(listing_id, None)
            elif mine and fate < 0.5:
                listing_id = rng.choice(mine)
                ledger.begin(listing_id, price)
                await peer.market.update(listing_id, ListingPatch(price=price))
                ledger.done(listing_id, price)
            else:
                name = f"{who}-{rng.randrange(1 << 40)}"
                listing_id = f"{status.peer_id}/{name}"
                ledger.begin(listing_id, price)
                (receipt,) = await peer.market.publish([ListingDraft(name, price, "x" * 100)])
                assert receipt.id == listing_id
                ledger.done(listing_id, price)
                mine.append(listing_id)


async def one_life(folder: Path, other: Served, ledger: Ledger, rng: random.Random) -> None:
    """Start, check what the last life left, agree with the other peer, take load, die."""
    async with served(folder / "a", "--bootstrap", other.address) as a:
        shown = {each.id: each.price for each in (await a.market.listings()).listings}
        if wrong := ledger.check(shown):
            raise AssertionError("; ".join(wrong[:5]))

        async def agree() -> bool:
            heads = await a.market.heads() == await other.market.heads()
            if not heads or (await a.market.status()).pending or (await other.market.status()).pending:
                return False
            # A peer does what it meant to do before it was killed: its store may be ahead of the heads that it told.
            return await trio.to_thread.run_sync(lambda: values(a.directory) == values(other.directory))

        await eventually(agree, within=60, what="both have the same heads and values")
        async with trio.open_nursery() as nursery:
            for n in range(PUBLISHERS):
                nursery.start_soon(publish, a, ledger, rng, f"a{n}")
            nursery.start_soon(publish, other, Ledger(), rng, "b")
            await trio.sleep(rng.uniform(0.0, 0.5))  # the time at which it dies is what is random here
            a.process.kill()
            await a.process.wait()
            nursery.cancel_scope.cancel()
    database = sqlite3.connect(folder / "a" / "replica.db")
    sound = database.execute("PRAGMA integrity_check").fetchone()
    database.close()
    assert sound == ("ok",), f"the database is damaged: {sound}"


async def lives(count: int, seed: int, folder: Path) -> tuple[int, int]:
    rng = random.Random(seed)
    ledger = Ledger()
    good = bad = 0
    async with served(folder / "b") as other:
        for n in range(count):
            try:
                await one_life(folder, other, ledger, rng)
                good += 1
            except Exception:
                bad += 1
                print(f"  FAILED life {n}\n{traceback.format_exc()}", flush=True)
            if (n + 1) % 10 == 0:
                present = sum(price is not None for price in ledger.known.values())
                print(
                    f"  {n + 1} kills; {len(ledger.known)} listings acknowledged, {present} of them present;"
                    f" {len(ledger.open)} writes without an answer",
                    flush=True,
                )
    return good, bad


def run(count: int, seed: int) -> tuple[int, int]:
    """How many lives ended well and how many did not."""
    with tempfile.TemporaryDirectory() as folder:
        return trio.run(lives, count, seed, Path(folder))
