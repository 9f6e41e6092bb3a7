"""What a person can do with the app, by keyboard and by mouse, over a marketplace in memory."""

import asyncio
import json
from dataclasses import replace

import pytest
import trio

from betar_tui.errors import ControlError, ListingError, StoreError
from betar_tui.market.marketplace import ChangeKind, Connectivity, Missed
from betar_tui.tui.app import StatusLoaded
from betar_tui.tui.screens.detail import DetailScreen
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.screens.publish import FormScreen
from betar_tui.tui.widgets.detail import DetailView
from betar_tui.tui.widgets.filterbar import FilterInput
from betar_tui.tui.widgets.listings import ListingRows
from betar_tui.tui.widgets.pane import Pane
from betar_tui.tui.widgets.peers import PeerTable
from tests.tui.fake import NOW, OWN, FakeMarketplace, listing, peer_id, short, silent
from tests.tui.ui import NEVER, Ui, shown_ids, ui


def three():
    return [
        listing("amber-ocr", 0.02, 1, description="reads pages"),
        listing("brisk-chat", 0.5, 2, description="talks"),
        listing("calm-geo", 1.5, mine=True, description="knows **places**"),
    ]


async def filter_by(ui: Ui, text: str) -> None:
    await ui.press("slash")
    await ui.type(text)
    await ui.press("enter")


# Starting


@ui(listings=three)
async def test_status_line_shows_connectivity_peers_listings_and_heads(ui):
    status = ui.lines[0]
    for part in ("betar", "● online", "peers 3", "listings 3", "Δ 0/s", "heads 2", "synced"):
        assert part in status


def hold_listings(fake: FakeMarketplace) -> None:
    fake.gates["listings"] = trio.Event()


@ui(listings=three, prepare=hold_listings, ready=False)
async def test_first_frame_does_not_wait_for_the_marketplace(ui):
    await ui.sees("betar", "Reading the stored listings")
    ui.market.gates.pop("listings").set()
    await ui.sees("amber-ocr", "brisk-chat")


@ui(listings=three, prepare=hold_listings, ready=False)
async def test_the_rows_are_there_before_status_and_peers_are_asked_for(ui):
    await ui.until(lambda: "listings" in dict(ui.market.calls), "the rows are asked for")
    assert {name for name, _ in ui.market.calls} == {"events", "listings"}
    ui.market.gates.pop("listings").set()
    await ui.sees("amber-ocr", "peers 3")
    asked = [name for name, _ in ui.market.calls]
    assert asked.index("listings") < asked.index("status") < asked.index("peers")


@ui(listings=three, prepare=hold_listings, ready=False)
async def test_status_comes_though_the_rows_are_slow(ui):
    await ui.sees("● online", "peers 3", "Reading the stored listings")
    assert "amber-ocr" not in ui.text
    ui.market.gates.pop("listings").set()
    await ui.sees("amber-ocr")


@ui(listings=three, prepare=hold_listings, ready=False, mount_panes_after=60.0)
async def test_leaving_while_panes_are_mounted(ui):
    main = ui.app.screen
    task = asyncio.ensure_future(main.mount_panes())
    await asyncio.sleep(0)
    await ui.app.action_quit()
    ui.app._close_messages_no_wait()
    await task


@ui(listings=[], peers=0)
async def test_empty_market_says_why_and_which_key(ui):
    await ui.sees("No listings yet", "Press a to add one", "or n to publish")
    await ui.press("a")
    await ui.sees("Add a peer")


@ui(listings=[], peers=2)
async def test_empty_market_with_peers_says_something_else(ui):
    await ui.sees("The market is empty", "press n")


def offline(fake: FakeMarketplace) -> None:
    fake.go(Connectivity.STOPPED)


@ui(listings=[], prepare=offline)
async def test_offline_is_said_in_words(ui):
    await ui.sees("□ offline", "Offline, and nothing is stored yet")
    await ui.press("2")
    await ui.sees("No peer runs on this data directory")


@ui(listings=three, prepare=offline)
async def test_stored_listings_are_shown_offline(ui):
    await ui.sees("□ offline", "amber-ocr")


def broken(fake: FakeMarketplace) -> None:
    fake.fail["listings"] = StoreError("the database is damaged: run betar-tui doctor")


@ui(listings=three, prepare=broken, ready=False)
async def test_error_is_shown_with_a_retry(ui):
    await ui.sees("The listings cannot be read", "the database is damaged", "Try again (r)")
    ui.market.fail.clear()
    await ui.press("r")
    await ui.sees("amber-ocr")


@ui(listings=three, prepare=broken, ready=False)
async def test_retry_by_mouse(ui):
    await ui.sees("Try again (r)")
    ui.market.fail.clear()
    await ui.click_text("Try again")
    await ui.sees("amber-ocr")


@ui(listings=three)
async def test_lost_peer_is_said_and_found_again(ui):
    ui.market.fail["events"] = ControlError("the running peer went away")
    ui.market.break_stream()
    await ui.sees("✗ lost the peer", "amber-ocr")
    assert "peers 3" not in ui.text
    await ui.press("2")
    await ui.sees("The peers cannot be read", "the running peer went away", "Try again (r)")
    # The answer to a call that was made before is ignored.
    ui.app.post_message(StatusLoaded(await ui.app.bridge.status(), await ui.app.bridge.peers()))
    await ui.pilot.pause()
    assert "peers 3" not in ui.text
    assert not ui.app.model.peers
    ui.market.fail.clear()
    ui.market.go(Connectivity.ONLINE, 2)
    await ui.press("r")
    await ui.sees("● online", "peers 2", "PEER")
    assert [entry.text for entry in ui.app.model.activity.entries][-1] == "The peer is back"


# Following


@ui(listings=three)
async def test_new_changed_and_delisted_rows_carry_signs(ui):
    ui.market.put(listing("delta-new", 0.1, 4))
    await ui.sees("+ delta-new", "✓ new")
    ui.market.put(replace(ui.market.store[f"{peer_id(1)}/amber-ocr"], price=0.01))
    await ui.sees("0.01↓")
    assert "~ amber-ocr" in ui.text
    ui.clock.advance(60)
    await ui.until(lambda: ui.app.model.mark(f"{peer_id(1)}/amber-ocr") is None)
    ui.market.remove(f"{peer_id(2)}/brisk-chat")
    await ui.until(lambda: f"{peer_id(2)}/brisk-chat" not in shown_ids(ui.one(ListingRows)))


@ui(listings=three)
async def test_refreshes_are_folded_and_are_not_news(ui):
    item = ui.market.store[f"{peer_id(1)}/amber-ocr"]
    for _ in range(12):
        ui.market.put(item, kind=ChangeKind.REFRESH)
    ui.market.put(listing("delta-new", 0.1, 4))
    await ui.sees("delta-new")
    assert "~ amber-ocr" not in ui.text
    await ui.press("3")
    await ui.sees("refreshed ×12 amber-ocr", "+ put")
    assert sum("amber-ocr" in line for line in ui.lines) == 1


@ui(settle=NEVER)
async def test_rows_keep_their_place_while_others_arrive(ui):
    await ui.press("down", "down", "down")
    rows = ui.one(ListingRows)
    before, chosen, line = shown_ids(rows), rows.current, rows.cursor
    text = ui.lines[4:10]
    for number in range(5):
        ui.market.put(listing(f"aaa-{number}", 0.1, 4))
    gone = before[6]
    ui.market.remove(gone)
    await ui.sees("↑ 5 new (F5)", "× delisted")
    assert shown_ids(rows) == before
    assert (rows.current, rows.cursor) == (chosen, line)
    assert ui.lines[4:10] == text
    await ui.press("f5")
    await ui.sees("aaa-0")
    assert rows.current == chosen
    assert rows.cursor == line + 5
    assert gone not in shown_ids(rows)
    assert "new (F5)" not in ui.text


@ui(settle=NEVER)
async def test_cursor_keeps_its_line_on_the_screen_when_rows_come_in_above(ui):
    await ui.press("pagedown", "pagedown")
    rows = ui.one(ListingRows)
    chosen, line = rows.current, rows.cursor - rows.scroll_offset.y
    for number in range(5):
        ui.market.put(listing(f"aaa-{number}", 0.1, 4))
    await ui.sees("↑ 5 new (F5)")
    await ui.press("f5")
    await ui.misses("new (F5)")
    assert rows.current == chosen
    assert rows.cursor - rows.scroll_offset.y == line


@ui(listings=three)
async def test_missed_events_load_everything_again(ui):
    ui.market.put(listing("delta-new", 0.1, 4), silent=True)
    ui.market.emit(Missed(7))
    await ui.sees("delta-new")


@ui(listings=three, peers=0)
async def test_peers_coming_up_show_in_the_status_line(ui):
    await ui.sees("○ no peers")
    ui.market.go(Connectivity.ONLINE, peers=2)
    await ui.sees("● online", "peers 2")


@ui(size=(120, 36), listings=three)
async def test_pause_holds_the_activity_still(ui):
    await ui.press("p")
    ui.market.notice("something happened")
    ui.market.put(listing("delta-new", 0.1, 4))
    await ui.sees("delta-new", "paused, 2 wait (p goes on)")
    assert "something happened" not in ui.text
    await ui.press("p")
    await ui.sees("something happened")


@ui(size=(120, 36), listings=three)
async def test_activity_line_leads_to_its_listing(ui):
    ui.market.put(replace(ui.market.store[f"{peer_id(2)}/brisk-chat"], price=0.4))
    await ui.sees("price 0.5 → 0.4")
    await filter_by(ui, "ocr")
    await ui.press("shift+tab", "enter")
    assert ui.one(ListingRows).current == f"{peer_id(2)}/brisk-chat"


# Filter and sort


@ui()
async def test_filter_narrows_as_it_is_typed(ui):
    await ui.press("slash")
    await ui.type("ocr price<0.5")
    await ui.sees(" of 40")
    rows = ui.one(ListingRows)
    items = [ui.market.store[row] for row in shown_ids(rows)]
    assert items and all(item.price < 0.5 and "ocr" in item.name for item in items)
    await ui.press("enter")
    assert ui.focused is rows
    await ui.press("escape")
    assert rows.count == 40
    assert ui.one(FilterInput).value == ""


@ui(listings=three)
async def test_bad_filter_says_what_is_wrong_and_keeps_the_last_good_result(ui):
    await ui.press("slash")
    await ui.type("ocr pric")
    await ui.sees("… price<0.5", "amber-ocr")
    await ui.type("e<x")
    await ui.sees("! 'x' is not a number, as in price<0.5")
    assert [ui.market.store[row].name for row in shown_ids(ui.one(ListingRows))] == ["amber-ocr"]
    await ui.press("backspace")
    await ui.type("1")
    await ui.sees("1 of 3")


@ui(listings=three)
async def test_a_wrong_filter_keeps_the_rows_of_before_though_the_last_answer_has_none(ui):
    await ui.press("slash")
    ui.market.gates["listings"] = trio.Event()
    for text in ("ocr", "ocr pric", "ocr price<", "ocr price<x"):
        ui.one(FilterInput).value = text
        await ui.pilot.pause()
    ui.market.gates.pop("listings").set()
    await ui.sees("! 'x' is not a number, as in price<0.5")
    await ui.until(lambda: [ui.market.store[row].name for row in shown_ids(ui.one(ListingRows))] == ["amber-ocr"])


@ui(listings=three)
async def test_a_wrong_filter_says_what_is_wrong_where_there_are_no_rows(ui):
    await filter_by(ui, "zebra")
    await ui.sees("No match among 3 listings")
    await ui.press("slash")
    await ui.type(" price<abc")
    await ui.sees("The filter is not understood", "'abc' is not a number, as in price<0.5", "the last right one, zebra")
    await ui.misses("No match among")
    await ui.press("backspace", "backspace", "backspace")
    await ui.type("1")
    await ui.sees("No match among 3 listings")


@ui(listings=three)
async def test_filter_that_leaves_nothing_says_how_to_get_out(ui):
    await filter_by(ui, "zebra")
    await ui.sees("No match among 3 listings", "Esc takes it away")
    await ui.click_text("Take it away")
    await ui.sees("amber-ocr")


@ui(listings=three)
async def test_typing_never_triggers_a_command(ui):
    await filter_by(ui, "qnd?e")
    assert isinstance(ui.app.screen, MainScreen)
    assert ui.one(FilterInput).value == "qnd?e"


@ui(listings=three)
async def test_sort_by_key_and_by_header(ui):
    rows = ui.one(ListingRows)

    def names() -> list[str]:
        return [ui.market.store[row].name for row in shown_ids(rows)]

    assert names() == ["amber-ocr", "brisk-chat", "calm-geo"]
    await ui.press("s")
    await ui.sees("PRICE▲")
    await ui.press("S")
    await ui.sees("PRICE▼")
    assert names() == ["calm-geo", "brisk-chat", "amber-ocr"]
    await ui.click_text("NAME")
    await ui.sees("NAME▲")
    await ui.click_text("NAME")
    await ui.sees("NAME▼")
    assert names() == ["calm-geo", "brisk-chat", "amber-ocr"]


# Detail


@ui(listings=three)
async def test_detail_screen_with_history(ui):
    item = ui.market.store[f"{peer_id(1)}/amber-ocr"]
    ui.market.put(replace(item, price=0.05))
    await ui.sees("0.05↑")
    await ui.press("enter")
    assert isinstance(ui.app.screen, DetailScreen)
    await ui.sees("signed by its seller", item.seller_id, "reads pages")
    view = ui.one(DetailView)
    await ui.until(lambda: "price: 0.02 → 0.05" in view.query_one(".detail-history").content.plain)
    await ui.press("escape")
    assert isinstance(ui.app.screen, MainScreen)


@ui(listings=three)
async def test_detail_shows_that_its_listing_is_gone(ui):
    await ui.press("enter")
    await ui.sees("reads pages")
    ui.market.remove(f"{peer_id(1)}/amber-ocr")
    await ui.sees("× no longer listed")


@ui(listings=three)
async def test_history_that_cannot_be_had_is_said(ui):
    ui.market.fail["show"] = ControlError("the peer is busy")
    await ui.press("enter")
    await ui.until(lambda: "the peer is busy" in ui.one(".detail-history").content.plain)


@ui(size=(120, 36), listings=three)
async def test_wide_terminal_shows_the_listing_next_to_the_table(ui):
    await ui.sees("Listing", "Peers", "Activity", "reads pages")
    await ui.press("down")
    await ui.sees("talks")
    await ui.press("enter")
    assert isinstance(ui.app.screen, MainScreen)
    assert ui.focused is ui.one(DetailView)


@ui(size=(120, 36), listings=three)
async def test_terminal_may_change_its_size(ui):
    await ui.pilot.resize_terminal(80, 24)
    await ui.sees("[1 Market]")
    assert not ui.one("#pane-detail").display
    await ui.pilot.resize_terminal(130, 40)
    await ui.sees("reads pages")


@ui(listings=three)
async def test_copying(ui):
    await ui.press("y")
    await ui.sees("Copy of amber-ocr", "i  Id", "c  CID", "j  JSON", "m  Multiaddr")
    await ui.press("i")
    assert ui.app.clipboard == f"{peer_id(1)}/amber-ocr"
    await ui.press("y", "m")
    assert ui.app.clipboard == "/ip4/203.0.113.7/tcp/4001"
    await ui.press("y", "j")
    await ui.until(lambda: ui.app.clipboard.startswith('{"id": "'))
    assert json.loads(ui.app.clipboard)["name"] == "amber-ocr"
    await ui.press("y")
    await ui.click_text("c  CID")
    assert ui.app.clipboard.startswith("bafyrei")
    await ui.press("down", "c")
    assert ui.app.clipboard == ui.market.store[f"{peer_id(2)}/brisk-chat"].cid
    ui.market.fail["show"] = ControlError("the peer is busy")
    await ui.press("y", "j")
    await ui.until(lambda: "The stored value cannot be had: the peer is busy" in ui.toasts)


# Publish, edit, delist


async def fill(ui: Ui, **texts: str) -> None:
    for name, text in texts.items():
        ui.one(f"#field-{name}").focus()
        await ui.pilot.pause()
        await ui.type(text)


@ui(listings=three, prepare=silent)
async def test_publish(ui):
    await ui.press("n")
    await fill(ui, name="swift-ocr", price="0.02", description="fast", metadata="region = eu")
    await ui.press("f2")
    await ui.until(lambda: isinstance(ui.app.screen, MainScreen))
    await ui.sees("+ swift-ocr", "by you  stored, sent to 3 peers")
    assert ui.toasts == []
    (draft,) = dict(ui.market.calls)["publish"]
    assert (draft.name, draft.price, draft.metadata) == ("swift-ocr", 0.02, {"region": "eu"})
    assert draft.addrs == () and draft.protocols == ()


@ui(listings=three, peers=0)
async def test_publish_without_peers_is_pending(ui):
    await ui.press("n")
    await fill(ui, name="swift-ocr", price="0")
    await ui.press("f2")
    await ui.sees("↑ 1 pending")
    assert "pending and goes out when one is" in ui.toasts[-1]
    ui.market.go(Connectivity.ONLINE, peers=1)
    await ui.sees("synced")


@ui(listings=three)
async def test_errors_stand_at_their_fields_before_anything_is_sent(ui):
    await ui.press("n")
    await fill(ui, price="cheap")
    ui.one("#field-addrs").focus()
    await ui.press("enter")
    await ui.type("nonsense")
    await ui.press("f2")
    await ui.sees("a listing needs a name", "'cheap' is not a number", "is not a multiaddr", "✗ 3 fields to correct")
    assert ui.focused.id == "field-name"
    assert "publish" not in dict(ui.market.calls)
    await ui.type("x")
    await ui.misses("a listing needs a name")
    await ui.sees("✗ 2 fields to correct")
    ui.one("#field-price").value = "1"
    await ui.sees("✗ 1 field to correct")
    ui.one("#field-name").value = ""
    await ui.sees("✗ 2 fields to correct")
    await ui.click("#reset")
    await ui.press("y")
    await ui.misses("to correct")
    await fill(ui, price="cheap")
    ui.one("#field-addrs").focus()
    await ui.sees("'cheap' is not a number")
    assert "to correct" not in ui.text  # nothing was sent since


@ui(listings=three)
async def test_what_the_peer_objects_to_stands_at_its_field(ui):
    await ui.press("n")
    await fill(ui, name="taken", price="1")
    await ui.press("f2")
    await ui.sees("you already list an agent called taken", "✗ 1 field to correct")
    ui.one("#field-name").value, ui.one("#field-price").value = "free", ""
    await ui.sees("a listing needs a price", "✗ 1 field to correct")
    ui.one("#field-name").value = "taken"
    await ui.sees("you already list an agent called taken", "✗ 2 fields to correct")
    ui.one("#field-price").value = "1"
    assert isinstance(ui.app.screen, FormScreen)
    ui.market.fail["publish"] = ListingError("the listing is too large")
    await ui.press("f2")
    await ui.sees("the listing is too large")


@ui(listings=three)
async def test_draft_survives_escape_and_can_be_thrown_away(ui):
    await ui.press("n")
    await fill(ui, name="half-done", metadata="a = b")
    await ui.press("escape")
    await ui.press("n")
    await ui.sees("your draft is back", "half-done", "a = b")
    await ui.click("#reset")
    await ui.press("n")
    await ui.sees("half-done")
    await ui.click("#reset")
    await ui.press("y")
    await ui.misses("half-done")
    await ui.press("escape", "n")
    assert "your draft is back" not in ui.text


@ui(listings=three)
async def test_form_fits_into_80_by_24(ui):
    await ui.press("n")
    await ui.sees("Name", "Price", "Description", "Metadata", "Addresses", "Protocols", "Token id", "Publish (F2)")


@ui(listings=three)
async def test_edit_changes_only_what_was_changed(ui):
    await filter_by(ui, "state:mine")
    await ui.press("e")
    await ui.sees("Edit calm-geo")
    ui.one("#field-price").value = "2"
    await ui.press("f2")
    await ui.sees("2↑")
    listing_id, patch = dict(ui.market.calls)["update"]
    assert listing_id == f"{OWN}/calm-geo"
    assert patch.price == 2 and patch.name is None and patch.addrs is None and patch.metadata is None


@ui(listings=three, prepare=silent)
async def test_delist_asks_once_and_names_the_listing(ui):
    await filter_by(ui, "state:mine")
    await ui.press("d")
    await ui.sees("Delist calm-geo?", f"{OWN}/calm-geo"[:50])
    await ui.press("enter")
    assert "delist" not in dict(ui.market.calls)
    await ui.press("d", "y")
    await ui.until(lambda: f"{OWN}/calm-geo" not in ui.market.store)
    await ui.sees("× delist    calm-geo  by you  stored, sent to 3 peers")


@ui(listings=three)
async def test_failed_delist_says_that_the_listing_is_still_there(ui):
    await filter_by(ui, "state:mine")
    ui.market.fail["delist"] = StoreError("the disk is full")
    await ui.press("d", "y")
    await ui.until(lambda: any("still listed: the disk is full" in toast for toast in ui.toasts))


@ui(size=(120, 36), listings=three)
async def test_others_listings_cannot_be_edited_and_the_reason_is_said(ui):
    await ui.sees("Edit and delist: only its seller can")
    assert ui.one(".delist").disabled and ui.one(".edit").disabled
    await ui.press("d")
    assert isinstance(ui.app.screen, MainScreen)
    assert ui.toasts == [f"amber-ocr cannot be delisted: only its seller can ({short(1)})"]
    await ui.click_text("Edit")
    await ui.press("e")
    assert ui.toasts[-1] == f"amber-ocr cannot be edited: only its seller can ({short(1)})"
    assert isinstance(ui.app.screen, MainScreen)


@ui(listings=three)
async def test_nothing_out_of_sight_can_be_delisted(ui):
    await filter_by(ui, "state:mine")
    await ui.press("2", "d")
    assert isinstance(ui.app.screen, MainScreen)
    assert ui.toasts == ["calm-geo cannot be delisted: go to the market first (1)"]


@ui(listings=three)
async def test_rows_that_come_back_have_the_keys(ui):
    await filter_by(ui, "price<0")
    await ui.sees("No match among 3 listings", "Take it away")
    await ui.press("escape")
    await ui.until(lambda: isinstance(ui.focused, ListingRows), "the focus on the rows")
    await ui.sees("⏎ Open")


@ui(size=(140, 42), listings=three)
async def test_the_button_of_an_empty_table_works_from_the_pane_next_to_it(ui):
    """A click on the delist button next to the table moves the focus out of the table."""
    for leave in (lambda: ui.click_text("Take it away"), lambda: ui.press("escape")):
        await ui.press("n")
        await ui.type("gone")
        await ui.click_text("for each task")
        await ui.type("1")
        await ui.click_text("Publish (F2)")
        await ui.until(lambda: isinstance(ui.app.screen, MainScreen))
        await filter_by(ui, "gone")
        await ui.sees("1 of 4")
        await ui.click_text("Delist ")
        await ui.click_text("Delist it")
        await ui.sees("No match among 3 listings", "Take it away")
        await leave()
        await ui.until(lambda: not ui.one(FilterInput).value, "the filter taken away")


@ui(listings=three)
async def test_keys_typed_ahead_reach_the_filter(ui):
    for key in ["slash", *"nadqe"]:
        ui.app.simulate_key(key)
    await ui.until(lambda: ui.one(FilterInput).value == "nadqe")
    assert isinstance(ui.app.screen, MainScreen)


def two_own_listings():
    return [listing("calm-geo", 1.5, mine=True), listing("dear-geo", 2.5, mine=True)]


@pytest.mark.parametrize("screen", ["1", "5"])
def test_keys_typed_ahead_of_an_action_choose_its_line_first(screen):
    @ui(listings=two_own_listings)
    async def run(hand: Ui) -> None:
        await hand.sees("dear-geo")
        await hand.press(screen)
        for key in ("down", "d"):
            hand.app.simulate_key(key)
        await hand.sees("Delist dear-geo?")

    run()


@ui(listings=two_own_listings)
async def test_keys_typed_after_enter_do_not_change_what_it_opens(ui):
    await ui.sees("dear-geo")
    for key in ("down", "enter", "up"):
        ui.app.simulate_key(key)
    await ui.until(lambda: isinstance(ui.app.screen, DetailScreen), "the listing on its own")
    await ui.misses("calm-geo")
    await ui.sees("dear-geo")


@ui()
async def test_keys_typed_ahead_mute_the_peer_they_moved_to(ui):
    await ui.press("2")
    await ui.sees("go-betar/0.3")
    second = ui.one(PeerTable)._sorted()[1].peer_id
    for key in ("down", "m"):
        ui.app.simulate_key(key)
    await ui.until(lambda: ui.app.model.muted == {second}, "the second peer is muted")


@ui(listings=three)
async def test_keys_typed_ahead_reach_the_form(ui):
    # All at once, as a slow connection delivers them: the name begins with the key that quits.
    for key in ["n", *"qd", "tab", *"2", "f2"]:
        ui.app.simulate_key(key)
    await ui.until(lambda: "publish" in dict(ui.market.calls))
    (draft,) = dict(ui.market.calls)["publish"]
    assert (draft.name, draft.price) == ("qd", 2)
    assert ui.app.is_running


# Peers


@ui(listings=three)
async def test_peers_and_their_listings(ui):
    await ui.press("2")
    await ui.sees("[2 Peers]", "go-betar/0.3", "bootstrap", "incoming", "25")
    await ui.press("end", "f")
    await ui.sees("amber-ocr")
    assert ui.one(FilterInput).value == f"seller:{peer_id(1)}"


@ui(listings=three, peers=0)
async def test_connect_by_address_with_errors_in_the_dialogue(ui):
    await ui.press("2")
    await ui.sees("No peer is connected")
    await ui.press("a")
    await ui.type("nonsense")
    await ui.press("enter")
    await ui.sees("a multiaddr begins with /")
    ui.one("#address").value = "/dns4/refuse/tcp/1/p2p/12D3KooWx"
    await ui.press("enter")
    await ui.sees("does not answer")
    ui.one("#address").value = "/ip4/203.0.113.9/tcp/1/p2p/12D3KooWx"
    await ui.press("enter")
    await ui.sees(f"{short(9)}")
    await ui.press("a")
    ui.one("#address").value = "/ip4/203.0.113.9/tcp/1/p2p/12D3KooWx"
    await ui.press("enter")

    def said() -> list[str]:
        return [each.text.partition(",")[0] for each in ui.app.model.activity.entries if "onnected to" in each.text]

    await ui.until(lambda: sorted(said()) == [f"Already connected to {short(9)}", f"Connected to {short(9)}"], "both")


# Help, palette, quitting, mouse and keyboard alone


@ui(listings=three)
async def test_help_comes_from_the_actions(ui):
    from betar_tui.tui.keybindings import ACTIONS, MOVES
    from betar_tui.tui.keymap import KeyMap
    from betar_tui.tui.screens.help import help_sections, help_text

    text = help_text(help_sections("main", KeyMap()), width=1000).plain
    for action in (*ACTIONS, *MOVES):
        assert action.help in text
    await ui.press("question_mark")
    await ui.sees("Main screen", "Type a filter")
    await ui.press("escape")
    assert isinstance(ui.app.screen, MainScreen)


@ui(listings=three)
async def test_palette_knows_the_actions(ui):
    await ui.press("ctrl+p")
    await ui.type("publish")
    await ui.press("enter")
    await ui.until(lambda: isinstance(ui.app.screen, FormScreen))


@ui(listings=three)
async def test_quit(ui):
    await ui.press("q")
    await ui.until(lambda: not ui.app.is_running)


@ui()
async def test_whole_round_by_mouse_alone_at_80_by_24(ui):
    await ui.click_text("Filter")
    assert ui.focused is ui.one(FilterInput)
    row = ui.lines[6][3:20].strip()
    await ui.click_text(row)
    assert ui.market.store[ui.one(ListingRows).current].name == row
    await ui.click_text(row)
    await ui.until(lambda: isinstance(ui.app.screen, DetailScreen))
    await ui.sees("Copy", "JSON")
    await ui.click_text("Esc Back")
    await ui.until(lambda: isinstance(ui.app.screen, MainScreen))
    await ui.click_text("2 Peers")
    await ui.sees("go-betar/0.3")
    await ui.click_text("3 Activity")
    await ui.sees("Nothing has changed yet")
    await ui.click_text("1 Market")
    await ui.click_text("n Publish")
    await ui.sees("Publish a listing")
    await ui.click_text("Publish (F2)")
    await ui.sees("a listing needs a name")
    await ui.click_text("Keep as draft")
    await ui.until(lambda: isinstance(ui.app.screen, MainScreen))
    await ui.click_text("? Help")
    await ui.sees("Type a filter")
    await ui.click_text("Close (Esc)")
    assert isinstance(ui.app.screen, MainScreen)


@ui()
async def test_panes_by_keyboard_alone(ui):
    seen = []
    for _ in range(3):
        await ui.press("tab")
        seen.append(next(pane.key for pane in ui.app.screen.query(Pane) if pane.has_class("-current")))
    assert seen == ["peers", "activity", "listings"]
    await ui.press("tab")
    assert ui.focused is ui.one(PeerTable)


# Hostile text

HOSTILE = "evil\x1b[31m\x9b2J\u202egnp.exe\u2066\x07[red]x[/red][@click=app.quit]y[/]\r\nsecond"


@ui(
    size=(120, 36),
    listings=[
        listing(HOSTILE, 0.1, 1, description=HOSTILE + "\n\n[link](https://evil.example/\x1b)", token_id=HOSTILE),
        listing("zz", 0.1, 1, protocols=(HOSTILE,), addrs=(HOSTILE,), metadata={HOSTILE: HOSTILE}, extra={HOSTILE: 1}),
    ],
)
async def test_hostile_text_shows_no_control_sequence(ui):
    ui.market.put(listing(HOSTILE + "2", 0.2, 1))
    ui.market.notice(HOSTILE, "warning")
    await ui.sees("evil␛[31m\\x9b2J\\u202e")
    for _ in range(3):
        await ui.press("down")
        await ui.pilot.pause(0.15)
        _harmless(ui.text)
    await ui.press("d", "question_mark", "escape")
    ui.market.fail["listings"] = StoreError(HOSTILE)
    await ui.press("r")
    await ui.until(lambda: len(ui.toasts) >= 2)
    _harmless(ui.text + "".join(ui.toasts).replace("\n", ""))
    assert "[red]x[/red]" in ui.text


def _harmless(text: str) -> None:
    from betar_tui.market.text import neutralise

    flat = text.replace("\n", "")
    assert neutralise(flat) == flat


def test_now_is_fixed():
    assert NOW == 1_795_390_401.0


# Events that cross each other


@ui(listings=three)
async def test_changes_while_a_page_travels_are_not_undone_by_it(ui):
    await ui.sees("amber-ocr")
    answer, page = trio.Event(), await ui.app.bridge.listings()
    asked = len(ui.market.calls)

    async def late(query: str = "", *rest: object, **others: object) -> object:
        ui.market.calls.append(("listings", query))
        await answer.wait()
        return page

    ui.market.listings = late
    ui.app.load()
    await ui.until(lambda: len(ui.market.calls) > asked, "the page is on its way")
    ui.market.remove(three()[0].id)
    ui.market.put(listing("deft-audit", 0.7, 3))
    await ui.until(lambda: len(ui.app.model.activity) >= 2, "both changes have come")
    del ui.market.listings
    answer.set()
    rows = ui.one(ListingRows)
    await ui.until(lambda: f"{peer_id(3)}/deft-audit" in shown_ids(rows), "the new one")
    assert three()[0].id not in shown_ids(rows)


@ui(listings=three)
async def test_a_receipt_that_comes_while_the_help_lies_over_the_form_closes_the_form(ui):
    ui.market.gates["publish"] = trio.Event()
    await ui.press("n")
    await fill(ui, name="swift-ocr", price="0.02")
    await ui.press("f2")
    await ui.until(lambda: "publish" in dict(ui.market.calls), "it is sent")
    await ui.press("f1")
    assert not isinstance(ui.app.screen, FormScreen)
    ui.market.gates.pop("publish").set()
    await ui.until(lambda: isinstance(ui.app.screen, MainScreen), "the form is left")
    assert [name for name, _ in ui.market.calls].count("publish") == 1


@ui(listings=three)
async def test_a_status_asked_for_while_one_is_asked_comes_after_it(ui):
    await ui.sees("● online")
    ui.market.go(Connectivity.ALONE)
    for _ in range(5):
        ui.app.ask_status()
    await ui.sees("○ no peers")
    before = [name for name, _ in ui.market.calls].count("status")
    ui.market.gates["status"] = trio.Event()
    ui.app.ask_status()
    await ui.until(lambda: [name for name, _ in ui.market.calls].count("status") > before)
    ui.app.ask_status()
    ui.market.go(Connectivity.ONLINE, peers=2)
    ui.market.gates.pop("status").set()
    await ui.sees("● online")


@ui(listings=three)
async def test_a_filter_that_cannot_be_understood_is_taken_away_as_any(ui):
    await filter_by(ui, "price<")
    await ui.press("escape")
    await ui.until(lambda: not ui.one(FilterInput).value)
    await ui.sees("filter: words")
