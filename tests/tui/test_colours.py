"""Without colours, and with the terminal's own sixteen: every sign is there, and the cursor can be seen."""

import re
from dataclasses import replace

import pytest

from tests.tui.fake import FakeMarketplace, short
from tests.tui.ui import NEVER, Ui, ui

COLOURS = {*range(30, 39), *range(40, 49), *range(90, 98), *range(100, 108)}
SIXTEEN = COLOURS - {38, 48}


def used(ui: Ui) -> set[int]:
    """All SGR parameters of a whole frame, as a terminal gets it."""
    frame = ui.app.screen._compositor.render_full_update().render_segments(ui.app.console)
    return {int(code or 0) for codes in re.findall(r"\x1b\[([\d;]*)m", frame) for code in codes.split(";")}


def reversed_text(ui: Ui) -> str:
    strips = ui.app.screen._compositor.render_strips(ui.app.size)
    return "".join(segment.text for strip in strips for segment in strip if segment.style and segment.style.reverse)


async def walk(ui: Ui) -> set[int]:
    """Everything with a colour of its own: changed rows, peers, the form with errors, dialogues; their codes."""
    await ui.press("down")
    codes = set()
    items = list(ui.market.store.values())
    ui.market.put(replace(items[1], price=77.0))
    ui.market.remove(items[2].id)
    ui.market.notice("something is wrong", "error")
    await ui.sees("77↑", "× delisted", "something is wrong")
    codes |= used(ui)
    assert "amber-image-tag-11" in reversed_text(ui)
    for keys, what in (
        (("2", "down"), f"{short(2)}"),
        (("1", "enter"), "Renewed"),
        (("escape", "n", "f2"), "a listing needs a name"),
        (("escape", "comma"), "(•)"),
        (("escape", "question_mark"), "Main screen"),
        (("escape", "slash", "x"), "18 of 39"),
    ):
        await ui.press(*keys)
        await ui.sees(what)
        codes |= used(ui)
        if keys[0] == "2":
            assert what in reversed_text(ui)
    return codes


@pytest.fixture
def no_color(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")


@ui(settle=NEVER)
async def test_no_color_means_none_at_all(ui, no_color):
    assert not await walk(ui) & COLOURS


@ui(settle=NEVER, theme="betar-light")
async def test_no_color_holds_for_any_theme_and_for_another_one_chosen_later(ui, no_color):
    ui.app.theme = "ansi-light"
    await ui.pilot.pause()
    assert not used(ui) & COLOURS
    ui.app.theme = "betar-dark"
    await ui.pilot.pause()
    assert not used(ui) & COLOURS


@ui(settle=NEVER, theme="ansi-dark")
async def test_ansi_dark_uses_the_terminals_colours_only(ui):
    codes = await walk(ui)
    assert codes & SIXTEEN and not codes & {38, 48}


@ui(settle=NEVER, theme="ansi-light")
async def test_ansi_light_uses_the_terminals_colours_only(ui):
    codes = await walk(ui)
    assert codes & SIXTEEN and not codes & {38, 48}


def empty(fake: FakeMarketplace) -> None:
    fake.store.clear()


@ui(settle=NEVER, prepare=empty, peers=0)
async def test_states_without_colour_are_words_and_signs(ui, no_color):
    await ui.sees("○ no peers", "○ No listings yet", "Add a peer (a)")
    assert not used(ui) & COLOURS


# What colours say elsewhere


def styles_of(ui: Ui, text: str) -> set[str]:
    """The marks of every piece on the screen that has this text."""
    strips = ui.app.screen._compositor.render_strips(ui.app.size)
    marks = ("bold", "dim", "strike", "underline", "reverse")
    return {
        " ".join(mark for mark in marks if segment.style and getattr(segment.style, mark))
        for strip in strips
        for segment in strip
        if text in segment.text
    }


async def placeholders_buttons_and_focus(ui: Ui) -> None:
    await ui.press("enter")
    for name, marks in (("Copy", "underline"), ("JSON", "underline"), ("Delist", "dim strike")):
        assert marks in styles_of(ui, name)
    await ui.press("escape", "n")
    assert styles_of(ui, "such as swift-ocr-12") == {"dim"}
    assert styles_of(ui, "key = value") == {"dim"}
    await ui.type("mine")
    assert styles_of(ui, "mine") == {""}
    seen = []
    for label in ("Name", "Price", "Description", "Tags", "Metadata", "Addresses"):
        seen.append(reversed_text(ui))
        assert label in seen[-1]
        await ui.press("tab")
    assert len(set(seen)) == len(seen)


@ui(settle=NEVER)
async def test_without_colours_hints_are_dim_and_what_is_off_is_struck_out(ui, no_color):
    await placeholders_buttons_and_focus(ui)


@ui(settle=NEVER, theme="ansi-light")
async def test_with_sixteen_too(ui):
    await placeholders_buttons_and_focus(ui)


@ui(settle=NEVER, size=(120, 36))
async def test_without_colours_the_frame_of_the_current_pane_is_heavy(ui, no_color):
    await ui.sees("┏━ Market")
    await ui.press("tab")
    await ui.sees("┏━ Listing")
    assert "┏━ Market" not in ui.text


@ui(settle=NEVER)
async def test_without_colours_the_command_under_the_cursor_of_the_palette_is_underlined(ui, no_color):
    await ui.press("ctrl+p")
    await ui.until(lambda: "bold underline" in styles_of(ui, "Activity"))
    await ui.press("down")
    await ui.until(lambda: "bold underline" in styles_of(ui, "Add peer"))
    assert "bold underline" not in styles_of(ui, "Activity")


@pytest.fixture
def sixteen(monkeypatch):
    """A terminal of sixteen colours."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLORTERM")


@ui(settle=NEVER, theme="betar-light")
async def test_on_a_terminal_of_sixteen_colours_themes_give_way_to_its_own(ui, sixteen):
    assert ui.app.theme == "ansi-light"
    assert not used(ui) & {38, 48}
    ui.app.theme = "nord"
    await ui.until(lambda: ui.app.theme == "ansi-dark")
    assert ui.app.settings.now.theme == "nord"


@ui(settle=NEVER)
async def test_a_terminal_without_colours_gets_none(ui, monochrome):
    assert not used(ui) & COLOURS
    assert ui.app.no_color


@pytest.fixture
def monochrome(monkeypatch):
    """A terminal that says that it has no colours."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("COLORTERM")
