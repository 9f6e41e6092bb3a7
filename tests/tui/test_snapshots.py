"""The market and a contested listing as SVGs, as in `screenshots`. All other pictures are text: `test_matrix`."""

import pytest
from pytest_textual_snapshot import SVGImageExtension

from tests.tui.market import disputed
from tests.tui.picture import at_rest
from tests.tui.scenes import contested, lively, story
from tests.tui.ui import NEVER, ui


@pytest.fixture
def picture(snapshot):
    return snapshot.use_extension(SVGImageExtension)


@ui(size=(80, 24), settle=NEVER)
async def test_market_80x24(ui, picture):
    await lively(ui)
    assert ui.app.export_screenshot() == picture


@ui(size=(80, 24), settle=NEVER, listings=disputed, prepare=contested)
async def test_story_80x24(ui, picture):
    await story(ui)
    await at_rest(ui)
    assert ui.app.export_screenshot() == picture


@ui(size=(120, 30), settle=NEVER, listings=disputed, prepare=contested)
async def test_story_120x30(ui, picture):
    await story(ui)
    await ui.press("z")
    await at_rest(ui)
    assert ui.app.export_screenshot() == picture
