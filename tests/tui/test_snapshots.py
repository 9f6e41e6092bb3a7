"""The market as an SVG, as `screenshots/make.py` makes it. All other pictures are text: `test_matrix`."""

import pytest
from pytest_textual_snapshot import SVGImageExtension

from tests.tui.scenes import lively
from tests.tui.ui import NEVER, ui


@pytest.fixture
def picture(snapshot):
    return snapshot.use_extension(SVGImageExtension)


@ui(size=(80, 24), settle=NEVER)
async def test_market_80x24(ui, picture):
    await lively(ui)
    assert ui.app.export_screenshot() == picture
