"""Keys that arrive in one burst do what they do when they come one by one."""

import pytest
from textual import events
from textual.widgets import Input, TextArea

from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.screens.publish import FormScreen
from tests.tui.ui import Ui, ui

NAMED = {
    "⌫": "backspace",
    "←": "left",
    "→": "right",
    "⇤": "home",
    "⏎": "enter",
    "⇥": "tab",
    "⎋": "escape",
    "/": "slash",
}
"""Keys by the signs that stand for them in these tests."""


async def burst(ui: Ui, text: str) -> None:
    """Send keys in one go, as a terminal that is read late does, and let the app come to rest."""
    for sign in text:
        ui.app.post_message(events.Key(NAMED.get(sign, sign), sign if sign not in NAMED or sign == "/" else None))
    await ui.until(lambda: not ui.app._typing.waits, "all keys")
    await ui.pilot.pause()
    await ui.rows()


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("/abcd⌫⌫efgh", "abefgh"),
        ("/abc⇤x→y", "xaybc"),
        ("/ab←←c", "cab"),
    ],
)
@pytest.mark.parametrize("focus", ["table", "field"])
def test_a_burst_into_the_filter(keys, text, focus):
    @ui()
    async def run(ui: Ui) -> None:
        if focus == "field":
            await ui.press("slash")
            await burst(ui, keys.removeprefix("/"))
        else:
            await burst(ui, keys)
        assert ui.one(Input).value == text

    run()


@pytest.mark.parametrize("keys", ["/abc⎋/xy", "/abc⎋⎋/xy", "/ab⏎/c"])
def test_it_does_what_the_same_keys_do_one_by_one(keys):
    texts = []

    def written(send):
        @ui()
        async def run(ui: Ui) -> None:
            await send(ui)
            texts.append(ui.one(Input).value)

        run()

    async def one_by_one(ui: Ui) -> None:
        for sign in keys:
            await ui.press(NAMED.get(sign, sign))

    written(one_by_one)
    written(lambda ui: burst(ui, keys))
    assert texts[0] == texts[1]


@ui(size=(120, 40))
async def test_a_burst_that_opens_a_form_and_fills_its_fields(ui: Ui) -> None:
    await burst(ui, "nocrx⌫⇥0.5⇥reads")
    assert isinstance(ui.app.screen, FormScreen)
    name, price = list(ui.app.screen.query(Input))[:2]
    assert (name.value, price.value) == ("ocr", "0.5")
    assert ui.app.screen.query(TextArea).first().text == "reads"


@ui()
async def test_a_key_that_closes_a_screen_does_not_hold_the_next_ones_up(ui: Ui) -> None:
    await burst(ui, "?⎋/ocr")
    assert isinstance(ui.app.screen, MainScreen)
    assert ui.one(Input).value == "ocr"
