"""The keys that lead to each screen, and the path of the GIF. It waits for conditions, never for a fixed time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from betar_tui.market.marketplace import ListingDraft
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.widgets.detail import DetailView
from tests.tui.ui import Ui

Steps = Callable[[Ui], Awaitable[None]]

LISTINGS = 15
OWN = (
    ListingDraft(name="harbour-pilot", price=0.4, description="Plans the way into a harbour, with the tide in mind."),
    ListingDraft(name="tidy-ledger", price=0.07, description="Sorts receipts into accounts.\n\n- VAT\n- travel"),
    ListingDraft(name="plain-letters", price=0.015, description="Rewrites official letters in plain words."),
)


async def home(ui: Ui) -> None:
    """The main screen with the table in focus, without filter, its first row chosen."""
    while not isinstance(ui.app.screen, MainScreen):
        await ui.press("escape")
    await ui.press("1", "escape", "escape", "home", "f5")


async def ready(ui: Ui) -> None:
    """A market worth a picture: listings, a changed price, own listings that others have, branches."""
    model = ui.app.model
    for draft in OWN:
        model.stored((await ui.app.bridge.publish([draft]))[0])
    await ui.until(lambda: model.table.total >= LISTINGS, "enough listings", 60)
    await ui.until(lambda: any(mark.arrow for mark in model.marks.values()), "a changed price", 30)
    await home(ui)
    await ui.press("4")
    await ui.until(lambda: _merge(ui) is not None, "a merge in the DAG", 20)
    await home(ui)


def _merge(ui: Ui) -> int | None:
    """The line of the newest delta that joins branches."""
    graph = getattr(ui.app.screen, "_graph", ())
    return next((at for at, line in enumerate(graph) if len(line.node.links) > 1), None)


async def settled(ui: Ui) -> None:
    """Wait until the listing in sight is shown in full."""
    for view in ui.app.screen.query(DetailView):
        if view.display and view.size.height:
            await ui.until(lambda view=view: _is_complete(view), "the listing in full", 10)  # type: ignore[misc]
    await ui.pilot.pause()


def _is_complete(view: Any) -> bool:
    return view._detail is not None and view._detail.listing.id == view.listing_id


def keys(*names: str) -> Steps:
    """A screen that keys lead to."""

    async def steps(ui: Ui) -> None:
        await ui.press(*names)
        await settled(ui)

    return steps


async def filtered(ui: Ui) -> None:
    """A filter that leaves some rows."""
    await ui.press("slash")
    await ui.type("price<0.05")
    await ui.press("enter")
    await settled(ui)


async def replica(ui: Ui) -> None:
    """The DAG, with a merge in sight."""
    await ui.press("4")
    await ui.until(lambda: _merge(ui) is not None, "a merge in the DAG", 20)
    await ui.press(*["down"] * ((_merge(ui) or 0) + 3))


async def delta(ui: Ui) -> None:
    """The delta that merges."""
    await ui.press("4")
    await ui.until(lambda: _merge(ui) is not None, "a merge in the DAG", 20)
    await ui.press(*["down"] * (_merge(ui) or 0), "enter")


async def log(ui: Ui) -> None:
    """The log, read."""
    await ui.press("6")
    await ui.until(lambda: " 0 lines" not in ui.text or "Nothing was logged" in ui.text, "the log")


async def form(ui: Ui) -> None:
    """The form with a name, an invalid price and its problem."""
    await ui.press("n")
    for name, text in (("name", "swift-ocr-12"), ("price", "cheap")):
        field = ui.app.screen.query_one(f"#field-{name}")
        field.value = text  # type: ignore[attr-defined]
        field.cursor_blink = False  # type: ignore[attr-defined]
    await ui.press("f2")


SCREENS: dict[str, Steps] = {
    "market": keys("down", "down"),
    "filter": filtered,
    "listing": keys("enter"),
    "peers": keys("2"),
    "peer": keys("2", "enter"),
    "activity": keys("3"),
    "replica": replica,
    "delta": delta,
    "mine": keys("5"),
    "log": log,
    "settings": keys("comma"),
    "copy": keys("y"),
    "publish": form,
    "help": keys("question_mark"),
}


async def main_path(ui: Ui, frame: Callable[[], None]) -> None:
    """Listings come in; filter, open, publish, receipt, delist. `frame` takes a picture."""
    model = ui.app.model
    for count in (0, 4, 8, 12, LISTINGS):
        await ui.until(lambda count=count: model.table.total >= count, f"{count} listings", 60)  # type: ignore[misc]
        await ui.press("f5")
        frame()
    await ui.press("slash")
    for part in ("price", "<0", ".05"):
        await ui.type(part)
        frame()
    await ui.press("enter", "down")
    frame()
    await ui.press("enter")
    await settled(ui)
    frame()
    await home(ui)
    await _publish(ui, frame)
    await _delist(ui, frame)


async def _publish(ui: Ui, frame: Callable[[], None]) -> None:
    """A listing by the form, until a peer has it."""
    await ui.press("n")
    frame()
    await ui.type("night-owl")
    frame()
    await ui.press("tab")
    await ui.type("0.02")
    frame()
    await ui.press("f2")
    await ui.until(lambda: isinstance(ui.app.screen, MainScreen), "the form sent", 10)
    frame()
    await ui.press("5")
    await ui.sees("night-owl")
    await ui.until(lambda: "seen by" in ui.text, "the receipt", 30)
    frame()


async def _delist(ui: Ui, frame: Callable[[], None]) -> None:
    """Remove it again; it is the only own listing by then."""
    await ui.press("d")
    frame()
    await ui.press("y")
    await ui.until(lambda: not ui.app.model.own, "the listing gone", 10)
    frame()
    await home(ui)
    frame()
