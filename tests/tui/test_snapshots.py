"""The market as an SVG, as `screenshots/make.py` makes it. All other pictures are text: `test_matrix`."""

import functools
from dataclasses import replace

import pytest
from pytest_textual_snapshot import SVGImageExtension

from betar_tui.market.marketplace import ChangeKind
from betar_tui.tui.widgets.detail import DetailView
from tests.tui.fake import listing
from tests.tui.ui import NEVER, Ui, ui


@pytest.fixture
def picture(snapshot):
    return snapshot.use_extension(SVGImageExtension)


async def lively(ui: Ui) -> None:
    """A few changes of every kind, the cursor on the third row."""
    await ui.press("down", "down")
    items = list(ui.market.store.values())
    ui.market.put(replace(items[0], price=0.5))
    ui.market.put(listing("aaa-brand-new", 0.3, 3, description="Fresh"))
    for _ in range(12):
        ui.market.put(items[3], kind=ChangeKind.REFRESH)
    ui.market.remove(items[24].id)
    ui.market.notice("a Go betar is on the topic: listings are written in its dialect", "warning")
    await ui.until(lambda: len(ui.app.model.activity) == 5)
    await ui.until(lambda: not ui.app.workers or ui.app.model.status.height == ui.market.height)
    ui.app._tick()
    await settled(ui)


async def settled(ui: Ui) -> None:
    """Wait for the history of the listing in sight."""
    for view in ui.app.screen.query(".detail"):
        if view.display and view.size.height:
            await ui.until(functools.partial(_is_complete, ui, view))
    await ui.pilot.pause()


def _is_complete(ui: Ui, view: DetailView) -> bool:
    return view._detail is not None and view._detail.listing == ui.app.model.index.get(view.listing_id)


@ui(size=(80, 24), settle=NEVER)
async def test_market_80x24(ui, picture):
    await lively(ui)
    assert ui.app.export_screenshot() == picture
