"""The interface on a large market, measured inside the app: from a key to the frame that shows what it did.

A frame counts once it is rendered to what a terminal would get. The market is one of `scale`, of `LISTINGS` listings; it is
opened in the process of the interface (embedded), and by a peer that the interface is attached to. With
`BETAR_BENCH_MARKETS`, markets are kept there and found again, and read before, so that it is not the disk that is
measured. With `BETAR_BENCH_FAKE=1` the market is a list in memory
instead, which shows what the interface alone costs.

Then the program itself in a pseudo-terminal: from exec to the first frame, and to the listings on it, beside the least that
Textual can show; and its memory beside that on an empty market. Modules are compiled by then, as after anybody's first
start.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

# Before Textual, which it tells how often to draw, as in the program.
import betar_tui.tui  # noqa: F401

# isort: split
import trio
import trio_asyncio
from textual import constants, events
from textual.screen import Screen
from textual.widgets import Input

from betar_tui.control.client import ControlClient
from betar_tui.market.marketplace import ListingDraft, ListingPatch, Marketplace
from betar_tui.peer import open_peer
from betar_tui.tui import app as app_module
from betar_tui.tui.app import BetarApp
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.widgets.listings import ListingRows
from tests.bench import scale
from tests.bench.common import bar, number
from tests.peers.harness import clean_environment, config, served
from tests.tui.fake import FakeMarketplace
from tests.tui.market import market

SIZE, STARTS, PAGES = number("LISTINGS", 1_000_000), number("STARTS", 7), number("PAGES", 200)
FILTERS = {
    "common": "scan",
    "rare": "0000123",
    "two letters": "ag",
    "price": "price<0.5",
    "metadata": "meta.tier:gold",
    "none": "zzzz",
}
KEYS = {"-": "minus", "<": "less_than_sign", ".": "full_stop", ":": "colon", "!": "exclamation_mark", " ": "space"}
POLL, NOTHING_TO_DRAW = 0.005, 0.05
"""Seconds between two looks whether the result is there, and after which no frame is expected of it any more."""
RATE = 100
"""Deltas a second in a busy market."""
OWN = 50
"""Number of own listings whose prices change then."""


class Measured(BetarApp):
    """The app, noting when each frame was ready and how long it is."""

    CSS_PATH = Path(app_module.__file__).with_name("betar.tcss")

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge, TuiOptions(animate=False))
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
        seen = 0.0
        while not self._frame.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._frame.wait(), POLL)
            now = time.perf_counter()
            assert now < start + 10, "it never came"
            if not seen and self._awaited is not None and self._awaited():
                seen = now
            if seen and now > seen + NOTHING_TO_DRAW and self._awaited is not None:
                # The result looks like the one before, so that no frame comes.
                self._awaited, self._at = None, (seen, time.thread_time(), 0)
                self._frame.set()
        at, worked, length = self._at
        return (at - start) * 1000, (worked - work) * 1000, length


async def until(done: Callable[[], bool], pause: float = 0.0) -> None:
    """Wait for something, ten seconds at most."""
    end = time.perf_counter() + 10
    while not done():
        assert time.perf_counter() < end, "it never came"
        await asyncio.sleep(pause)


async def typing(app: Measured, text: str) -> list[float]:
    """Each letter of a filter, typed and taken away again: milliseconds to the frame with its result."""
    found = []
    main = app.screen
    assert isinstance(main, MainScreen)
    box = main.query_one("#filter", Input)
    app.post_message(events.Key("slash", "/"))
    await until(lambda: app.focused is box, 0.01)
    texts = [text[:at] for at in range(1, len(text) + 1)]
    for each in [*texts, *reversed(texts[:-1]), ""]:
        key = each[-1] if len(each) > len(box.value) else "backspace"

        def shown(each: str = each) -> bool:
            return box.value == each == main._filtering.text and not app.paging.for_person

        latency, _, _ = await app.frame_after(key, shown)
        assert box.value == each, "a key was dropped"
        found.append(latency)
    app.post_message(events.Key("escape", None))
    await until(lambda: app.focused is not box, 0.01)
    return found


async def lateness(late: list[float]) -> None:
    while True:
        due = time.perf_counter() + 0.01
        await asyncio.sleep(0.01)
        late.append((time.perf_counter() - due) * 1000)


async def stir(market: Marketplace) -> None:
    """Write `RATE` deltas a second: own listings that change their prices, and that are delisted at the end."""
    drafts = [ListingDraft(f"bench-{n}", 1.0, description="scan") for n in range(OWN)]
    ids = [receipt.id for receipt in await market.publish(drafts)]
    begun = trio.current_time()
    try:
        for n in count():
            await market.update(ids[n % OWN], ListingPatch(price=round(random.random() * 10, 3)))
            await trio.sleep_until(begun + n / RATE)
    finally:
        with trio.CancelScope(shield=True):
            for each in ids:
                await market.delist(each)


def quantiles(what: str, found: list[float], half: float | None, most: float | None) -> None:
    cuts = statistics.quantiles(found, n=20)
    bar(f"{what}, p50", [cuts[9]], half, "ms")
    bar("  p95", [cuts[18]], most, "ms")


async def filters(app: Measured, title: str, half: float) -> None:
    everything = []
    for kind, text in FILTERS.items():
        found = await typing(app, text)
        print(f"  {kind}: p50 {statistics.median(found):.1f} ms, at worst {max(found):.0f} ms", flush=True)
        everything += found
    quantiles(f"{title}: filter key to frame", everything, half, 100)


async def paging(app: Measured, title: str) -> None:
    """Page down held: milliseconds from each key to its frame, and how many frames had rows that were not loaded."""
    rows = app.screen.query_one("#rows", ListingRows)
    found, missing = [], 0
    for _ in range(PAGES):
        at = rows.cursor
        latency, _, _ = await app.frame_after("pagedown", lambda at=at: rows.cursor > at, rest=0.033)  # type: ignore[misc]
        top = rows.scroll_offset.y
        missing += any(not rows.at(row) for row in range(top, min(top + rows.size.height, rows.count)))
        found.append(latency)
    quantiles(f"{title}: page down held, key to frame", found, None, 33)
    print(f"  of {PAGES} frames {missing} had rows that had not come yet", flush=True)
    app.post_message(events.Key("home", None))
    await until(lambda: rows.cursor == 0, 0.05)


def read_once(file: Path | None) -> None:
    """Have the system hold a file in memory, which some take out of it again soon: a page from a disk takes 0.1 to 0.5 ms,
    and a filter looks at hundreds."""
    if file is None:
        return
    with file.open("rb") as stream:
        while stream.read(1 << 24):
            pass


async def measure(market: Marketplace, stirring: Marketplace, title: str, file: Path | None = None) -> None:
    """All figures of one market, which may be kept in a `file`; `stirring` is where its changes are made."""
    assert int(os.environ["TEXTUAL_FPS"]) == constants.MAX_FPS, "Textual was imported first, and draws less often"
    async with trio_asyncio.open_loop(), trio.open_nursery() as nursery:
        app = Measured(Bridge(market))  # type: ignore[abstract]

        async def body() -> None:
            async with app.run_test(size=(120, 40)):
                await until(lambda: app.model.table.window.loaded and app._typed_ahead is None, 0.05)
                await asyncio.to_thread(read_once, file)
                await filters(app, title, 30)
                await paging(app, title)
                await asyncio.to_thread(read_once, file)
                nursery.start_soon(stir, stirring)
                await until(lambda: len(app.model.activity) > 20, 0.05)
                late: list[float] = []
                ticker = asyncio.ensure_future(lateness(late))
                await filters(app, f"{title}, {RATE} deltas a second", 50)
                await paging(app, f"{title}, {RATE} deltas a second")
                ticker.cancel()
                bar("  loop late meanwhile, p99", [statistics.quantiles(late, n=100)[98]], 50, "ms")

        await trio_asyncio.aio_as_trio(body)()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def attached(directory: Path) -> AsyncIterator[tuple[Marketplace, Marketplace]]:
    """A peer of its own, and two clients of it."""
    async with served(directory):
        path = config(directory).control_socket
        yield ControlClient(path), ControlClient(path)  # type: ignore[abstract]


async def on_a_list() -> None:
    fake = FakeMarketplace([], clock=time.time)  # type: ignore[arg-type,abstract]
    fake.store = {each.id: each for each in (replace(each, id=f"{each.id}-{n}") for n, each in enumerate(market(SIZE)))}
    fake.history = defaultdict(list)
    await measure(fake, fake, f"{SIZE} listings in a list")


async def on_a_store(directory: Path) -> None:
    async with open_peer(config(directory), network=False) as peer:
        await measure(peer, peer, f"{SIZE} listings, embedded", config(directory).database)
    async with attached(directory) as (market, stirring):
        await measure(market, stirring, f"{SIZE} listings, attached", config(directory).database)


BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("Palette agent agent")
Bare().run()
"""


def start_once(arguments: list[str], *, wait_for: bytes = b"agent agent") -> tuple[float, float]:
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


def memory_once(directory: Path) -> float:
    """MB that the interface has for itself, attached to a peer, a little after its listings are on the screen."""
    pid, controller = pty.fork()
    if pid == 0:
        environment = {**clean_environment(), "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        os.execve(sys.executable, [sys.executable, "-m", "betar_tui", "--data-dir", str(directory)], environment)
    seen, end = bytearray(), time.monotonic() + 8
    while time.monotonic() < end:
        seen += os.read(controller, 65536)  # the clock in the table writes something each second
    used = scale.memory(pid)
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.waitpid(pid, 0)
    os.close(controller)
    return used


async def memory_of(directory: Path) -> float:
    async with served(directory):
        return await trio.to_thread.run_sync(memory_once, directory)


def main() -> None:
    if number("FAKE", 0):
        trio.run(on_a_list)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("BETAR_BENCH_MARKETS", temporary))
        directories = {size: folder / f"market-{size}" for size in (0, SIZE)}
        for size, directory in directories.items():
            trio.run(scale.make, directory, size or 1)
        trio.run(on_a_store, directories[SIZE])
        program = ["-m", "betar_tui", "--data-dir", str(directories[SIZE]), "--listen", "/ip4/127.0.0.1/tcp/0"]
        start_once(program)
        found = [(*start_once(program), start_once(["-c", BARE])[0]) for _ in range(STARTS)]
        used = [trio.run(memory_of, directories[SIZE]) - trio.run(memory_of, directories[0]) for _ in range(3)]
    bar(f"exec to first frame, {SIZE} listings", [first for first, _, _ in found], 450, "ms")
    bar("  listings on the screen", [listed for _, listed, _ in found], 900, "ms")
    bar("  first frame of an app with one line and nothing else", [bare for _, _, bare in found], None, "ms")
    bar("  listings on the screen / that", [listed / bare for _, listed, bare in found], 2.5, "times")
    bar("memory of the interface above that on an empty market", used, 20, "MB")


if __name__ == "__main__":
    main()
