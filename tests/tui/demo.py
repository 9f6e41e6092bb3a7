"""The app over a lively `FakeMarketplace`: `python -m tests.tui.demo [listings] [theme]`, for trying it by hand."""

from __future__ import annotations

import random
import sys
import time
from dataclasses import replace

import trio

from betar_tui.market.marketplace import ChangeKind
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.run import run_app
from betar_tui.tui.settings import InterfaceSettings
from tests.tui.fake import NOW, Clock, FakeMarketplace, listing
from tests.tui.market import market


class RealClock(Clock):
    """The real time."""

    def __call__(self) -> float:
        return time.time()


async def stir(fake: FakeMarketplace) -> None:
    """New listings, other prices, refreshes, removals."""
    number = 1000
    while True:
        await trio.sleep(random.uniform(0.2, 1.5))
        item = random.choice(list(fake.store.values()))
        dice = random.random()
        if dice < 0.5:
            fake.put(item, kind=ChangeKind.REFRESH)
        elif dice < 0.75:
            fake.put(replace(item, price=round(item.price * random.uniform(0.8, 1.25) + 0.01, 2)))
        elif dice < 0.95:
            number += 1
            fake.put(listing(f"fresh-agent-{number}", 0.3, number % 7 + 1, description="Just arrived."))
        elif not item.mine:
            fake.remove(item.id)


async def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    fake = FakeMarketplace([], clock=RealClock())  # type: ignore[abstract]
    shift = time.time() - NOW
    for item in market(count):
        moved = replace(item, seen_at=item.seen_at + shift, timestamp=int(item.timestamp + shift))
        fake.store[moved.id] = moved
        fake.history[moved.id] = [fake._version(moved)]
    theme = sys.argv[2] if len(sys.argv) > 2 else "betar-dark"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stir, fake)
        await run_app(fake, options=TuiOptions(settings=InterfaceSettings(theme=theme)))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
