"""Everything on the screen can be told from its ground: in each theme, on terminals of all and of 256 colours."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.color import Color
from textual.screen import ModalScreen

from betar_tui import tui
from betar_tui.tui.contrast import DRAWN, TEXT, as_shown, contrast, raised
from betar_tui.tui.themes import THEME_NAMES
from tests.tui.faint import PALETTES, faint
from tests.tui.scenes import SCENES
from tests.tui.ui import NEVER, Ui, ui

BYTES = st.integers(0, 255)
COLOURS = st.tuples(BYTES, BYTES, BYTES)
DEPTHS = st.sampled_from(("", "256"))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 0, 0), (255, 255, 255), 21.0),
        ((255, 255, 255), (255, 255, 255), 1.0),
        ((0x77, 0x77, 0x77), (255, 255, 255), 4.48),
        ((255, 0, 0), (255, 255, 255), 4.0),
    ],
)
def test_contrast_is_that_of_wcag(one, other, expected):
    assert round(contrast(one, other), 2) == expected


@given(COLOURS, COLOURS, st.sampled_from((TEXT, DRAWN)), DEPTHS)
def test_a_raised_colour_has_the_contrast(colour, ground, minimum, depth):
    found = raised(colour, ground, minimum, depth)
    assert contrast(as_shown(found, depth), as_shown(ground, depth)) >= minimum


@given(COLOURS, COLOURS, DEPTHS)
def test_a_colour_with_enough_contrast_stays(colour, ground, depth):
    if contrast(as_shown(colour, depth), as_shown(ground, depth)) >= TEXT:
        assert raised(colour, ground, TEXT, depth) == colour


@given(COLOURS, COLOURS)
def test_raising_twice_changes_nothing(colour, ground):
    found = raised(colour, ground, TEXT)
    assert raised(found, ground, TEXT) == found


def test_a_terminal_of_256_colours_shows_one_of_its_own():
    assert as_shown((0x5F, 0xB3, 0xB3)) == (0x5F, 0xB3, 0xB3)
    assert as_shown((0x5F, 0xB3, 0xB3), "256") == (0x5F, 0xAF, 0xAF)


# On the screen

WALK = (
    "market-ready",
    "detail-story",
    "peers-faults",
    "delta-ready",
    "settings-ready",
    "copy-menu-of-a-peer",
    "publish-error",
    "palette-ready",
)
"""Scenes that have every kind of widget between them. `test_matrix` looks at all others, in two themes."""
SCENES_BY_NAME = {str(scene): scene for scene in SCENES}


def look(name: str, size: tuple[int, int]) -> dict[str, list[str]]:
    """What is too faint in a scene, by theme."""
    scene = SCENES_BY_NAME[name]
    found: dict[str, list[str]] = {}

    @ui(settle=NEVER, **scene.options)
    async def run(hand: Ui) -> None:
        await scene.steps(hand)
        await hand.sees(scene.sees)
        await hand.pilot.resize_terminal(*size)
        for theme in THEME_NAMES:
            hand.app.theme = theme
            await hand.pilot.pause()
            await hand.pilot.pause()
            palettes = PALETTES if hand.app.native_ansi_color else ("xterm",)
            found[theme] = [each for palette in palettes for each in faint(hand, palette)]

    run()
    return {theme: pieces for theme, pieces in found.items() if pieces}


@pytest.mark.parametrize("name", WALK)
def test_everything_can_be_read_in_each_theme(name):
    assert look(name, (120, 36)) == {}


@pytest.mark.parametrize("name", ("market-ready", "publish-error"))
def test_on_a_narrow_terminal_too(name):
    assert look(name, (80, 24)) == {}


@pytest.mark.parametrize("name", ("market-ready", "publish-error", "peers-faults"))
def test_with_256_colours_too(name, monkeypatch):
    monkeypatch.delenv("COLORTERM")
    assert look(name, (120, 36)) == {}


@ui(settle=NEVER)
async def test_every_theme_of_textual_is_among_them(ui):
    assert set(THEME_NAMES) == set(ui.app.available_themes)


@ui(settle=NEVER)
async def test_selected_text_and_notifications_can_be_read_too(ui):
    await ui.press("slash", *"ocr", "shift+home")
    for severity in ("information", "warning", "error"):
        ui.app.actions.notify(f"something to {severity}", severity)
    await ui.sees("something to information", "something to warning", "something to error")
    for theme in THEME_NAMES:
        ui.app.theme = theme
        await ui.pilot.pause()
        await ui.pilot.pause()
        assert faint(ui) == [], theme


# Shades

TEXTUAL = [name for name in THEME_NAMES if not name.startswith("ansi-")]


@pytest.mark.parametrize("depth", ("truecolor", "256"))
@ui(settle=NEVER)
async def test_bars_borders_and_cursors_can_be_told_apart(ui, depth):
    for theme in TEXTUAL:
        ui.app._depth = depth
        ui.app.theme = theme
        variables = ui.app.get_css_variables()
        names = ("background", "line", "line-current", "thumb", "cursor", "cursor-blurred")
        rgb = {name: as_shown(Color.parse(variables[name]).rgb, depth) for name in names}
        for name in ("line", "line-current", "thumb"):
            assert contrast(rgb[name], rgb["background"]) >= DRAWN, (theme, name)
        assert len({rgb[name] for name in ("background", "cursor", "cursor-blurred")}) == 3, theme
        assert rgb["line"] != rgb["line-current"], theme


def test_on_sixteen_colours_the_stored_theme_may_be_chosen_again():
    @ui(listings=list)
    async def choose(ui):
        ui.app._depth = "standard"
        stored = ui.app.settings.now.theme
        stand_in = ui.app.shown_theme(stored)
        assert stand_in != stored
        ui.app.theme = stand_in
        ui.app.theme = stored  # as the palette does
        await ui.until(lambda: ui.app.theme == stand_in, "the one that stands in")
        ui.app.theme = "betar-light"
        await ui.until(lambda: ui.app.theme == "ansi-light", "the one that stands in for the other")
        assert ui.app.settings.now.theme == "betar-light"

    choose()


def test_every_dialogue_is_in_the_middle_and_lets_the_screen_behind_it_be_seen():
    for module in pkgutil.walk_packages(tui.__path__, f"{tui.__name__}."):
        importlib.import_module(module.name)
    rules = (Path(tui.__file__).parent / "betar.tcss").read_text()
    (named,) = re.findall(r"^(.*) \{ align: center middle; background: \$background 60%; \}$", rules, re.MULTILINE)
    dialogues = {each.__name__ for each in ModalScreen.__subclasses__() if each.__module__.startswith(tui.__name__)}
    assert len(dialogues) > 5
    assert set(named.split(", ")) == dialogues
