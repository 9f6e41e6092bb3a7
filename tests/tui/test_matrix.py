"""Every screen in its states, in four sizes, dark and light, as text files.

A change shows as a diff of letters or colours. Update the files with `--snapshot-update` after a look at the pictures,
and do not delete the old files before: without one to wait for, the first picture that seems at rest is taken, perhaps
too soon. `PICTURES=directory` writes SVGs as well. A test waits until the screen is as its file shows it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from tests.tui.faint import faint
from tests.tui.picture import Frame, as_text, at_rest, save_svg
from tests.tui.scenes import SCENES, Scene
from tests.tui.ui import NEVER, Ui, ui

SIZES = {"80x24": (80, 24), "120x30": (120, 30), "140x40": (140, 40), "200x50": (200, 50)}
THEMES = ("betar-dark", "betar-light")
STORED = Path(__file__).parent / "__snapshots__" / Path(__file__).stem

PATIENCE = 20.0
"""Seconds for a picture to become the expected one: far more than it takes."""


class TextFile(SingleFileSnapshotExtension):
    """One file a picture."""

    _file_extension = "txt"
    _write_mode = WriteMode.TEXT


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_scene(scene, snapshot):
    stored = {size: STORED / f"test_scene[{scene}][{size}].txt" for size in SIZES}
    expected = {size: file.read_text() for size, file in stored.items() if file.exists()}
    pictures = take(scene, expected)
    assert list(pictures) == list(SIZES)
    for size, text in pictures.items():
        assert text == snapshot(name=size, extension_class=TextFile)


def take(scene: Scene, expected: Mapping[str, str]) -> dict[str, str]:
    """All pictures of a scene from one run of the app, each as soon as it is the expected one."""
    pictures: dict[str, str] = {}

    @ui(settle=NEVER, **scene.options)
    async def run(hand: Ui) -> None:
        await _loaded(hand)
        await scene.steps(hand)
        for size, cells in SIZES.items():
            await hand.pilot.resize_terminal(*cells)
            pictures[size] = await _settled(hand, scene, size, expected.get(size))

    run()
    return pictures


async def _loaded(hand: Ui) -> None:
    """Wait for all that the marketplace answers at the start."""
    model, blocked = hand.app.model, {*hand.market.gates, *hand.market.fail}
    if "events" in blocked:
        return
    if "status" not in blocked:
        await hand.until(lambda: model.status is not None, "a status")
    if "listings" not in hand.market.gates:
        await hand.until(lambda: model.listings_load != "loading", "the listings")


async def _settled(hand: Ui, scene: Scene, size: str, expected: str | None) -> str:
    """The picture once it has no fault and is the expected one, or the last one if that takes too long."""
    end = time.monotonic() + PATIENCE
    while True:
        picture, wrong = await _both(hand, scene, size)
        if (not wrong and expected in (None, picture)) or time.monotonic() > end:
            assert not wrong, f"{scene} in {size}: {wrong}\n{picture}"
            return picture


async def _both(hand: Ui, scene: Scene, size: str) -> tuple[str, str]:
    """The picture in both themes, and its fault, or nothing."""
    frames: dict[str, Frame] = {}
    unreadable: list[str] = []
    # Beginning with the theme that is on: half as many changes.
    for theme in sorted(THEMES, key=lambda name: name != hand.app.theme):
        hand.app.theme = theme
        await hand.pilot.pause()
        frames[theme] = await at_rest(hand)
        unreadable += faint(hand)
        _save(hand, f"{scene}-{size}-{theme}")
    dark, light = ([text for text, _ in frames[theme]] for theme in THEMES)
    letters = dark if dark == light else [*dark, *light]
    return as_text(letters, {theme: frames[theme] for theme in THEMES}), _wrong(scene, size, frames) or "\n".join(
        unreadable
    )


def _wrong(scene: Scene, size: str, frames: Mapping[str, Frame]) -> str:
    dark, light = ([text for text, _ in frames[theme]] for theme in THEMES)
    if frames[THEMES[0]] == frames[THEMES[1]]:
        return "the theme changes nothing"
    # Only the settings show which theme is on.
    if dark != light and scene.screen != "settings":
        return "other letters in the other theme"
    if len(dark) != SIZES[size][1]:
        return f"{len(dark)} lines"
    return "" if scene.sees in "\n".join(dark) else f"{scene.sees!r} is not there"


def folder() -> Path | None:
    """Where SVGs are wanted."""
    return Path(os.environ["PICTURES"]) if os.environ.get("PICTURES") else None


def _save(hand: Ui, name: str) -> None:
    if where := folder():
        save_svg(hand, where / f"{name}.svg")
