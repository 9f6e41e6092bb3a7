"""The interface with a large market, measured inside the app: from a key to the frame that shows what it did.

A frame counts once it is rendered to what a terminal would get. Work is the processor time of the interface's thread
from the key to the end of that frame; nothing polls meanwhile, so it is all the app's. `SIZE` listings; deltas arrive as
from a busy market.
Then the program itself in a pseudo-terminal: from exec to the first frame, and to the stored listings on it, beside the
least that Textual can show. Modules are compiled by then, as after anybody's first start.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pty
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import trio
import trio_asyncio
from textual import events
from textual.screen import Screen
from textual.widgets import Input

from betar_tui.market.marketplace import Change, ChangeKind, Listing, ListingDraft
from betar_tui.peer import open_peer
from betar_tui.tui import app as app_module
from betar_tui.tui.app import BetarApp
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.widgets.listings import ListingRows
from tests.bench.common import bar, number
from tests.peers.harness import clean_environment, config
from tests.tui.fake import FakeMarketplace
from tests.tui.market import market

SIZE, STORED, STARTS = number("LISTINGS", 100_000), number("STORED", 10_000), number("STARTS", 7)
WORDS = ("ocr", "nimble", "swift-tr", "amber", "geo", "price<0.5", "state:verified", "tag !lucid")
KEYS = {"-": "minus", "<": "less_than_sign", ".": "full_stop", ":": "colon", "!": "exclamation_mark", " ": "space"}


class Measured(BetarApp):
    """The app, noting when each frame was ready and how long it is."""

    CSS_PATH = Path(app_module.__file__).with_name("betar.tcss")

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge, TuiOptions(animate=False, indexed=gc.freeze))
        self.frames: list[int] = []
        self._awaited: Callable[[], bool] | None = None
        self._frame = asyncio.Event()
        self._at = (0.0, 0.0, 0)

    def _display(self, screen: Screen[object], renderable: object) -> None:
        super()._display(screen, renderable)  # type: ignore[arg-type]
        if not hasattr(renderable, "render_segments"):
            return
        # Without a terminal the app leaves this out.
        length = len(renderable.render_segments(self.console))
        self.frames.append(length)
        if self._awaited is not None and self._awaited():
            self._awaited, self._at = None, (time.perf_counter(), time.thread_time(), length)
            self._frame.set()

    async def frame_after(self, key: str, done: Callable[[], bool], rest: float = 0.04) -> tuple[float, float, int]:
        """Press a key; milliseconds until the frame that comes with `done` true, those of them at work, and the frame's
        length. `rest` is about how many seconds the app is left alone before."""
        await asyncio.sleep(random.uniform(rest - 0.02, rest + 0.02))
        self._frame.clear()
        self._awaited = done
        start, work = time.perf_counter(), time.thread_time()
        self.post_message(events.Key(KEYS.get(key, key), key if len(key) == 1 else None))
        await asyncio.wait_for(self._frame.wait(), 10)
        at, worked, length = self._at
        return (at - start) * 1000, (worked - work) * 1000, length


async def until(done: Callable[[], bool], pause: float = 0.0) -> None:
    """Wait for something, ten seconds at most."""
    end = time.perf_counter() + 10
    while not done():
        assert time.perf_counter() < end, "it never came"
        await asyncio.sleep(pause)


def listings() -> list[Listing]:
    return [replace(each, id=f"{each.id}-{n}") for n, each in enumerate(market(SIZE))]


async def typing(app: Measured) -> tuple[list[float], list[float]]:
    """Each letter of some filters, typed and taken away again: milliseconds to the frame, and those of them at work."""
    found, worked = [], []
    box = app.screen.query_one("#filter", Input)
    app.post_message(events.Key("slash", "/"))
    await until(lambda: app.focused is box, 0.01)
    for word in WORDS:
        texts = [word[:at] for at in range(1, len(word) + 1)]
        for text in [*texts, *reversed(texts[:-1]), ""]:
            key = text[-1] if len(text) > len(box.value) else "backspace"
            latency, work, _ = await app.frame_after(key, lambda text=text: box.value == text)  # type: ignore[misc]
            found.append(latency)
            worked.append(work)
    app.post_message(events.Key("escape", None))
    await until(lambda: app.focused is not box, 0.01)
    return found, worked


async def lateness(late: list[float]) -> None:
    while True:
        due = time.perf_counter() + 0.01
        await asyncio.sleep(0.01)
        late.append((time.perf_counter() - due) * 1000)


async def stir(fake: FakeMarketplace, rate: int) -> None:
    """So many deltas a second, most of them of listings that are there."""
    ids = list(fake.store)
    begun = trio.current_time()
    for n in count():
        item = fake.store[random.choice(ids)]
        if n % 5 == 0:
            item = replace(item, id=f"{item.id}/{n}", name=f"fresh-{n}")
        elif n % 2:
            item = replace(item, price=round(item.price * 1.1, 2))
        item = replace(item, seen_at=time.time(), height=n)
        fake.store[item.id] = item
        kind = ChangeKind.PUT if n % 5 == 0 else ChangeKind.UPDATE
        fake.emit(Change(kind, item.id, item.cid, n, "x", time.time(), item))
        await trio.sleep_until(begun + n / rate)


async def moving(app: Measured, rows: ListingRows, times: int) -> list[tuple[float, float, int]]:
    """Move down so often, each time after a rest in which the listing is drawn beside the table."""
    found = []
    for _ in range(times):
        at = rows.cursor
        found.append(await app.frame_after("down", lambda at=at: rows.cursor > at, rest=0.3))  # type: ignore[misc]
    return found


async def still(app: Measured, fake: FakeMarketplace) -> None:
    found, worked = await typing(app)
    cuts = statistics.quantiles(found, n=20)
    bar(f"{SIZE} listings: filter key to frame, p50", [cuts[9]], 45, "ms")
    bar("  p95", [cuts[18]], 70, "ms")
    cuts = statistics.quantiles(worked, n=20)
    bar("  of which work, p50", [cuts[9]], None, "ms")
    bar("    p95", [cuts[18]], None, "ms")
    rows = app.screen.query_one("#rows", ListingRows)
    bar("cursor move, work", [statistics.median(work for _, work, _ in await moving(app, rows, 15))], 5, "ms")
    app.post_message(events.Key("pagedown", None))
    await until(lambda: rows.scroll_offset.y > 0, 0.05)
    moves = await moving(app, rows, 30)
    bar("  where the table scrolls", [statistics.median(work for _, work, _ in moves)], None, "ms")
    bar("  key to frame (frames come each 17 ms)", [statistics.median(each for each, _, _ in moves)], None, "ms")
    bar("  its frame", [statistics.median(length for _, _, length in moves)], None, "characters")
    slot = rows._slots[rows.cursor - 1]
    item = app.model.index.at(slot)
    assert item is not None
    app.frames.clear()
    fake.emit(Change(ChangeKind.UPDATE, item.id, item.cid, 2, "x", time.time(), replace(item, price=77.7)))
    await asyncio.sleep(0.06)
    bar("one changed row, with status line and activity", [sum(app.frames)], None, "characters")


async def busy(app: Measured) -> None:
    late: list[float] = []
    ticker = asyncio.ensure_future(lateness(late))
    found, _ = await typing(app)
    for _ in range(100):
        app.post_message(events.Key("down", None))
        await asyncio.sleep(0.03)
    enough = len(late) + 200
    await until(lambda: len(late) >= enough, 0.05)
    ticker.cancel()
    cuts = statistics.quantiles(found, n=20)
    bar("100 deltas a second: loop late, p99", [statistics.quantiles(late, n=100)[98]], 50, "ms")
    print(f"  p50 {statistics.median(late):.1f} ms, at worst {max(late):.0f} ms")
    bar("  filter key to frame meanwhile, p50", [cuts[9]], None, "ms")
    bar("    p95", [cuts[18]], None, "ms")


def resident() -> float:
    """Megabytes in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


async def large() -> None:
    fake = FakeMarketplace([], clock=time.time)  # type: ignore[arg-type]
    fake.store, fake.history = {each.id: each for each in listings()}, defaultdict(list)
    gc.collect()
    before = resident()
    async with trio_asyncio.open_loop(), trio.open_nursery() as nursery:
        app = Measured(Bridge(fake))

        async def body() -> None:
            async with app.run_test(size=(120, 40)):
                # All is loaded and prepared: the last that a load does.
                await until(lambda: gc.get_freeze_count() > 0, 0.05)
                await still(app, fake)
                bar("memory of app and index above the listings", [resident() - before], 60, "MB")
                nursery.start_soon(stir, fake, 100)
                await until(lambda: len(app.model.activity) > 20, 0.05)
                await busy(app)

        await trio_asyncio.aio_as_trio(body)()
        nursery.cancel_scope.cancel()


BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("Palette agent-00003")
Bare().run()
"""


def start_once(arguments: list[str], *, wait_for: bytes = b"agent-00003") -> tuple[float, float]:
    """Milliseconds from exec to the first frame and to a listing on the screen."""
    begun = time.perf_counter()
    pid, controller = pty.fork()
    if pid == 0:
        environment = {**clean_environment(), "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        os.execve(sys.executable, [sys.executable, *arguments], environment)
    seen, first, listed = bytearray(), 0.0, 0.0
    while not listed:
        seen += os.read(controller, 65536)
        now = (time.perf_counter() - begun) * 1000
        if not first and b"Palette" in seen:
            first = now
        if wait_for in seen:
            listed = now
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.waitpid(pid, 0)
    os.close(controller)
    return first, listed


async def store_listings(directory: Path) -> None:
    async with open_peer(config(directory), network=False) as node:
        drafts = [ListingDraft(f"agent-{n:05d}", n / 100, description=f"Number {n}") for n in range(STORED)]
        for at in range(0, STORED, 1000):
            await node.publish(drafts[at : at + 1000])


def main() -> None:
    trio.run(large)
    with tempfile.TemporaryDirectory() as folder:
        trio.run(store_listings, Path(folder))
        program = ["-m", "betar_tui", "--data-dir", folder, "--listen", "/ip4/127.0.0.1/tcp/0"]
        start_once(program)
        found = [(*start_once(program), start_once(["-c", BARE])[0]) for _ in range(STARTS)]
    bar(f"exec to first frame, {STORED} listings", [first for first, _, _ in found], 450, "ms")
    bar("  listings on the screen", [listed for _, listed, _ in found], 900, "ms")
    bar("  first frame of an app with one line and nothing else", [bare for _, _, bare in found], None, "ms")
    bar("  ours / that", [first / bare for first, _, bare in found], None, "times")


if __name__ == "__main__":
    main()
