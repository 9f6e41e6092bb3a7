"""Notifications: one of each, and none over a button."""

import pytest
from textual.widgets import Button
from textual.widgets._toast import Toast

from betar_tui.market.marketplace import Listing
from tests.tui.market import market
from tests.tui.ui import Ui, ui

SAID = "The last peer is gone, and what you have just published goes out when another one is there"
SIZES = [(80, 24), (120, 30), (200, 50)]


def mine() -> list[Listing]:
    return sorted(market(), key=lambda each: not each.mine)


async def is_clear_of_buttons(ui: Ui) -> None:
    """Show two notifications, and hold their places against those of the buttons."""
    for text in (SAID, f"{SAID}."):
        ui.app.notify(text, markup=False)
    await ui.until(lambda: len(ui.app.screen.query(Toast)) == 2)
    await ui.pilot.pause()
    toasts = [toast.region for toast in ui.app.screen.query(Toast)]
    buttons = [each.region for each in ui.app.screen.query(Button) if each.display and each.region.area]
    assert all(toast.area and toast in ui.app.screen.region for toast in toasts)
    assert not [(toast, button) for toast in toasts for button in buttons if toast.overlaps(button)]
    ui.app.clear_notifications()


@ui()
async def test_the_same_twice_is_shown_once(ui):
    for _ in range(2):
        await ui.press("ctrl+c")
    await ui.until(lambda: len(ui.app.screen.query(Toast)) == 1)
    assert len(ui.toasts) == 1
    ui.app.notify("another")
    await ui.until(lambda: len(ui.toasts) == 2)
    ui.app.notify("another", severity="error")
    await ui.until(lambda: len(ui.toasts) == 3)


@ui()
async def test_what_is_no_longer_true_is_taken_back(ui):
    await ui.press("p")
    await ui.until(lambda: ui.toasts == ["Activity is paused: p goes on"])
    await ui.press("p")
    await ui.until(lambda: ui.toasts == ["Activity goes on"])


@pytest.mark.parametrize("size", SIZES)
@ui(listings=mine)
async def test_no_notification_lies_over_a_button(ui, size):
    await ui.pilot.resize_terminal(*size)
    await is_clear_of_buttons(ui)
    for keys in (("enter",), ("v",), ("escape", "y"), ("escape", "escape", "n"), ("escape", "question_mark")):
        await ui.press(*keys)
        await is_clear_of_buttons(ui)


@ui(size=(120, 30), listings=mine)
async def test_nor_over_those_of_a_listing_that_fills_the_screen(ui):
    await ui.press("enter", "z")
    await is_clear_of_buttons(ui)


@ui(listings=mine)
async def test_nor_over_those_of_the_form_with_its_verdict(ui):
    await ui.press("n", "f2")
    await ui.sees("to correct")
    await is_clear_of_buttons(ui)
