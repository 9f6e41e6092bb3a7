"""The footer shows a way out, however narrow the terminal is."""

import pytest

from betar_tui.tui.widgets.keyline import KeyLine
from tests.tui.ui import Ui, ui


def footer(ui: Ui) -> str:
    return " ".join(ui.app.screen.query_one(KeyLine).render().plain.split())


@pytest.mark.parametrize("columns", [30, 60, 80, 119, 120, 200])
@ui()
async def test_the_way_out_is_there_at_every_width(ui, columns):
    await ui.pilot.resize_terminal(columns, 30)
    await ui.pilot.pause()
    assert "q Quit" in footer(ui)
    for pane in "23":
        await ui.press(pane)
        assert "q Quit" in footer(ui)
    for keys in (("1", "enter"), ("n",), ("4",), ("5",), ("6",), ("comma",)):
        await ui.press(*keys)
        assert "Esc Back" in footer(ui)
        await ui.press("escape")


@ui(size=(120, 30))
async def test_the_key_that_quits_goes_back_from_a_listing(ui):
    await ui.press("enter")
    assert "Esc Back" in footer(ui) and "Quit" not in footer(ui)


@ui(size=(34, 24))
async def test_the_palette_is_left_out_last(ui):
    assert footer(ui).endswith("q Quit ^p Palette")
    await ui.pilot.resize_terminal(12, 24)
    await ui.pilot.pause()
    assert footer(ui) == "q Quit"
