"""A listing that was delisted by mistake is published again, as it was."""

from dataclasses import replace

import trio

from betar_tui.errors import StoreError
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.undo import MAX_DELISTED, UNDO_SECONDS, DelistedListings
from betar_tui.tui.widgets.listings import ListingRows
from tests.tui.fake import NOW, OWN, listing
from tests.tui.ui import ui

MINE = listing("calm-geo", 1.5, mine=True, description="Places", metadata={"tier": "gold", "description": "Places"})


def items():
    return [listing("amber-ocr", 0.02, 1), MINE]


def test_the_draft_has_everything_that_was_entered():
    delisted = DelistedListings()
    delisted.add(MINE, None, NOW)
    draft = delisted.get(MINE.id).draft
    assert (draft.name, draft.price, draft.description) == ("calm-geo", 1.5, "Places")
    assert (draft.addrs, draft.protocols, draft.token_id) == (MINE.addrs, MINE.protocols, MINE.token_id)
    assert draft.metadata == {"tier": "gold"}


def test_of_a_metadata_file_the_document_is_kept():
    delisted = DelistedListings()
    delisted.add(replace(MINE, metadata="bafy"), {"tier": "gold", "description": "Places"}, NOW)
    assert delisted.get(MINE.id).draft.metadata == {"tier": "gold"}


def test_it_is_offered_for_a_minute_and_kept_longer():
    delisted = DelistedListings()
    delisted.add(MINE, None, NOW)
    assert delisted.newest(NOW + UNDO_SECONDS - 1) is not None
    assert delisted.newest(NOW + UNDO_SECONDS) is None
    assert delisted.get(MINE.id) is not None
    delisted.forget(MINE.id)
    assert not list(delisted)


def test_a_clock_that_is_set_back_does_not_offer_it_for_long():
    delisted = DelistedListings()
    delisted.add(MINE, None, NOW)
    assert delisted.newest(NOW) is not None
    assert delisted.newest(NOW - 1) is None
    assert [each.listing for each in delisted] == [MINE]


def test_one_that_is_being_published_again_is_not_offered_until_that_fails():
    delisted = DelistedListings()
    delisted.add(replace(MINE, id="older"), None, NOW)
    delisted.add(MINE, None, NOW)
    delisted.begin(MINE.id)
    assert delisted.get(MINE.id) is None
    assert delisted.newest(NOW).listing.id == "older"
    assert [each.listing.id for each in delisted] == ["older"]
    delisted.failed(MINE.id)
    assert delisted.newest(NOW).listing is MINE


def test_without_its_metadata_file_it_is_not_kept():
    delisted = DelistedListings()
    assert delisted.add(MINE, None, NOW)
    assert not delisted.add(replace(MINE, metadata="bafy"), None, NOW)
    assert delisted.get(MINE.id) is None


def test_only_so_many_are_kept():
    delisted = DelistedListings()
    for number in range(MAX_DELISTED + 3):
        delisted.add(replace(MINE, id=str(number)), None, NOW)
    assert [each.listing.id for each in delisted] == [str(number) for number in range(3, MAX_DELISTED + 3)]


@ui(listings=items)
async def test_one_key_publishes_it_again(ui):
    assert "Undo" not in ui.lines[-1]
    await ui.press("end", "d", "y")
    await ui.until(lambda: ui.toasts == ["calm-geo is delisted. U publishes it again"])
    await ui.sees("U Undo delist")
    await ui.press("U")
    await ui.until(lambda: MINE.id in ui.market.store)
    assert ui.market.store[MINE.id].price == 1.5
    await ui.until(lambda: "Undo" not in ui.lines[-1])
    assert isinstance(ui.app.screen, MainScreen)
    await ui.until(lambda: ui.one(ListingRows).current == f"{OWN}/calm-geo")
    await ui.until(lambda: ui.toasts == ["calm-geo is published again"])


@ui(listings=items)
async def test_what_was_said_of_another_listing_stays(ui):
    await ui.press("home", "end", "d", "y")
    said = "calm-geo is delisted. U publishes it again"
    await ui.until(lambda: ui.toasts == [said])
    ui.app.actions.notify("amber-ocr is stored", about=f"{OWN}/amber-ocr")
    await ui.until(lambda: ui.toasts == [said, "amber-ocr is stored"])


@ui(listings=items)
async def test_undone_with_no_peer_it_says_that_it_is_pending(ui):
    await ui.press("end", "d", "y")
    await ui.sees("U Undo delist")
    ui.market.connected = ()
    await ui.press("U")
    pending = "No peer is connected: it is pending and goes out when one is"
    await ui.until(lambda: ui.toasts == [f"calm-geo is published again. {pending}"])


@ui(listings=items)
async def test_after_a_minute_the_key_says_where_it_is(ui):
    await ui.press("end", "d", "y")
    await ui.sees("U Undo delist")
    ui.app._tick()
    ui.clock.advance(UNDO_SECONDS)
    ui.app._tick()
    await ui.until(lambda: "Undo" not in ui.lines[-1])
    await ui.press("U")
    where = "Nothing was delisted in the last minute; 5 also shows what you delisted earlier in this run"
    await ui.until(lambda: where in ui.toasts)


def titles(ui):
    return [command.title for command in ui.app.get_system_commands(ui.app.screen)]


@ui(listings=items)
async def test_the_palette_has_it_while_it_does_something(ui):
    assert "Undo delist" not in titles(ui)
    await ui.press("end", "d", "y")
    await ui.sees("U Undo delist")
    assert "Undo delist" in titles(ui)
    ui.clock.advance(UNDO_SECONDS)
    assert "Undo delist" not in titles(ui)


@ui(listings=items)
async def test_among_the_own_ones_the_key_says_that_there_is_nothing(ui):
    await ui.press("5")
    assert "Undo" not in ui.lines[-1]
    await ui.press("U")
    await ui.until(lambda: ui.toasts == ["No listing of yours was delisted in this run"])


@ui(listings=items)
async def test_the_key_twice_publishes_once(ui):
    await ui.press("end", "d", "y")
    await ui.sees("U Undo delist")
    ui.market.gates["publish"] = trio.Event()
    await ui.press("U", "U")
    await ui.until(lambda: any("Nothing was delisted in the last minute" in toast for toast in ui.toasts))
    assert "Undo" not in ui.lines[-1]
    ui.market.gates["publish"].set()
    await ui.until(lambda: MINE.id in ui.market.store)
    assert [name for name, *_ in ui.market.calls].count("publish") == 1


@ui(listings=items)
async def test_where_that_fails_it_is_offered_still(ui):
    await ui.press("end", "d", "y")
    await ui.sees("U Undo delist")
    ui.market.fail["publish"] = StoreError("the disk is full")
    await ui.press("U")
    await ui.until(lambda: ui.toasts == ["calm-geo is not published again: the disk is full"])
    await ui.sees("U Undo delist")
    ui.market.fail.clear()
    await ui.press("U")
    await ui.until(lambda: MINE.id in ui.market.store)


@ui(listings=lambda: [listing("amber-ocr", 0.02, 1), replace(MINE, metadata="bafy")])
async def test_what_cannot_be_undone_is_said(ui):
    await ui.press("end", "d", "y")
    said = "calm-geo is delisted. U cannot publish it again: its metadata file is not here"
    await ui.until(lambda: ui.toasts == [said])
    assert "Undo" not in ui.lines[-1]


@ui(listings=items)
async def test_the_cursor_goes_to_what_was_published(ui):
    await ui.press("n")
    ui.one("#field-name").value, ui.one("#field-price").value = "brisk-new", "2"
    await ui.press("f2")
    await ui.until(lambda: ui.one(ListingRows).current == f"{OWN}/brisk-new")


@ui(listings=items)
async def test_among_the_own_ones_too(ui):
    await ui.press("5", "n")
    ui.one("#field-name").value, ui.one("#field-price").value = "zeta-new", "2"
    await ui.press("f2")
    await ui.until(lambda: ui.app.screen.current == f"{OWN}/zeta-new")
