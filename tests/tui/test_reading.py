"""What a buyer reads, and how a person moves through it: the same keys everywhere, and hints that say what they do."""

from dataclasses import replace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from betar_tui.errors import BetarError
from betar_tui.market.history import version_changes
from betar_tui.market.marketplace import DagNodeInfo, Listing, Notice, Provenance, Version
from betar_tui.tui import form, labelled_text
from betar_tui.tui import format as fmt
from betar_tui.tui.activity import ActivityEntry
from betar_tui.tui.labelled_text import folded
from betar_tui.tui.screens.help import HelpScreen
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.screens.versions import VersionsScreen, version_text
from betar_tui.tui.settings import InterfaceSettings
from betar_tui.tui.side import MIN_SIDE, MIN_TABLE, WIDE, resized, side_width
from betar_tui.tui.stored_value import folded_line, stored_value
from betar_tui.tui.widgets.activitylog import entry_spans
from betar_tui.tui.widgets.detail import DetailView
from betar_tui.tui.widgets.lines import cut
from betar_tui.tui.widgets.listings import ListingRows
from betar_tui.tui.widgets.page import Page
from tests.tui.fake import NOW, OWN, listing, peer_id, short
from tests.tui.hostile import VALUES
from tests.tui.test_app import fill, filter_by, three
from tests.tui.ui import NEVER, Ui, ui


def many():
    return [listing(f"agent-{number:02}", 0.01 * (30 - number), number % 4 + 1) for number in range(30)]


def keys_shown(ui: Ui) -> str:
    return ui.lines[-1]


# Help


@ui(listings=three)
async def test_help_is_searched_and_has_a_page_of_words(ui):
    await ui.press("question_mark")
    await ui.sees("Main screen")
    await ui.press("slash")
    await ui.type("tombstone")
    await ui.sees("the mark that a version was removed")
    assert "Main screen" not in ui.text
    await ui.press("escape")
    await ui.sees("Main screen")
    await ui.press("w")
    await ui.sees("what one agent offers")
    await ui.press("escape")
    assert isinstance(ui.app.screen, MainScreen)


# Moving


def top(ui: Ui) -> int:
    return ui.one(DetailView).scroll_offset.y


def long():
    return [listing("amber-ocr", 0.5, description="\n\n".join(f"Paragraph {number}" for number in range(40)))]


@ui(listings=long)
async def test_the_keys_of_lists_scroll_the_page_of_a_listing(ui):
    await ui.press("enter")
    await ui.sees("Paragraph 0")
    await ui.until(lambda: ui.one(DetailView).max_scroll_y > 40)
    await ui.press("j", "j", "j", "k")
    assert top(ui) == 2
    await ui.press("G")
    assert top(ui) == ui.one(DetailView).max_scroll_y
    await ui.press("g")
    assert top(ui) == 0
    height = ui.one(DetailView).scrollable_content_region.height
    await ui.press("space")
    assert top(ui) == height - 1
    await ui.press("ctrl+d")
    assert top(ui) == height - 1 + height // 2
    await ui.press("ctrl+u", "pageup")
    assert top(ui) == 0


@ui(listings=many)
async def test_the_keys_of_lists_move_in_the_table_the_peers_and_the_help(ui):
    rows = ui.one(ListingRows)
    half = rows.scrollable_content_region.height // 2
    await ui.press("ctrl+d")
    assert rows.cursor == half
    await ui.press("ctrl+u", "j")
    assert rows.cursor == 1
    await ui.press("2", "G")
    assert ui.focused.cursor == 2
    await ui.press("g", "j")
    assert ui.focused.cursor == 1
    await ui.press("question_mark", "j")
    assert isinstance(ui.app.screen, HelpScreen)
    assert ui.one(Page).scroll_offset.y == 1
    await ui.press("G")
    assert ui.one(Page).scroll_offset.y == ui.one(Page).max_scroll_y


@ui(listings=many, settle=NEVER)
async def test_the_cursor_stays_on_its_listing_when_the_order_changes(ui):
    await ui.press("j", "j", "j")
    rows = ui.one(ListingRows)
    chosen = rows.current
    for key in ("s", "S", "s"):
        await ui.press(key)
        assert rows.current == chosen


@ui(listings=many)
async def test_the_cursor_goes_to_the_next_row_when_its_own_goes(ui):
    ui.market.put(listing("agent-05x", 0.2, mine=True))
    rows = ui.one(ListingRows)
    await ui.until(lambda: rows.count == 31)
    await ui.press(*["j"] * 6)
    assert rows.current == f"{OWN}/agent-05x"
    await ui.press("d", "y")
    await ui.until(lambda: rows.count == 30)
    assert rows.current.endswith("/agent-06")


@ui(listings=many)
async def test_the_cursor_stays_near_when_its_seller_is_muted(ui):
    await ui.press(*["j"] * 5)
    rows = ui.one(ListingRows)
    assert rows.current.endswith("/agent-05")
    await ui.press("m")
    await ui.sees("muted")
    assert rows.current.endswith("/agent-06")


@ui(listings=three)
async def test_the_cursor_goes_to_what_was_just_published(ui):
    await ui.press("n")
    await fill(ui, name="bright-new", price="0.5")
    await ui.press("f2")
    await ui.until(lambda: ui.one(ListingRows).current == f"{OWN}/bright-new")
    await ui.press("5", "n")
    await fill(ui, name="aaa-first", price="0.5")
    await ui.press("f2")
    await ui.until(lambda: getattr(ui.app.screen, "current", "") == f"{OWN}/aaa-first")


@ui(listings=three)
async def test_a_filter_that_hides_what_was_just_published_stays_and_is_named(ui):
    await filter_by(ui, "ocr")
    await ui.press("n")
    await fill(ui, name="bright-new", price="0.5")
    await ui.press("f2")
    await ui.until(lambda: "The filter hides what was just published" in ui.toasts)
    assert ui.one(ListingRows).current.endswith("/amber-ocr")


# What the keys are said to do


@ui(size=(120, 30), listings=three)
async def test_the_footer_names_what_a_key_does_where_it_is(ui):
    assert "Publish" in keys_shown(ui) and "Add peer" not in keys_shown(ui)
    await ui.press("2")
    assert "a Add peer" in keys_shown(ui) and "Publish" not in keys_shown(ui)
    await ui.press("m")
    await ui.until(lambda: "m Unmute" in keys_shown(ui))
    await ui.press("m", "3", "p")
    await ui.until(lambda: "p Go on" in keys_shown(ui))
    await ui.press("p", "1", "enter")
    await ui.until(lambda: "J JSON" in keys_shown(ui) and "v Versions" in keys_shown(ui))
    await ui.press("J")
    await ui.until(lambda: "J Page" in keys_shown(ui))
    await ui.press("J", "5")
    await ui.until(lambda: "⏎ Edit" in keys_shown(ui) and "Open" not in keys_shown(ui))


def in_euros() -> list[Listing]:
    return [listing("a", metadata={"currency": "EUR"}), listing("b", metadata={"currency": "USDC"})]


@ui(size=(120, 30), listings=in_euros)
async def test_a_listing_that_names_another_currency_says_so(ui):
    await ui.sees("! its metadata says EUR;", "USDC  ")
    await ui.press("down")
    await ui.misses("its metadata says")


@ui(size=(120, 30), listings=three)
async def test_the_stored_value_is_that_of_the_listing_where_it_was_asked_for(ui):
    await ui.press("enter")
    await ui.press("J")
    await ui.sees("As stored")
    await ui.press("1", "down")
    await ui.misses("As stored")
    await ui.press("enter")
    await ui.until(lambda: "J JSON" in keys_shown(ui))
    await ui.press("1", "up")
    await ui.pilot.pause(0.2)
    assert "As stored" not in ui.text


@ui(listings=three)
async def test_the_page_of_a_muted_seller_offers_to_hear_it_again(ui):
    await ui.press("enter")
    await ui.until(lambda: "m Mute" in keys_shown(ui))
    await ui.press("m")
    await ui.until(lambda: "m Unmute" in keys_shown(ui))


def nodes(fake) -> None:
    first, *_ = fake.store
    fake.deltas = (
        DagNodeInfo("b", 2, ("a",), 600, 1, 0, (first,)),
        DagNodeInfo("a", 1, (), 600, 1, 0, (f"{peer_id(7)}/gone-for-good",)),
    )


@ui(listings=three, prepare=nodes)
async def test_the_page_of_a_delta_shows_how_to_leave_and_whole_names(ui):
    await ui.press("4", "enter")
    await ui.sees("Delta at height 2")
    await ui.until(lambda: "Esc Close" in keys_shown(ui) and "⏎ Go there" in keys_shown(ui))
    assert "⌫" not in keys_shown(ui)
    await ui.press("enter")
    await ui.sees(f"gone-for-good  by {short(7)}", "no longer listed")
    await ui.until(lambda: "⌫ The one before" in keys_shown(ui))


# What is not as usual


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_pause_mute_and_filter_are_seen_at_every_width(width):
    @ui(size=(width, 30), listings=three)
    async def run(ui: Ui) -> None:
        await ui.press("p", "m")
        await filter_by(ui, "geo")
        await ui.until(lambda: "‖ paused, 1 wait" in ui.lines[0] and "1 muted" in ui.lines[0])
        await ui.sees("1 of 3")

    run()


@ui(size=(140, 40), listings=three)
async def test_zoom_is_seen_and_only_there_where_there_is_something_to_zoom(ui):
    await ui.press("z")
    await ui.until(lambda: "zoomed" in ui.lines[0] and "Esc Unzoom" in keys_shown(ui))
    await ui.press("escape")
    await ui.until(lambda: "zoomed" not in ui.lines[0])
    await ui.pilot.resize_terminal(80, 24)
    await ui.press("z")
    assert "zoomed" not in ui.lines[0]
    assert ui.toasts == ["Each pane already fills the screen here: there are several from 120 columns on"]


# Room


@ui(size=(200, 50), listings=three)
async def test_panes_are_resized_by_key_and_stay_so(ui):
    side = ui.one("#side")
    before = side.size.width
    assert before == side_width(200)
    await ui.press("greater_than_sign")
    await ui.until(lambda: side.size.width == before - 4)
    await ui.press("less_than_sign", "less_than_sign")
    await ui.until(lambda: side.size.width == before + 4)
    assert ui.app.settings.now.side == before + 4
    await ui.press("z")
    await ui.press("z")
    await ui.until(lambda: side.size.width == before + 4)


@given(st.integers(WIDE, 400), st.integers(0, 1000), st.integers(-20, 20))
def test_both_sides_keep_their_room(columns, chosen, by):
    for width in (side_width(columns, chosen), resized(columns, chosen, by)):
        assert MIN_SIDE <= width <= columns - MIN_TABLE


@pytest.mark.parametrize("value", [-1, True, "44", 44.5, 10_000])
def test_a_width_that_cannot_be_is_reported(value):
    settings, (problem,) = InterfaceSettings.from_mapping({"side": value})
    assert settings.side == 0 and "side" in problem


@ui(size=(200, 50), listings=three)
async def test_ids_are_whole_in_a_wide_terminal(ui):
    item = ui.market.store[f"{peer_id(1)}/amber-ocr"]
    await ui.sees(item.id, item.cid, f"Seller     {item.seller_id}")


@ui(size=(140, 40), listings=three)
async def test_the_table_shows_what_agents_do_from_140_columns_on(ui):
    await ui.sees("DESCRIPTION", "reads pages", "talks")
    await ui.pilot.resize_terminal(120, 40)
    await ui.misses("DESCRIPTION")


@pytest.mark.parametrize("size", [(80, 24), (120, 30), (140, 40), (200, 50)])
def test_a_listing_begins_with_what_it_does_and_costs(size):
    @ui(size=size, listings=three)
    async def run(ui: Ui) -> None:
        await ui.press("enter")
        await ui.sees("amber-ocr  0.02 USDC", "reads pages")
        view = ui.one(DetailView)
        await ui.until(lambda: "12D3" in view.query_one(".detail-facts").content.plain)
        lines = ui.lines[view.region.y : view.region.bottom]
        assert "amber-ocr  0.02 USDC" in lines[0] and "reads pages" in lines[1]

    run()


@ui(size=(120, 30), listings=three)
async def test_ages_go_on_in_the_page_of_a_listing(ui):
    await ui.sees("Renewed    10m ago")
    ui.clock.advance(60)
    ui.app._tick()
    await ui.sees("Renewed    11m ago")
    await ui.press("y")
    ui.clock.advance(60)
    ui.app._tick()
    await ui.sees("Renewed    12m ago")


@ui(listings=three)
async def test_ages_go_on_where_a_listing_has_the_screen(ui):
    await ui.press("enter")
    await ui.sees("Renewed    10m ago")
    ui.clock.advance(60)
    ui.app._tick()
    await ui.sees("Renewed    11m ago")


def unsigned():
    return [listing(f"agent-{number}", provenance=Provenance.UNSIGNED) for number in range(3)]


@ui(listings=unsigned)
async def test_what_holds_for_every_row_is_a_sign(ui):
    await ui.sees("agent-0", "·")
    assert "unsigned" not in ui.text
    ui.market.put(listing("signed"))
    await ui.sees("✓ new", "· unsigned")


# Texts


LINK = "Read [the terms](https://example.com/terms), https://example.org/ and ![a plan](https://example.com/plan.png)."


@ui(size=(200, 50), listings=[listing("amber", description=LINK)])
async def test_links_show_their_addresses(ui):
    await ui.sees("the terms (https://example.com/terms)", "https://example.org/ and", "(https://example.com/plan.png)")
    assert ui.text.count("https://example.org/") <= 2  # in the table, and once on the page


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Mn", "Me"]), max_size=200),
    st.integers(20, 80),
)
def test_a_folded_line_loses_nothing_and_fits(text, width):
    lines = list(folded_line(text, width))
    assert all(cell_len(line) <= width for line in lines)
    margin = min(len(text) - len(text.lstrip(" ")) + 4, width // 2)
    assert lines[0] + "".join(line[margin:] for line in lines[1:]) == text


lines_of_all = st.text("ab  漢e\u0301\u200d👩", max_size=300)


@given(lines_of_all, st.integers(20, 60))
def test_a_folded_text_fits_and_loses_nothing_but_spaces(text, width):
    lines = list(folded(text, width))
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@pytest.mark.parametrize("letter", ["漢", "x", "a ", "e\u0301", "\u0301", " "])
@pytest.mark.parametrize("fold", [folded, folded_line])
def test_folding_looks_at_each_letter_a_few_times(monkeypatch, fold, letter):
    text, looked = letter * (20_000 // len(letter)), 0

    def measured(part: str) -> int:
        nonlocal looked
        looked += len(part)
        return cell_len(part)

    monkeypatch.setattr(labelled_text, "cell_len", measured)
    assert list(fold(text, 60))
    assert looked <= 5 * len(text)


def test_a_key_stays_with_the_beginning_of_its_value():
    (text, _), _ = stored_value('{"id": "' + "x" * 90 + '"}', 40)
    assert text.splitlines()[1].startswith('  "id": "xxx')


spans = st.lists(st.tuples(st.text("ab 漢", max_size=12), st.just("")), max_size=6)


@given(spans, st.integers(1, 40))
def test_a_line_that_is_cut_says_so(spans, width):
    text = "".join(piece for piece, _ in spans)
    kept = "".join(piece for piece, _ in cut(spans, width))
    assert cell_len(kept) <= max(width, cell_len(kept.rstrip()))
    if cell_len(text.rstrip()) <= width:
        assert kept.rstrip() == text.rstrip()
    else:
        assert kept.endswith("…") and cell_len(kept) <= width


# Prices


@given(st.floats(0, 9_999, allow_nan=False).map(lambda value: round(value, 4)), st.sampled_from(["", "↑", "↓"]))
def test_prices_stand_with_their_points_below_each_other(value, mark):
    line = fmt.aligned_price(value, mark, 11)
    assert cell_len(line) == 11
    assert line.strip() == fmt.price(value) + mark
    whole = fmt.price(value).partition(".")[0]
    if len(whole) <= 5:
        assert line[:5].strip() == whole


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["", "↓"]), st.integers(6, 20))
def test_any_price_has_its_width(value, mark, width):
    assert cell_len(fmt.aligned_price(value, mark, width)) == width


@pytest.mark.parametrize("typed", ["0.5", "0.50", "12", "0.00001", "0.123456789", "1e-9"])
def test_a_price_is_shown_as_it_was_typed(typed):
    assert float(fmt.price(float(typed)).replace(",", "")) == float(typed)
    assert "e" not in fmt.price(float(typed))


@pytest.mark.parametrize("text", ["1_000", "٣", "0x10", "1 000", "1,5", "½"])
def test_a_price_in_another_writing_is_refused(text):
    assert "is not a number" in form.problems({"name": "a", "price": text})["price"]


@ui(listings=three)
async def test_the_form_names_the_currency_and_has_the_cursor_after_the_text(ui):
    await ui.press("5", "e")
    await ui.sees("Price, USDC")
    field = ui.one("#field-description")
    assert field.cursor_location == field.document.end != (0, 0)


# Versions


@ui(listings=three)
async def test_an_old_version_is_opened_from_the_history(ui):
    item = ui.market.store[f"{peer_id(1)}/amber-ocr"]
    ui.market.put(replace(item, price=0.75))
    await ui.sees("0.75")
    await ui.press("enter")
    await ui.until(lambda: "v opens a version" in ui.one(DetailView).query_one(".detail-history").content.plain)
    await ui.press("v")
    assert isinstance(ui.app.screen, VersionsScreen)
    await ui.sees("changed: ~ price: 0.02 → 0.75", "published", "0.75 USDC")
    await ui.press("j")
    await ui.sees("0.02 USDC")
    assert "0.75 USDC" not in ui.text.split("Versions of")[1]
    await ui.press("enter", "G", "escape")
    assert isinstance(ui.app.screen, VersionsScreen)
    await ui.press("escape")
    await ui.sees("reads pages")


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
def test_versions_are_opened_from_the_table(size):
    @ui(size=size, listings=three)
    async def run(ui: Ui) -> None:
        ui.market.put(replace(ui.market.store[f"{peer_id(1)}/amber-ocr"], price=0.75))
        await ui.sees("0.75")
        await ui.press("v")
        await ui.sees("Versions of amber-ocr", "0.75 USDC")
        await ui.press("escape")
        await ui.until(lambda: isinstance(ui.app.screen, MainScreen))
        ui.market.fail["show"] = BetarError("the peer is busy")
        await ui.press("v")
        await ui.sees("The versions cannot be had: the peer is busy")

    run()


@ui(size=(80, 24), listings=three)
async def test_versions_that_come_late_do_not_open_over_another_screen(ui):
    ui.market.gates["show"] = trio.Event()
    await ui.press("v", "4")
    await ui.until(lambda: "show" in dict(ui.market.calls))
    await ui.sees("Replica")
    ui.market.gates.pop("show").set()
    await ui.press("escape", "slash", *"zzz")
    await ui.sees("No match among")
    assert "Versions of" not in ui.text


@ui(size=(80, 24), listings=three)
async def test_a_stored_value_that_cannot_be_had_is_asked_for_again(ui):
    ui.market.fail["show"] = BetarError("the peer is busy")
    await ui.press("enter", "J")
    await ui.sees("the peer is busy", "(r tries again)")
    ui.market.fail.clear()
    await ui.press("r")
    await ui.sees("As stored")


# Keys that would do nothing


@ui(size=(120, 36), listings=[], peers=0)
async def test_the_footer_has_no_key_for_what_is_not_there(ui):
    await ui.sees("No listings yet")
    assert not any(key in keys_shown(ui) for key in ("e Edit", "d Delist", "Open"))
    await ui.press("2")
    await ui.until(lambda: "a Add peer" in keys_shown(ui))
    assert not any(key in keys_shown(ui) for key in ("m Mute", "X Block", "y Copy", "Open"))
    for place in "456":
        await ui.press(place)
        await ui.until(lambda: "Esc Back" in keys_shown(ui))
        assert not any(key in keys_shown(ui) for key in ("⏎", "Delist", "Renew")), place
        await ui.press("escape")


@ui(size=(120, 36), listings=three)
async def test_the_footer_follows_the_line_of_the_activity(ui):
    ui.market.put(replace(ui.market.store[f"{peer_id(1)}/amber-ocr"], price=0.75))
    ui.market.emit(Notice("info", "something happened", NOW))
    await ui.sees("something happened")
    await ui.press("3")
    await ui.until(lambda: "p Pause" in keys_shown(ui) and "⏎" not in keys_shown(ui))
    await ui.press("k")
    await ui.until(lambda: "⏎ Its listing" in keys_shown(ui))


@ui(size=(120, 36), listings=three, prepare=lambda fake: fake.more_status.update(troubles=("the DHT has failed",)))
async def test_a_trouble_is_told_where_the_status_line_says(ui):
    await ui.sees("! 1 trouble (4 tells)")
    await ui.press("4")
    await ui.sees("! the DHT has failed")


def entry(**more: object) -> ActivityEntry:
    return ActivityEntry(NOW, "update", "amber-ocr", "id", via=peer_id(2), cid="bafy" + "x" * 50, height=7, **more)


def test_a_line_of_the_activity_ends_with_whole_facts():
    whole = "".join(text for text, _ in entry_spans(entry(bytes=612, took=0.0004), "", 400))
    assert whole.endswith("height 7  612 B in 0.4 ms")
    ends = {
        "".join(text for text, _ in entry_spans(entry(bytes=612, took=0.0004), "", width)) for width in range(30, 200)
    }
    assert len(ends) == 5  # without any, and with one more each time
    assert all(whole.startswith(each) for each in ends)


def two_versions() -> list[Version]:
    return [Version("b", 2, '{"price": 1, "timestamp": 0}'), Version("a", 1, '{"price": 2}')]


@pytest.mark.parametrize("value", VALUES)
def test_a_version_of_anybody_is_shown_as_stored(value):
    versions = [Version("c", 3, value), *two_versions(), Version("0", 0, value), Version("1", 0, value)]
    for version, change in zip(versions, version_changes(versions), strict=True):
        head, _, stored = version_text(version, change, NOW, 60).plain.partition("\nAs stored\n")
        assert f"Height     {version.height}" in head.splitlines()
        assert "".join(stored.split()).startswith("".join((version.value or "").split())[:9])


def test_a_version_has_the_price_and_the_time_that_a_listing_can_have():
    def shown(value: str) -> list[str]:
        version = Version("c", 3, value)
        (change,) = version_changes([version])
        return version_text(version, change, NOW, 60).plain.split("As stored")[0].splitlines()

    assert "Price      0.5 USDC" in shown('{"price": 0.5}')
    assert "Put        just now by its seller's clock" in shown(f'{{"timestamp": {int(NOW)}}}')
    assert not [line for line in shown(VALUES[0]) if line.startswith(("Price", "Put"))]


def test_what_is_nested_deeper_than_a_listing_is_unreadable():
    (change,) = version_changes([Version("c", 3, f'{{"x": {"[" * 33}{"]" * 33}}}')])
    assert change.summary == "unreadable"


# Filters


@pytest.mark.parametrize(
    ("query", "words"), [("tier=gold", "meta.tier:gold"), ("zebra", "meta.KEY:zebra"), ("not zebra", "write !zebra")]
)
def test_a_filter_that_finds_nothing_says_where_it_looked(query, words):
    @ui(listings=three)
    async def run(ui: Ui) -> None:
        await filter_by(ui, query)
        await ui.sees("No match among 3 listings", words)

    run()
