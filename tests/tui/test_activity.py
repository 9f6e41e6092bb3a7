"""The activity: its filter, its lines, and the delivery of this peer's changes."""

from dataclasses import replace

from betar_tui.market.marketplace import Change, ChangeKind, Connectivity, Seen
from betar_tui.market.text import neutralise
from betar_tui.tui.activity import ActivityEntry, ActivityFilter, ActivityLog
from betar_tui.tui.model import MarketModel
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.widgets.activitylog import ActivityLines
from betar_tui.tui.widgets.activitypanel import ActivityInput
from betar_tui.tui.widgets.listings import ListingRows
from tests.tui.fake import NOW, OWN, Clock, listing, peer_id, short, silent
from tests.tui.ui import ui


def items():
    return [listing("amber-ocr", 0.02, 1), listing("brisk-chat", 0.5, 2), listing("calm-geo", 1.5, mine=True)]


def entry(text, kind="put", seller="12D3KooWabc", **rest):
    return ActivityEntry(NOW, kind, text, "id", seller, **rest)


def test_filter_words_match_name_kind_and_seller():
    amber = entry("Amber-OCR")
    for text in ("", "ocr", "PUT", "put amber", "koowabc", "!delist", "!"):
        assert ActivityFilter(text).shows(amber), text
    for text in ("chat", "amber delist", "!put", "!amber"):
        assert not ActivityFilter(text).shows(amber), text
    assert ActivityFilter("refreshed").shows(entry("x", "refresh"))
    assert not ActivityFilter("", frozenset(("12D3KooWabc",))).shows(amber)


def own(cid, kind=ChangeKind.PUT):
    return Change(kind, f"{OWN}/calm-geo", cid, 3, "local", NOW)


def test_a_delivery_status_finds_its_entry_before_and_after():
    log = ActivityLog()
    log.set_delivery("c1", f"{OWN}/calm-geo", "stored, sent to 3 peers")
    log.change(own("c1"), "calm-geo", OWN)
    assert [each.delivery for each in log.entries] == ["stored, sent to 3 peers"]
    log.set_delivery("c1", f"{OWN}/calm-geo", "seen by 2 of 3")
    assert [each.delivery for each in log.entries] == ["seen by 2 of 3"]


def test_a_delivery_status_waits_for_the_end_of_a_pause():
    log = ActivityLog()
    log.toggle_pause()
    log.change(own("c1"), "calm-geo", OWN)
    log.set_delivery("c1", f"{OWN}/calm-geo", "seen by 2 of 3")
    assert not log.entries
    log.toggle_pause()
    assert [each.delivery for each in log.entries] == ["seen by 2 of 3"]


def test_a_dropped_line_is_forgotten():
    log = ActivityLog(keep=2)
    for number in range(3):
        log.change(own(f"c{number}"), "calm-geo", OWN)
    log.set_delivery("c0", f"{OWN}/calm-geo", "seen by 2 of 3")
    assert [each.delivery for each in log.entries] == ["", ""]


async def stir(ui):
    ui.market.put(replace(ui.market.store[f"{peer_id(1)}/amber-ocr"], price=0.03))
    ui.market.put(listing("delta-new", 0.1, 4))
    ui.market.remove(f"{peer_id(2)}/brisk-chat")
    await ui.until(lambda: len(ui.app.model.activity) == 3)


@ui(listings=items)
async def test_activity_is_filtered_in_its_pane(ui):
    await stir(ui)
    await ui.press("3", "slash")
    assert isinstance(ui.focused, ActivityInput)
    await ui.type("qmz")
    assert ui.one(ActivityInput).value == "qmz"
    await ui.sees("none of 3: Esc takes the filter away")
    await ui.press("backspace", "backspace", "backspace")
    await ui.type("delist")
    await ui.sees("1 of 3", "brisk-chat")
    assert "delta-new" not in ui.text
    await ui.press("enter")
    assert ui.focused is ui.one(ActivityLines)
    ui.market.remove(f"{peer_id(1)}/amber-ocr")
    await ui.sees("2 of 4", "amber-ocr")
    await ui.press("escape")
    await ui.sees("delta-new")
    assert "2 of 4" not in ui.text
    assert ui.one(ActivityLines).count == 4
    await ui.press("escape")
    assert ui.focused is ui.one(ListingRows)


@ui(listings=items)
async def test_escape_in_the_filter_takes_it_away_and_enter_jumps(ui):
    await stir(ui)
    await ui.press("3", "slash")
    await ui.type("delta")
    await ui.press("enter", "enter")
    assert ui.one(ListingRows).current == f"{peer_id(4)}/delta-new"
    await ui.press("3", "slash", "escape")
    assert ui.one(ActivityLines).count == 3
    assert ui.focused is ui.one(ActivityLines)


@ui(size=(150, 36), listings=items)
async def test_a_wide_line_shows_source_block_size_and_cost_and_the_frame_the_rate(ui):
    await stir(ui)
    cid = ui.market.store[f"{peer_id(4)}/delta-new"].cid
    await ui.sees(f"put       delta-new  by {short(4)}  via {short(2)}", f"{cid[-7:]}  height 3  612 B in 0.4 ms")
    await ui.sees("Activity  Δ 1/s ▁▁▁▁▁▁▁█")


@ui(listings=items)
async def test_the_listing_under_the_cursor_of_the_activity_is_copied(ui):
    await stir(ui)
    await ui.press("3", "up", "y", "i")
    assert ui.app.clipboard == f"{peer_id(4)}/delta-new"


# Delivery


@ui(listings=items, prepare=silent)
async def test_a_receipt_turns_from_sent_to_seen_in_one_line(ui):
    await ui.press("5", "e")
    ui.one("#field-price").value = "2"
    await ui.press("f2")
    await ui.sees("✓ calm-geo", "stored, sent to 3 peers")
    cid = ui.market.store[f"{OWN}/calm-geo"].cid
    for peers in (1, 2):
        ui.market.emit(Seen(cid, (f"{OWN}/calm-geo",), peers))
        await ui.sees(f"seen by {peers} of 3")
    await ui.press("escape")
    assert isinstance(ui.app.screen, MainScreen)
    await ui.sees("calm-geo  by you  price 1.5 → 2  seen by 2 of 3")
    assert [each.delivery for each in ui.app.model.activity.entries] == ["seen by 2 of 3"]
    assert ui.toasts == []


@ui(size=(120, 36), listings=items)
async def test_a_listing_in_full_shows_its_delivery(ui):
    mine = ui.market.store[f"{OWN}/calm-geo"]
    await ui.press("end")
    ui.market.emit(Seen(mine.cid, (mine.id,), 1))
    await ui.press("r")
    await ui.sees("Network    ✓ seen by 1 peer")


@ui(listings=items, peers=0)
async def test_a_delist_without_peers_is_pending_until_one_comes(ui):
    await ui.press("end", "d", "y")
    await ui.until(lambda: ui.toasts)
    pending = "No peer is connected: it is pending and goes out when one is"
    assert ui.toasts == [f"calm-geo is delisted here. {pending}. U publishes it again"]
    await ui.sees("↑ 1 pending", "× delist    calm-geo  by you  pending: waits for a peer")
    ui.market.go(Connectivity.ONLINE, peers=2)
    silent(ui.market)
    await ui.sees("synced", "calm-geo  by you  stored, sent to 2 peers")
    assert len(ui.app.model.activity) == 1


@ui(listings=items, prepare=silent)
async def test_a_receipt_moves_on_when_a_peer_is_seen_to_be_level(ui):
    """Nothing is fetched by a peer that got the delta with its announcement."""
    await ui.press("5", "e")
    ui.one("#field-description").text = "Better words"
    await ui.press("f2")
    await ui.sees("✓ calm-geo", "stored, sent to 3 peers")
    ui.market.connected = tuple(replace(peer, behind=0, on_topic=True) for peer in ui.market.connected)
    ui.app.ask_status()
    await ui.sees("seen by 3 of 3")
    await ui.press("escape")
    await ui.sees("calm-geo  by you  description added  seen by 3 of 3")


@ui(listings=items)
async def test_where_a_seller_is_reached_is_no_news(ui):
    """As when a peer comes from another address; with another price it is news as ever."""
    model, item = ui.app.model, ui.market.store[f"{peer_id(1)}/amber-ocr"]
    moved = ui.market.put(replace(item, addrs=("/ip4/198.51.100.9/tcp/4001",)))
    await ui.until(lambda: len(model.activity) == 1)
    assert (model.activity.entries[0].kind, model.mark(item.id)) == ("refresh", None)
    ui.market.put(replace(moved, addrs=item.addrs, price=0.03))
    await ui.until(lambda: len(model.activity) == 2)
    assert model.activity.entries[1].kind == "update"
    assert (model.mark(item.id).sign, model.mark(item.id).columns) == ("~", {"price"})


def test_a_listing_out_of_sight_says_what_the_peer_knows_of_its_change():
    model = MarketModel(Clock())
    far = listing("far", 0.5)
    hostile = "x\x1b[2J"
    many = {"token_id": "", "addrs": [], hostile: 1, "y": 1, "z": 1}
    for before, changed in (
        (0.5, {"addrs": []}),
        (0.4, {"price": 0.4, "description": "x"}),
        (0.4, None),
        (0.5, {}),
        (0.5, many),
    ):
        model.apply([Change(ChangeKind.UPDATE, far.id, far.cid, 3, "p", NOW, far, old_price=before, changed=changed)])
    assert [(each.kind, each.note) for each in model.activity.entries] == [
        ("refresh", "addresses changed"),
        ("update", "price 0.4 → 0.5, description changed"),
        ("update", "price 0.4 → 0.5"),
        ("update", ""),
        ("update", f"token id, addresses, {neutralise(hostile, 20)} and 2 more changed"),
    ]
