"""Every screen in its states, in three sizes, dark and light, as text files.

A change shows as a diff of letters or colours. Take the new ones with `--snapshot-update` after a look at them:
`PICTURES=directory` writes each as an SVG as well. They run by `make pictures` alone: on a busy machine
a few of them still come out differently.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from tests.tui.picture import Frame, at_rest, save_svg, told
from tests.tui.scenes import SCENES, Scene
from tests.tui.ui import NEVER, Ui, ui

pytestmark = pytest.mark.skipif(
    os.environ.get("BETAR_TUI_PICTURES") != "1", reason="pictures are compared by `make pictures`"
)

SIZES = {"80x24": (80, 24), "120x36": (120, 36), "200x50": (200, 50)}
THEMES = ("betar-dark", "betar-light")


class TextFile(SingleFileSnapshotExtension):
    """One file a picture."""

    _file_extension = "txt"
    _write_mode = WriteMode.TEXT


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_scene(scene, snapshot):
    pictures = take(scene)
    assert list(pictures) == list(SIZES)
    for size, text in pictures.items():
        assert text == snapshot(name=size, extension_class=TextFile)


def take(scene: Scene) -> dict[str, str]:
    """All pictures of a scene from one run of the app."""
    pictures: dict[str, str] = {}

    @ui(settle=NEVER, **scene.options)
    async def run(hand: Ui) -> None:
        await _known(hand)
        await scene.steps(hand)
        for size, cells in SIZES.items():
            await hand.pilot.resize_terminal(*cells)
            pictures[size] = await _both(hand, scene, size)

    run()
    return pictures


async def _known(hand: Ui) -> None:
    """All that the marketplace is willing to tell at the start has been told."""
    model, unwilling = hand.app.model, {*hand.market.gates, *hand.market.fail}
    if "events" in unwilling:
        return
    if "status" not in unwilling:
        await hand.until(lambda: model.status is not None, "a status")
    if "listings" not in hand.market.gates:
        await hand.until(lambda: model.listings_load != "loading", "the listings")


async def _both(hand: Ui, scene: Scene, size: str) -> str:
    frames: dict[str, Frame] = {}
    # Beginning with the theme that is on: half as many changes.
    for theme in sorted(THEMES, key=lambda name: name != hand.app.theme):
        before = next(iter(frames.values()), None)
        hand.app.theme = theme
        await hand.pilot.pause()
        frames[theme] = await at_rest(hand)
        assert frames[theme] != before, "a theme changes nothing"
        _save(hand, f"{scene}-{size}-{theme}")
    dark, light = ([text for text, _ in frames[theme]] for theme in THEMES)
    # The settings tell which theme is on: nothing else may differ.
    assert scene.screen == "settings" or dark == light
    assert len(dark) == SIZES[size][1]
    assert scene.sees in "\n".join(dark), f"{scene} in {size}\n" + "\n".join(dark)
    letters = dark if dark == light else [*dark, *light]
    return told(letters, {theme: frames[theme] for theme in THEMES})


def _save(hand: Ui, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        save_svg(hand, Path(folder) / f"{name}.svg")
