"""Running the real app in a test: trio outside, Textual's asyncio inside, as in production."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import trio
import trio_asyncio
from textual.pilot import Pilot
from textual.widget import Widget

from betar_tui.tui.app import BetarApp
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.widgets.listings import ListingRows
from tests.tui.fake import Clock, FakeMarketplace
from tests.tui.market import market as sample_market

ALWAYS, NEVER = 0.0, float("inf")
"""Values of `settle`: rows move at once, or never by themselves."""


class Ui:
    """The app in a test, with its pilot and its marketplace."""

    def __init__(self, app: BetarApp, pilot: Pilot[None], market: FakeMarketplace, clock: Clock) -> None:
        self.app, self.pilot, self.market, self.clock = app, pilot, market, clock

    async def press(self, *keys: str) -> None:
        """Press keys and let the app come to rest."""
        await self.pilot.press(*keys)
        await self.pilot.pause()
        await self.rows()

    async def rows(self) -> None:
        """Wait for the rows that a person has asked for, unless they are held back."""
        if "listings" not in getattr(self.market, "gates", ()):
            await self.until(lambda: not self.app.paging.for_person and not self.app._held, "the rows")
            await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type a text."""
        names = {
            " ": "space",
            "/": "slash",
            "<": "less_than_sign",
            ".": "full_stop",
            "-": "minus",
            ":": "colon",
            "!": "exclamation_mark",
            ">": "greater_than_sign",
            "=": "equals_sign",
            "…": "…",
        }
        await self.press(*(names.get(char, char) for char in text))

    async def click(self, target: Any, offset: tuple[int, int] = (0, 0)) -> None:
        """Click on a widget or selector of the screen on top."""
        await self.pilot.click(target, offset=offset)
        await self.pilot.pause()
        await self.rows()

    async def click_text(self, text: str) -> None:
        """Click where a text is on the screen."""
        for y, line in enumerate(self.lines):
            if (x := line.find(text)) >= 0:
                await self.pilot.click(offset=(x, y))
                await self.pilot.pause()
                await self.rows()
                return
        raise AssertionError(f"{text!r} is not on the screen:\n{self.text}")

    async def until(self, condition: Callable[[], object], what: str = "", within: float = 5) -> None:
        """Wait until a condition holds; fails with the screen after `within` seconds."""
        with Deadline(within) as expired:
            while not condition():
                if expired():
                    raise AssertionError(f"never: {what or inspect.getsource(condition).strip()}\n{self.text}")
                await self.pilot.pause(0.005)

    async def sees(self, *texts: str) -> None:
        """Wait until all texts are on the screen."""
        for text in texts:

            def seen(text: str = text) -> bool:
                return text in self.text

            await self.until(seen, f"{text!r} on the screen")

    async def misses(self, text: str) -> None:
        """Wait until a text is gone from the screen."""
        await self.until(lambda: text not in self.text, f"{text!r} gone")

    @property
    def lines(self) -> list[str]:
        """The screen as text."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips(self.app.size)
        return ["".join(segment.text for segment in strip) for strip in strips][:height]

    @property
    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.lines)

    @property
    def toasts(self) -> list[str]:
        """The notifications."""
        return [note.message for note in self.app._notifications]

    def one(self, kind: Any) -> Any:
        """The one widget of a kind in the screen on top."""
        return self.app.screen.query_one(kind)

    @property
    def focused(self) -> Widget | None:
        return self.app.focused


def shown_ids(rows: ListingRows) -> list[str]:
    """The ids of the listings shown, from top to bottom."""
    return [rows.at(row) for row in range(rows.count)]


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Deadline:
    """A deadline on the running loop's clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> Callable[[], bool]:
        end = time.monotonic() + self._seconds
        return lambda: time.monotonic() > end

    def __exit__(self, *exc: object) -> None:
        return None


def ui(
    *,
    size: tuple[int, int] = (80, 24),
    listings: Any = None,
    peers: int = 3,
    settle: float = ALWAYS,
    prepare: Callable[[FakeMarketplace], None] | None = None,
    ready: bool = True,
    theme: str = "",
    **options: Any,
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Turn `async def test(ui, **fixtures)`, whose body runs in asyncio, into a plain test."""

    def decorate(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        async def body(fixtures: dict[str, Any]) -> None:
            clock = Clock()
            items = sample_market() if listings is None else listings() if callable(listings) else listings
            fake = FakeMarketplace(items, peers=peers, clock=clock)  # type: ignore[abstract]
            if prepare:
                prepare(fake)
            chosen = TuiOptions(clock=clock, settle=settle, interval=0.005, animate=False, **options)
            fake.muted = fake.muted or chosen.settings.muted
            if theme:
                chosen = replace(chosen, settings=replace(chosen.settings, theme=theme))
            bridge = Bridge(fake, interval=chosen.interval, take_over=chosen.take_over)  # type: ignore[abstract]
            app = BetarApp(bridge, chosen)
            async with app.run_test(size=size, notifications=True) as pilot:
                hand = Ui(app, pilot, fake, clock)
                if ready:
                    await hand.until(lambda: app.model.listings_load == "ready" and app.model.status is not None)
                    await hand.until(lambda: app._typed_ahead is None, "every pane")
                    await pilot.pause()
                await test(hand, **fixtures)

        async def main(fixtures: dict[str, Any]) -> None:
            async with trio_asyncio.open_loop():
                await trio_asyncio.aio_as_trio(body)(fixtures)

        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            try:
                trio.run(main, fixtures)
            except BaseExceptionGroup as group:
                # The error of the test itself is worth reading, not the nurseries around it.
                raise _innermost(group) from None

        signature = inspect.signature(test)
        run.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
        del run.__wrapped__
        return run

    return decorate
