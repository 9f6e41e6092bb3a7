"""A market of which the table holds a part: scrolling, filtering and what changes meanwhile."""

from dataclasses import replace

import trio

from betar_tui.errors import ControlError
from betar_tui.tui import app as app_module
from betar_tui.tui.settings import InterfaceSettings
from betar_tui.tui.widgets.filterbar import FilterBar, FilterInput
from betar_tui.tui.widgets.listings import ListingRows
from betar_tui.tui.window import MAX_PAGE
from tests.tui.fake import FakeMarketplace, listing, peer_id
from tests.tui.test_app import filter_by
from tests.tui.ui import NEVER, Ui, ui


def thousand():
    return [listing(f"agent-{n:04}", n / 1000, n % 7) for n in range(1000)]


def verdict(ui: Ui) -> str:
    return ui.one(FilterBar)._shown[1].strip()


def asked(ui: Ui) -> int:
    return [name for name, _ in ui.market.calls].count("listings")


async def loaded(ui: Ui) -> None:
    rows = ui.one(ListingRows)

    def complete() -> bool:
        top, height = rows.scroll_offset.y, rows.size.height
        return all(rows.at(row) for row in range(top, min(top + height, rows.count)))

    await ui.until(complete, "every row in sight")


def name_at(ui: Ui) -> str:
    return ui.one(ListingRows).current.rpartition("/")[2]


@ui(listings=thousand, settle=NEVER)
async def test_scrolling_loads_pages_and_drops_those_far_away(ui):
    rows, window = ui.one(ListingRows), ui.app.model.table.window
    assert rows.count == 1000 and len(window.ids) < 1000
    for _ in range(20):
        await ui.press("pagedown")
        await loaded(ui)
        assert name_at(ui) == f"agent-{rows.cursor:04}"
        assert len(window.ids) <= 3 * MAX_PAGE
    await ui.press("end")
    await loaded(ui)
    assert (rows.cursor, name_at(ui)) == (999, "agent-0999")
    await ui.sees("agent-0990")
    for _ in range(5):
        await ui.press("pageup")
        await loaded(ui)
        assert name_at(ui) == f"agent-{rows.cursor:04}"
    await ui.press("home")
    await loaded(ui)
    assert (rows.cursor, name_at(ui)) == (0, "agent-0000")


@ui(listings=thousand, settle=NEVER)
async def test_a_jump_of_the_scrollbar_shows_dots_until_the_rows_come(ui):
    rows = ui.one(ListingRows)
    await ui.press("down")
    ui.market.gates["listings"] = trio.Event()
    rows.scroll_to(y=500, animate=False)
    await ui.sees("  …")
    assert name_at(ui) == "agent-0001", "the cursor stays on its listing"
    ui.market.gates.pop("listings").set()
    await ui.sees("agent-0505")
    assert rows.scroll_offset.y == 500
    await ui.press("enter")
    await ui.sees("agent-0001")


def inexact(fake: FakeMarketplace) -> None:
    fake.exact = False


@ui(listings=thousand, settle=NEVER, prepare=inexact)
async def test_a_number_of_matches_that_comes_later(ui):
    ui.market.gates["count"] = trio.Event()
    await filter_by(ui, "agent")
    await ui.until(lambda: verdict(ui) == "1,000+ of 1,000", "a bound")
    ui.market.gates.pop("count").set()
    await ui.until(lambda: verdict(ui) == "1,000 of 1,000", "the exact number")
    await ui.press("end")
    await loaded(ui)
    assert name_at(ui) == "agent-0999"
    await ui.press("pageup")
    await loaded(ui)
    assert name_at(ui) < "agent-0999"


@ui(listings=thousand, settle=NEVER)
async def test_typing_never_waits_for_the_rows(ui):
    ui.market.gates["listings"] = trio.Event()
    await ui.press("slash")
    await ui.type("agent-0777")
    assert ui.one(FilterInput).value == "agent-0777"
    await ui.sees("agent-0001")
    ui.market.gates.pop("listings").set()
    await ui.until(lambda: verdict(ui) == "1 of 1,000", "the result")
    await ui.sees("agent-0777 ")


@ui(listings=thousand, settle=NEVER)
async def test_keys_after_a_filter_wait_for_its_rows(ui, monkeypatch):
    monkeypatch.setattr(app_module, "HOLD", 60.0)
    await ui.press("slash")
    await ui.type("agent-0777")
    ui.market.gates["listings"] = trio.Event()
    ui.one(FilterInput).value = "agent-0778"
    await ui.pilot.pause()
    await ui.press("enter", "y", "i")
    assert not ui.app.clipboard
    ui.market.gates.pop("listings").set()
    await ui.until(lambda: ui.app.clipboard.endswith("agent-0778"), "the id of the row that was meant")


@ui(listings=thousand, settle=NEVER)
async def test_the_cursor_keeps_its_listing_when_the_filter_goes(ui):
    await filter_by(ui, "agent-07")
    await ui.press("down", "down", "down")
    chosen = name_at(ui)
    await ui.press("escape")
    rows = ui.one(ListingRows)
    assert (name_at(ui), rows.cursor) == (chosen, 703)
    await filter_by(ui, "agent-01")
    assert (name_at(ui), rows.cursor) == ("agent-0100", 0)


@ui(listings=thousand)
async def test_rows_are_taken_in_around_the_cursor_far_from_the_start(ui):
    rows = ui.one(ListingRows)
    await ui.press("end")
    await loaded(ui)
    await ui.press("pageup", "pageup")
    await loaded(ui)
    chosen, line = rows.current, rows.cursor - rows.scroll_offset.y
    for number in range(5):
        ui.market.put(listing(f"agent-0000-{number}", 0.1, 4))
    await ui.until(lambda: rows.count == 1005, "all of them")
    assert (rows.current, rows.cursor - rows.scroll_offset.y) == (chosen, line)
    ui.market.remove(chosen)
    await ui.until(lambda: chosen not in ui.app.model.table.window, "one less")
    assert rows.count == 1004
    assert name_at(ui) > chosen.rpartition("/")[2] and rows.cursor - rows.scroll_offset.y == line


@ui(size=(120, 36), listings=thousand)
async def test_an_activity_line_leads_to_a_listing_far_away(ui):
    item = ui.market.store[f"{peer_id(500 % 7)}/agent-0500"]
    ui.market.put(replace(item, price=0.7))
    await ui.sees("price 0.5 → 0.7")
    await filter_by(ui, "agent-07")
    await ui.press("shift+tab", "enter")
    await ui.until(lambda: name_at(ui) == "agent-0500", "the listing")
    assert ui.one(FilterInput).value == ""
    await ui.sees("agent-0495", "~ agent-0500")


@ui(listings=thousand, settle=NEVER)
async def test_a_filter_that_cannot_be_asked_leaves_the_rows(ui):
    ui.market.fail["listings"] = ControlError("the peer is busy")
    await filter_by(ui, "agent-07")
    await ui.sees("the peer is busy", "agent-0001")
    ui.market.fail.clear()
    await filter_by(ui, "7")
    await ui.sees("agent-0777")


@ui(listings=thousand, settle=NEVER)
async def test_keys_that_waited_too_long_do_nothing(ui, monkeypatch):
    monkeypatch.setattr(app_module, "HOLD", 0.01)
    await filter_by(ui, "agent-0777")
    ui.market.gates["listings"] = trio.Event()
    await ui.press("s", "y")
    await ui.until(lambda: not ui.app._held, "they are dropped")
    ui.market.gates.pop("listings").set()
    await ui.until(lambda: not ui.app.paging.for_person, "the rows")
    assert len(ui.app.screen_stack) == 1
    ui.market.gates["listings"] = trio.Event()
    await ui.press("s", "slash")
    assert ui.focused is ui.one(FilterInput), "the way to another filter is open"


# Saved filters


@ui(listings=thousand, settings=InterfaceSettings(filters={"cheap": "price<0.003"}))
async def test_filters_are_saved_under_names_and_picked_again(ui):
    kept = []
    ui.app.settings.subscribe(lambda old, new: kept.append(new.difference(old)))
    await ui.press("B")
    assert "There is no filter to save" in ui.toasts[-1]
    ui.one("#filter").value = "price<"
    await ui.pilot.pause()
    await ui.press("B")
    assert "The filter is not saved: " in ui.toasts[-1]
    assert not kept
    ui.one("#filter").value = ""
    await filter_by(ui, "agent-01")
    await ui.press("B")
    await ui.sees("Save this filter", "agent-01")
    await ui.type("the first")
    await ui.press("enter")
    assert kept == [{"filters": {"the first": "agent-01"}}]
    await ui.press("b")
    await ui.sees("cheap", "the first")
    await ui.press("enter")
    await ui.until(lambda: verdict(ui) == "3 of 1,000", "the filter")
    commands = {command.title: command for command in ui.app.get_system_commands(ui.app.screen)}
    commands["Filter: the first"].callback()
    await ui.until(lambda: verdict(ui) == "100 of 1,000", "the other filter")
    await ui.press("F", "enter")
    assert kept[-1] == {"filters": {"cheap": None}}
    await ui.press("b")
    await ui.sees("the first")
    await ui.press("escape")
