"""The main screens as terminals of sixteen colours and of none show them, as text files beside those of `test_matrix`."""

from __future__ import annotations

import pytest

from tests.tui.picture import Frame, as_text, at_rest, save_svg
from tests.tui.scenes import SCENES
from tests.tui.test_matrix import TextFile, folder
from tests.tui.ui import NEVER, Ui, ui

SIZE = (120, 36)
SHOWN = (
    "market-ready",
    "market-empty",
    "peers-faults",
    "mine-ready",
    "settings-ready",
    "publish-error",
    "confirm-ready",
)
BY_NAME = {str(scene): scene for scene in SCENES}


def take(name: str, themes: tuple[str, ...]) -> str:
    """A scene in these themes."""
    scene = BY_NAME[name]
    frames: dict[str, Frame] = {}

    @ui(settle=NEVER, **scene.options)
    async def run(hand: Ui) -> None:
        await scene.steps(hand)
        await hand.pilot.resize_terminal(*SIZE)
        for theme in themes:
            hand.app.theme = theme
            await hand.pilot.pause()
            frames[theme] = await _at_rest(hand, scene.sees)
            if where := folder():
                save_svg(hand, where / f"{name}-{'none' if hand.app.no_color else theme}.svg")

    run()
    return as_text([text for text, _ in frames[themes[0]]], frames)


async def _at_rest(hand: Ui, sees: str) -> Frame:
    await hand.sees(sees)
    return await at_rest(hand)


@pytest.mark.parametrize("name", SHOWN)
def test_sixteen_colours(name, snapshot):
    assert take(name, ("ansi-dark", "ansi-light")) == snapshot(extension_class=TextFile)


@pytest.mark.parametrize("name", SHOWN)
def test_no_colours(name, snapshot, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert take(name, ("betar-dark",)) == snapshot(extension_class=TextFile)
