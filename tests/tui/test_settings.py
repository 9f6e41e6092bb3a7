"""Settings: read strictly, chosen on their screen, in force at once, saved."""

import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import ConfigError
from betar_tui.tui.keybindings import ACTIONS, CHAINS, MOVES, SCOPE_TITLES
from betar_tui.tui.keymap import KeyMap, key_name, read_keys
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.screens.publish import FormScreen
from betar_tui.tui.screens.settings import SettingsScreen
from betar_tui.tui.settings import MAX_FILTERS, InterfaceSettings, Settings
from betar_tui.tui.widgets.filterbar import FilterInput
from betar_tui.tui.widgets.listings import ListingRows
from tests.tui.fake import listing
from tests.tui.ui import Ui, ui


def read(**table: object) -> tuple[InterfaceSettings, tuple[str, ...]]:
    return InterfaceSettings.from_mapping(table)


def with_settings(**table: object) -> dict[str, object]:
    settings, complaints = read(**table)
    return {"settings": settings, "complaints": complaints}


# Reading


def test_good_settings_are_taken_as_they_are():
    settings, problems = read(
        theme="ansi-dark",
        columns=["price", "name", "height"],
        sort="-price",
        density="comfortable",
        muted=["12D3a"],
        keys={"publish": "P, f9", "filter": "?", "help": "f1"},
    )
    assert problems == ()
    assert settings.columns == ("name", "price", "height")
    assert (settings.theme, settings.density, settings.muted) == ("ansi-dark", "comfortable", ("12D3a",))
    assert settings.order == ("price", True)
    assert settings.keys.changed == {"publish": "P,f9", "filter": "question_mark", "help": "f1"}


@pytest.mark.parametrize(
    ("table", "name", "message"),
    [
        ({"theme": "mauve"}, "theme", "betar-dark is used, for 'mauve' is not one of betar-dark, betar-light"),
        ({"theme": 3}, "theme", "betar-dark is used"),
        ({"columns": "name"}, "columns", "not a list of names"),
        ({"columns": []}, "columns", "the usual columns"),
        ({"sort": "addrs"}, "sort", "not one of name, price"),
        ({"density": "roomy"}, "density", "compact is used"),
        ({"muted": [1]}, "muted", "nobody is muted"),
        ({"keys": "n"}, "keys", "not a table"),
        ({"filters": "n"}, "filters", "not a table"),
        ({"filters": {"cheap": "price<"}}, "filters, cheap", "it is left out"),
        ({"filters": {"cheap": 1}}, "filters, cheap", "it is left out"),
    ],
)
def test_a_bad_setting_is_reported_and_has_its_default(table, name, message):
    settings, problems = read(**table)
    assert settings == InterfaceSettings()
    assert len(problems) == 1
    assert f"[interface] {name}" in problems[0] and message in problems[0]


def test_where_no_column_is_known_the_usual_ones_are_shown():
    settings, problems = read(columns=["prise"])
    assert settings.columns == InterfaceSettings().columns and len(problems) == 1


def test_unknown_settings_and_columns_are_reported_and_the_others_are_taken():
    settings, problems = read(colour="red", columns=["name", "prise", "token"], density="comfortable")
    assert (settings.columns, settings.density) == (("name", "token"), "comfortable")
    assert "colour: there is no such setting" in problems[0]
    assert "no column 'prise'" in problems[1]


def test_complaints_cannot_write_to_the_terminal():
    _, problems = read(theme="\x1b[31mred")
    assert "\x1b" not in problems[0]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["n", "f2", "ctrl+x", "name"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
ids = st.sampled_from([action.id for action in (*ACTIONS, *MOVES)])


@given(
    st.dictionaries(
        st.sampled_from(["theme", "columns", "sort", "density", "muted", "filters", "keys", "x"]), values, max_size=7
    ),
    st.dictionaries(ids, st.sampled_from(["n", "e", "f2", "escape", "d", "q", "ctrl+x", "up,w"]), max_size=6),
)
def test_any_table_is_read_without_a_crash_and_no_two_actions_share_a_key(table, keys):
    settings, _ = InterfaceSettings.from_mapping({"keys": keys, **table})
    again, problems = InterfaceSettings.from_mapping({"keys": settings.keys.changed})
    assert problems == () and again.keys == settings.keys


# Keys


def test_actions_of_one_id_have_the_same_keys_and_every_scope_is_known():
    keys: dict[str, str] = {}
    for action in (*ACTIONS, *MOVES):
        assert keys.setdefault(action.id, action.keys) == action.keys
        assert set(action.scopes) <= set(SCOPE_TITLES)
    assert {scope for chain in CHAINS for scope in chain} == set(SCOPE_TITLES)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"pubish": "x"}, "no action 'pubish'"),
        ({"publish": 7}, "7 is not a text of keys"),
        ({"publish": ""}, "is not a text of keys"),
        ({"publish": "hyper+q"}, "there is no key 'hyper+q'"),
        ({"publish": "e"}, "e is the key of edit as well; it keeps n"),
        ({"publish": "j"}, "j is the key of down as well"),
        ({"publish": "f8", "edit": "f8"}, "F8 is the key of"),
        ({"submit": "s"}, "s would be typed into the field"),
        ({"next_pane": "comma"}, ", would be typed into the field"),
    ],
)
def test_keys_that_cannot_be_are_refused_in_words(table, message):
    keys, problems = read_keys(table)
    assert len(problems) == 1 and message in problems[0]
    assert set(keys.changed) == set(table) - {"pubish", "publish", "submit", "next_pane"} or len(table) == 2


def test_two_actions_may_swap_their_keys():
    keys, problems = read_keys({"publish": "e", "edit": "n"})
    assert problems == [] and (keys.name("publish"), keys.name("edit")) == ("e", "n")


@pytest.mark.parametrize(
    ("key", "name"),
    [("slash", "/"), ("f5", "F5"), ("ctrl+q", "^q"), ("question_mark", "?"), ("shift+tab", "⇧Tab"), ("escape", "Esc")],
)
def test_key_names(key, name):
    assert key_name(key) == name
    assert KeyMap().names("show_new") == "F5"


@ui(listings=[])
async def test_the_palette_finds_themes_by_their_ground(ui):
    await ui.press("ctrl+p")
    await ui.type("light")
    await ui.sees("Theme: betar-light", "Theme: ansi-light", "Theme: rose-pine-dawn (light)")
    await ui.press("enter")
    await ui.until(lambda: not ui.app.current_theme.dark)
    assert ui.app.settings.now.theme == ui.app.theme


@ui(listings=[], peers=0, **with_settings(keys={"publish": "P,f9", "connect": "w", "show_new": "f6"}))
async def test_changed_keys_work_and_everything_that_names_keys_follows(ui):
    await ui.sees("Press w to add one", "or P to publish your own", "Add a peer (w)")
    assert "P Publish" in ui.lines[-1] and "F9" not in ui.lines[-1]
    await ui.press("question_mark")
    await ui.until(lambda: "P F9" in ui.text)
    await ui.press("escape")
    await ui.press("n", "a")
    assert isinstance(ui.app.screen, MainScreen)
    await ui.press("f9")
    assert isinstance(ui.app.screen, FormScreen)
    await ui.press("escape")
    await ui.press("P")
    assert isinstance(ui.app.screen, FormScreen)


@ui(**with_settings(keys={"publish": "P", "submit": "f4", "leave": "f12"}))
async def test_changed_keys_in_the_form_and_by_click_on_the_footer(ui):
    await ui.click_text("P Publish")
    assert isinstance(ui.app.screen, FormScreen)
    await ui.sees("Publish (F4)", "Keep as draft (F12)")
    await ui.press("f4")
    await ui.sees("to correct")
    await ui.press("f2", "escape")
    assert isinstance(ui.app.screen, FormScreen)
    await ui.press("f12")
    assert isinstance(ui.app.screen, MainScreen)


@ui(**with_settings(keys={"publish": "f9"}))
async def test_changed_keys_do_not_reach_an_input_either(ui):
    await ui.press("slash")
    await ui.type("n")
    await ui.press("f9")
    assert ui.one(FilterInput).value == "n"
    assert isinstance(ui.app.screen, MainScreen)


# The screen


@ui(**with_settings(theme="mauve", sort="-price"))
async def test_errors_in_the_settings_are_shown_and_nothing_stops(ui):
    assert "'mauve' is not one of" in ui.toasts[0]
    assert ui.app.model.activity.entries[0].kind == "warning"
    await ui.sees("PRICE▼")
    assert ui.app.theme == "betar-dark"


@ui(**with_settings(theme="mauve", density="airy", colour="red"))
async def test_several_errors_in_the_settings_are_one_notification(ui):
    assert ui.toasts == ["3 settings in config.toml are wrong and not in force; the activity (key 3) names them"]
    assert {each.kind for each in ui.app.model.activity.entries} == {"warning"}
    assert len(ui.app.model.activity) == 3


def settings_line(ui: Ui, text: str) -> str:
    return next(line for line in ui.lines if text in line)


class Kept:
    """Saves settings; `gate` delays it, `error` makes it fail."""

    def __init__(self) -> None:
        self.table: dict[str, object] = {}
        self.error = ""
        self.gate = threading.Event()
        self.gate.set()
        self.threads: set[int] = set()

    def __call__(self, changes) -> None:
        self.threads.add(threading.get_ident())
        assert self.gate.wait(5)
        if self.error:
            raise ConfigError(self.error)
        self.table.update(changes)


kept = Kept()


@ui(keep=kept)
async def test_settings_by_keyboard_alone(ui):
    await ui.press("comma")
    assert isinstance(ui.app.screen, SettingsScreen)
    await ui.sees("(•) betar-dark", "( ) ansi-dark", "[x] price", "[ ] protocols")
    await ui.press("down", "enter")
    await ui.sees("(•) betar-light", "( ) betar-dark")
    assert ui.app.theme == "betar-light"
    while "[ ] height" not in settings_line(ui, "▌"):
        await ui.press("down")
    await ui.press("space")
    await ui.sees("[x] height")
    while "comfortable" not in settings_line(ui, "▌"):
        await ui.press("down")
    await ui.press("enter")
    await ui.until(lambda: len(kept.table) == 3)
    assert kept.table == {
        "theme": "betar-light",
        "columns": ("name", "price", "seller", "seen", "state", "description", "height"),
        "density": "comfortable",
    }
    assert threading.get_ident() not in kept.threads
    await ui.press("end")
    await ui.sees("bottom")
    await ui.press("enter")
    await ui.sees("Press the new key for Bottom", "Now: End G")
    await ui.press("escape", "escape")
    assert isinstance(ui.app.screen, MainScreen)
    await ui.sees("NAME▲", "›")
    await ui.press(*["right"] * 5)
    await ui.sees("HEIGHT")


@ui()
async def test_keys_typed_ahead_are_taken_in_their_order(ui):
    await ui.press("comma")
    for key in ("down", "enter", "down", "space"):
        ui.app.simulate_key(key)
    await ui.sees("(•) ansi-dark")


@ui()
async def test_settings_by_mouse_alone(ui):
    await ui.press("comma")
    await ui.click_text("[x] seller")
    await ui.sees("[ ] seller")
    await ui.click_text("[x] name")
    await ui.sees("[x] name")
    await ui.click_text("( ) ansi-light")
    await ui.sees("(•) ansi-light")
    assert ui.app.theme == "ansi-light"
    await ui.click_text("Esc Back")
    await ui.sees("NAME▲")
    assert "SELLER" not in ui.text


@ui()
async def test_a_theme_of_the_command_palette_is_a_setting_as_well(ui):
    ui.app.theme = "nord"
    await ui.until(lambda: ui.app.settings.now.theme == "nord")
    await ui.press("comma")
    await ui.sees("(•) nord")


@ui()
async def test_settings_are_in_the_palette_with_and_without_a_slash(ui):
    await ui.press("ctrl+p")
    await ui.type("/settings")
    await ui.press("enter")
    await ui.until(lambda: isinstance(ui.app.screen, SettingsScreen))


refusing = Kept()


@ui(keep=refusing)
async def test_settings_that_cannot_be_saved_are_in_force_all_the_same(ui):
    refusing.error = "cannot save the settings in config.toml: the disk is full"
    await ui.press("comma", "down", "enter")
    await ui.until(lambda: any("the disk is full" in toast for toast in ui.toasts))
    assert ui.app.theme == "betar-light"


slow = Kept()


@ui(keep=slow)
async def test_the_order_is_saved_and_the_latest_value_of_each_setting(ui):
    slow.gate.clear()
    await ui.press("s", "s", "S")
    assert ui.app.model.table.window.view.sort == "-seller"
    slow.gate.set()
    await ui.until(lambda: slow.table == {"sort": "-seller"})


def test_muting_and_toggling():
    settings, seen = Settings(), []
    settings.subscribe(lambda old, new: seen.append(new.difference(old)))
    settings.mute("a")
    settings.mute("a")
    settings.mute("b")
    settings.mute("a", False)
    assert settings.now.muted == ("b",)
    settings.toggle_column("seller")
    settings.toggle_column("name")
    settings.toggle_column("seller")
    assert settings.now.columns == InterfaceSettings().columns
    assert [list(each) for each in seen] == [["muted"]] * 3 + [["columns"]] * 2


# Columns


def wide():
    return [
        listing("amber-ocr", 0.02, 1, description="reads pages", token_id="erc8004:77"),
        listing("brisk-chat", 0.5, 2, description="talks"),
    ]


ALL = ["price", "seller", "seen", "state", "protocols", "description", "addrs", "token", "height", "timestamp"]


@ui(listings=wide, **with_settings(columns=ALL))
async def test_columns_that_do_not_fit_are_scrolled_to_by_key_mouse_and_wheel(ui):
    await ui.sees("NAME▲", "PRICE", "›")
    assert "TOKEN" not in ui.text
    for _ in range(12):
        await ui.press("right")
    await ui.sees("‹", "TOKEN", "UPDATED", "erc8004:77", "amber-ocr", "10m")
    assert "PRICE" not in ui.text and "›" not in ui.text
    await ui.press("left")
    await ui.sees("›")
    for _ in range(12):
        await ui.press("left")
    await ui.sees("PRICE")
    await ui.click_text("›")
    await ui.misses("PRICE")
    await ui.click_text("‹")
    await ui.sees("PRICE")
    rows = ui.one(ListingRows)
    await ui.pilot._post_mouse_events([_wheel()], rows, offset=(5, 1), shift=True)
    await ui.misses("PRICE")


def _wheel():
    from textual.events import MouseScrollDown

    return MouseScrollDown


@ui(listings=wide, **with_settings(columns=["description", "addrs"]))
async def test_changed_optional_columns_flash(ui):
    item = next(iter(ui.market.store.values()))
    ui.market.put(replace(item, description="reads books"))
    await ui.sees("reads books", "~ amber-ocr")
    assert "description" in ui.app.model.mark(item.id).columns
    await ui.click_text("DESCRIPTION")
    assert "can be sorted by name, price" in ui.toasts[-1]


def test_options_have_the_defaults():
    assert TuiOptions().settings == InterfaceSettings()


def test_a_saved_filter_can_be_replaced_when_no_more_can_be_saved():
    settings = Settings()
    for number in range(MAX_FILTERS):
        assert settings.save_filter(f"filter {number}", "ocr") == f"filter {number}"
    assert settings.save_filter("one more", "ocr") is None
    assert settings.save_filter("filter 3", "tts") == "filter 3"
    assert (len(settings.now.filters), settings.now.filters["filter 3"]) == (MAX_FILTERS, "tts")


# Keys changed in the settings


async def choose_key(ui, action_id):
    """Open the dialogue for the key of an action."""
    await ui.press("comma")
    lines = ui.app.screen._setting_lines
    row = next(row for row, line in enumerate(lines) if line.meaning.endswith(f" ({action_id})"))
    ui.app.screen.open(row)
    await ui.sees(f"Press the new key for {lines[row].name}", "^q, ^z and ^p do here what they do everywhere")


def noted(changes, **options):
    """Options whose changes are noted in a list."""
    return {"keep": changes.append, "settings_file": "/home/me/.betar/config.toml", **options}


KEPT: list[dict[str, object]] = []


@ui(listings=[], peers=0, **noted(KEPT))
async def test_a_key_is_changed_by_pressing_it(ui):
    KEPT.clear()
    await choose_key(ui, "publish")
    await ui.press("w")
    await ui.until(lambda: KEPT == [{"keys": {"publish": "w"}}])
    file = "/home/me/.betar/config.toml"
    assert ui.toasts == [f"Publish has the key w now. It is kept in {file}, [interface.keys]"]
    await ui.sees(f"kept in {file}")
    await ui.press("escape")
    await ui.sees("w Publish")
    await ui.press("n")
    assert isinstance(ui.app.screen, MainScreen)
    await ui.press("w")
    assert isinstance(ui.app.screen, FormScreen)


@ui(listings=[], peers=0, **with_settings(keys={"publish": "w"}), **noted(KEPT))
async def test_the_usual_key_comes_back(ui):
    KEPT.clear()
    await choose_key(ui, "publish")
    await ui.sees("Now: w", "As it was at first (⌫)")
    await ui.press("backspace")
    await ui.until(lambda: KEPT == [{"keys": {"publish": None}}])
    await ui.press("escape", "n")
    assert isinstance(ui.app.screen, FormScreen)


@ui(listings=[], peers=0, **noted(KEPT))
async def test_a_key_that_is_taken_is_refused_in_words(ui):
    KEPT.clear()
    await choose_key(ui, "publish")
    await ui.press("e")
    await ui.sees("✗ e is the key of edit. Press another one")
    await ui.press("escape")
    await choose_key(ui, "submit")
    await ui.press("q")
    await ui.sees("✗ q would be typed into the field")
    await ui.click_text("Back (Esc)")
    assert KEPT == [] and ui.app.settings.now.keys == KeyMap()


@given(
    st.sampled_from(sorted({action.id for action in ACTIONS})),
    st.sampled_from(["n", "e", "w", "f9", "ctrl+n", "Q", ""]),
)
def test_no_key_that_is_taken_leaves_two_actions_with_one(action_id, key):
    keys, problem = KeyMap({"connect": "w"}).with_key(action_id, key)
    assert problem or key in ("", *keys.keys(action_id))
    again, problems = read_keys(dict(keys.changed))
    assert problems == [] and again == keys
