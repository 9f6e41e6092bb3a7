"""Peers: looked at closer, disconnected, muted, blocked, copied, found at fault."""

from dataclasses import replace

import pytest

from betar_tui.errors import NetworkError, StoreError, UnknownPeerError
from betar_tui.market.marketplace import ChangeKind, Connectivity, Status, StatusChanged
from betar_tui.tui.company import Company
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.screens.peer import PeerScreen
from betar_tui.tui.settings import InterfaceSettings
from betar_tui.tui.widgets.detail import DetailView
from betar_tui.tui.widgets.filterbar import FilterInput
from betar_tui.tui.widgets.listings import ListingRows
from betar_tui.tui.widgets.peers import COLUMNS, FAULTS, OPTIONAL, PeerTable, faults_of, fitting_columns
from tests.tui.fake import OWN, FakeMarketplace, listing, peer_id, short
from tests.tui.scenes import faults
from tests.tui.test_app import filter_by
from tests.tui.ui import shown_ids, ui

ONE, TWO, THREE = peer_id(1), peer_id(2), peer_id(3)


def items():
    return [
        listing("amber-ocr", 0.02, 1),
        listing("amber-pdf", 0.03, 1),
        listing("brisk-chat", 0.5, 2),
        listing("calm-geo", 1.5, mine=True),
    ]


def names(ui) -> list[str]:
    return [row.rpartition("/")[2] for row in shown_ids(ui.one(ListingRows))]


@ui(listings=items)
async def test_enter_shows_everything_of_a_peer(ui):
    await ui.press("2", "end", "enter")
    assert isinstance(ui.app.screen, PeerScreen)
    await ui.sees(
        f"Peer {short(1)}", ONE, "→ out, dialled from here", "12.4 ms", "48.2 KB in, 31.0 KB out", "go-betar/0.3"
    )
    await ui.sees(
        "✓ follows the market", "/ip4/203.0.113.1/tcp/4001", "/meshsub/1.1.0", "2 listings from it", "amber-pdf"
    )
    await ui.press("f")
    await ui.until(lambda: isinstance(ui.app.screen, MainScreen))
    assert ui.one(FilterInput).value == f"seller:{ONE}"
    assert names(ui) == ["amber-ocr", "amber-pdf"]


@ui(listings=items)
async def test_the_peer_under_the_cursor_is_the_one_that_is_drawn(ui):
    """Of two that are told of, one has come back meanwhile, and stands elsewhere as soon as the table is drawn again."""
    await ui.press("2", "end")
    table, model = ui.one(PeerTable), ui.app.model
    drawn = table.current
    model.peers = tuple(replace(each, connected_since=each.connected_since * -1) for each in model.peers)
    table.update_if_changed()
    assert table.current == drawn
    table.update_peers()
    assert table.current == drawn, "the cursor goes with its peer"


@ui(listings=items)
async def test_a_peer_that_goes_while_it_is_looked_at(ui):
    await ui.press("2", "enter")
    await ui.sees(f"Peer {short(3)}", "not measured yet", "does not follow the market", "0 listings from it")
    ui.market.go(Connectivity.ALONE)
    await ui.sees("× no longer connected", "○ no peers")
    await ui.press("x")
    assert ui.toasts == ["No peer is chosen, or it is no longer connected"]
    await ui.press("escape")
    await ui.sees("No peer is connected")


@ui(listings=items)
async def test_disconnect_asks_once(ui):
    await ui.press("2", "x")
    await ui.sees(f"Disconnect {short(3)}?", "not dialled again in this run")
    await ui.press("enter")
    assert ("disconnect", THREE) not in ui.market.calls
    await ui.press("x", "y")
    await ui.sees("peers 2")
    assert ("disconnect", THREE) in ui.market.calls
    await ui.press("3")
    await ui.sees(f"Disconnected {short(3)}")


@ui(listings=items)
async def test_a_peer_that_stays_connected_is_said(ui):
    ui.market.fail["disconnect"] = NetworkError("it is not connected")
    await ui.press("2", "x", "y")
    await ui.until(lambda: ui.toasts == [f"{short(3)} is still connected: it is not connected"])


@ui(size=(150, 40), listings=items)
async def test_traffic_has_columns_where_there_is_room(ui):
    assert "OUT" not in ui.text
    await ui.press("2", "z")
    await ui.sees("IN", "OUT", "48.2 KB", "31.0 KB", "203.0.113.1")
    assert ui.one(PeerTable).current == THREE
    await ui.press("z")
    await ui.misses("48.2 KB")


@ui(listings=items)
async def test_copying_of_a_peer_and_of_ourselves(ui):
    await ui.press("2", "end", "y")
    await ui.sees(f"Copy: peer {short(1)}", "Our own")
    await ui.press("i")
    assert ui.app.clipboard == ONE
    await ui.press("y", "a")
    assert ui.app.clipboard == "/ip4/203.0.113.1/tcp/4001"
    await ui.press("enter", "y")
    await ui.click_text("o  Our own")
    assert ui.app.clipboard == "/ip4/192.168.1.20/tcp/4001\n/ip4/127.0.0.1/tcp/4001"


# Muting


@ui(listings=items)
async def test_a_muted_seller_vanishes_and_can_be_found_and_heard_again(ui):
    told = []
    ui.app.model.settings.subscribe(lambda old, new: told.append(new.muted))
    await ui.press("m")
    await ui.sees("2, 2 muted")
    assert names(ui) == ["brisk-chat", "calm-geo"]
    assert ui.toasts == []
    await filter_by(ui, "state:muted")
    assert names(ui) == ["amber-ocr", "amber-pdf"]
    await ui.press("m", "escape")
    await ui.until(lambda: len(names(ui)) == 4)
    assert "muted" not in ui.lines[2]
    assert told == [(ONE,), ()]


@ui(listings=items, settings=InterfaceSettings(muted=(ONE,)))
async def test_sellers_that_the_settings_mute_stay_muted(ui):
    await ui.sees("2, 2 muted")
    assert names(ui) == ["brisk-chat", "calm-geo"]


@ui(listings=items)
async def test_what_a_muted_seller_does_is_no_news(ui):
    await ui.press("2", "end", "m")
    await ui.until(lambda: any(f"{short(1)}" in line and "‖2" in line for line in ui.lines))
    ui.market.put(listing("amber-new", 0.1, 1))
    ui.market.put(listing("brisk-new", 0.1, 2))
    ui.market.put(listing("amber-newer", 0.1, 1))
    await ui.press("1")
    await ui.sees("put       brisk-new", "3, 4 muted")
    await ui.press("3")
    await ui.sees("brisk-new", f"{short(1)} is muted: 2 listings hidden, state:muted shows them")
    assert "amber-new" not in ui.text
    await ui.press("2", "m", "3")
    await ui.sees("amber-new", "amber-newer", f"{short(1)} is heard again: 4 listings")


@ui(size=(140, 36), listings=lambda: items()[:2])
async def test_the_side_pane_of_a_market_of_muted_sellers_names_no_filter(ui):
    await ui.until(lambda: ui.one(ListingRows).current, "a listing under the cursor")
    await ui.press("m")
    await ui.sees("Every listing here is from a muted")
    assert "takes the filter away" not in ui.text


@ui(listings=lambda: items()[:2])
async def test_a_market_of_muted_sellers_says_so(ui):
    await ui.until(lambda: ui.one(ListingRows).current, "a listing under the cursor")
    await ui.press("m")
    await ui.sees("All 2 listings are from muted sellers", "state:muted")
    ui.market.put(items()[0], kind=ChangeKind.UPDATE)
    ui.app.model.activity.entries.clear()
    ui.market.put(items()[1])
    await ui.press("3")
    await ui.sees("All of it is from muted sellers")


@ui(listings=items)
async def test_own_listings_cannot_be_muted(ui):
    await filter_by(ui, "state:mine")
    await ui.press("m")
    assert ui.toasts == ["Your own listings cannot be muted"]
    assert OWN not in ui.app.model.muted


@ui(size=(120, 36), listings=items)
async def test_a_muted_listing_says_so_in_full(ui):
    await ui.press("m")
    await filter_by(ui, "state:muted")
    await ui.sees("‖ muted: m hears it again")
    assert "muted" in ui.one(DetailView).query_one(".detail-facts").content.plain


@pytest.mark.parametrize("width", range(44, 241))
def test_the_columns_fit_and_leave_a_cell_for_the_scrollbar(width):
    placed = fitting_columns(width)
    assert sum(placed.values()) + 2 * len(placed) <= width - 1
    assert [title for title in placed if title not in OPTIONAL] == ["PEER", "MS", "HEAD"]
    assert "LISTED" in placed
    assert ("AGENT" in placed and "FOUND" in placed) == (width >= 77)


def test_all_columns_are_there_where_there_is_room():
    assert list(fitting_columns(140, FAULTS)) == list(COLUMNS)


@ui(listings=items, peers=0)
async def test_our_own_address_can_be_had_without_any_peer(ui):
    await ui.press("2", "y")
    await ui.sees("Copy: no peer is chosen", "Our own")
    await ui.press("i")
    await ui.sees("Our own")
    await ui.press("o")
    await ui.until(lambda: any("the terminal for its clipboard: /ip4/" in each for each in ui.toasts))


@ui(listings=items, peers=0)
async def test_the_own_address_is_copied_with_one_key_and_shown_where_another_is_added(ui):
    address = f"/ip4/192.168.1.20/tcp/4001/p2p/{OWN}"
    await ui.press("2")
    await ui.sees("Y copies your own address")
    await ui.press("Y")
    assert ui.app.clipboard == address
    await ui.until(lambda: any("only peers on your own network can dial 192.168.1.20" in each for each in ui.toasts))
    ui.app.copy_to_clipboard("")
    await ui.press("a")
    await ui.sees("Yours, for the other side", "/ip4/192.168.1.20/tcp/4001/p2p/")
    await ui.click_text("Copy yours")
    assert ui.app.clipboard == address


@ui(listings=items, prepare=lambda fake: fake.more_status.update(addrs=()))
async def test_without_an_address_it_says_why(ui):
    await ui.press("Y")
    assert ui.toasts == ["This peer has no address: its network is not open yet"]


@ui(listings=items)
async def test_a_peer_that_comes_back_after_it_was_disconnected_can_be_blocked(ui):
    await ui.press("2", "x")
    await ui.sees("X blocks it")
    await ui.press("y")
    await ui.until(lambda: len(ui.app.model.peers) == 2)
    assert not ui.toasts
    ui.clock.advance(2)
    ui.market.go(Connectivity.ONLINE, peers=3)
    ui.market.connected = tuple(replace(each, connected_since=ui.clock()) for each in ui.market.connected)
    await ui.until(lambda: any("has come back by itself. X on it" in each for each in ui.toasts))
    assert len(ui.toasts) == 1


@ui(listings=items)
async def test_the_mouse_finds_the_way_out_of_adding_a_peer(ui):
    await ui.press("a")
    await ui.sees("Add a peer", "Connect (⏎)")
    await ui.click_text("Back (Esc)")
    await ui.until(lambda: isinstance(ui.app.screen, MainScreen))


@ui(listings=items)
async def test_the_loss_of_the_last_peer_is_told(ui):
    ui.market.go(Connectivity.ALONE)
    await ui.sees("○ no peers", "! The last peer is gone")
    ui.market.go(Connectivity.ONLINE, peers=1)
    await ui.sees("● online", "Connected again")


STATUS = Status("1", True, "p", (), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0)


def told(*states: tuple[Connectivity, int]) -> list[str]:
    """The texts for statuses with these connectivities and numbers of connected peers, with an ascending uptime."""
    company, before, texts = Company(), None, []
    for uptime, (connectivity, peers) in enumerate(states):
        now = replace(STATUS, connectivity=connectivity, peers=peers, uptime=float(uptime))
        texts += [text for _, text in filter(None, [company.tell(before, now)])]
        before = now
    return texts


GONE, AGAIN = "The last peer is gone", "Connected again"
ONLINE, ALONE = Connectivity.ONLINE, Connectivity.ALONE


@pytest.mark.parametrize(
    ("states", "texts"),
    [
        ([(ALONE, 0), (ONLINE, 1)], []),
        ([(ONLINE, 1), (ALONE, 1), (ALONE, 1), (ALONE, 0)], [GONE]),  # it leaves the topic before its connection ends
        ([(ONLINE, 1), (ALONE, 0), (ONLINE, 1), (ONLINE, 2)], [GONE, AGAIN]),
        ([(ONLINE, 1), (ALONE, 0), (ONLINE, 1), (ALONE, 0)], [GONE, AGAIN, GONE]),
        ([(ONLINE, 1), (ALONE, 0), (Connectivity.STARTING, 0), (ALONE, 0), (ONLINE, 1)], [GONE, AGAIN]),
        ([(ONLINE, 1), (Connectivity.STOPPED, 0)], []),
    ],
)
def test_a_loss_and_a_return_are_told_once_each(states, texts):
    assert told(*states) == texts


@ui(listings=items)
async def test_a_peer_that_was_started_anew_has_lost_nobody(ui):
    ui.market.more_status["uptime"] = 1.0
    ui.market.go(Connectivity.ALONE)
    await ui.sees("○ no peers")
    assert "is gone" not in ui.text


# Faults


@ui(prepare=faults)
async def test_refused_messages_and_broken_rules_of_peers_are_shown(ui):
    await ui.press("2")
    await ui.sees("BROKEN  REFUSED")
    line = {number: next(each for each in ui.lines if short(number) in each).split() for number in (1, 2, 3)}
    assert line[1][line[1].index("–") :][:3] == ["–", "!", "1204"]
    assert "! 2     ! 7" in " ".join(ui.lines)
    await ui.press("down", "enter")
    await ui.sees("Refused    ! 7 messages over a budget", "Broken     ! 2 rules of the protocols")


@ui()
async def test_nothing_is_said_of_peers_without_faults(ui):
    await ui.press("2")
    await ui.sees("LISTED")
    assert "REFUSED" not in ui.text and "BROKEN" not in ui.text
    ui.market.connected = tuple(replace(each, refused=int(each.peer_id == peer_id(1))) for each in ui.market.connected)
    await ui.press("r")
    await ui.sees("REFUSED", "! 1")
    assert "BROKEN" not in ui.text
    await ui.press("enter")
    await ui.sees("Direction")
    assert "Refused" not in ui.text


@pytest.mark.parametrize("width", range(44, 241))
def test_faults_come_before_all_that_has_no_need_of_being_seen(width):
    placed = fitting_columns(width, FAULTS)
    assert sum(placed.values()) + 2 * len(placed) <= width - 1
    assert "BROKEN" in placed and ("REFUSED" in placed) == (width >= 50)
    assert not set(FAULTS) & set(fitting_columns(width))


def test_the_columns_of_faults():
    one, two, three = FakeMarketplace().connected
    assert faults_of((one, two, three)) == frozenset()
    assert faults_of((one, replace(two, refused=1))) == {"REFUSED"}
    assert faults_of((replace(one, misbehaved=1), replace(two, refused=1))) == set(FAULTS)


@ui(listings=items)
async def test_a_mute_that_cannot_be_kept_is_taken_back(ui):
    ui.market.fail["mute"] = StoreError("the disk is full")
    await ui.press("m")
    await ui.until(lambda: ui.toasts == [f"{short(1)} is not muted: the disk is full"])
    await ui.until(lambda: len(names(ui)) == 4)
    assert not ui.app.model.muted


@ui(listings=items)
async def test_what_a_command_mutes_is_hidden_here_too(ui):
    ui.market.muted = (ONE,)
    ui.market.emit(StatusChanged())
    await ui.sees("2, 2 muted")
    ui.market.muted = ()
    ui.market.emit(StatusChanged())
    await ui.until(lambda: len(names(ui)) == 4)


# Blocking


@ui(listings=items)
async def test_a_peer_is_blocked_after_a_question_that_names_it_and_let_in_again_by_the_same_key(ui):
    await ui.press("2", "end", "enter")
    await ui.sees(f"Peer {short(1)}")
    await ui.press("X")
    await ui.sees(f"Block {short(1)}?", ONE)
    await ui.press("escape")
    assert ui.market.blocked == ()
    await ui.press("X", "y")
    await ui.until(lambda: ui.market.blocked == (ONE,))
    await ui.sees("no longer connected", "⊘ blocked")
    await ui.press("X")
    await ui.until(lambda: ui.market.blocked == ())
    await ui.misses("⊘ blocked")
    await ui.press("escape", "3")
    await ui.sees(f"{short(1)} is blocked", f"{short(1)} is let in again")


@ui(listings=items)
async def test_the_seller_of_a_listing_is_blocked_and_let_in_from_the_settings(ui):
    await ui.press("X", "y")
    await ui.until(lambda: ui.market.blocked == (ONE,))
    await ui.until(lambda: ui.app.model.blocked == {ONE})
    await ui.press("m", "comma")
    lines = [line.group for line in ui.app.screen._setting_lines]
    await ui.press("home", *["down"] * lines.index("Blocked"))
    await ui.sees("Muted", "Blocked", "Enter lets it in again")
    await ui.press("enter")
    await ui.until(lambda: ui.market.blocked == ())
    await ui.misses("Blocked")
    await ui.press("home", *["down"] * lines.index("Muted"), "enter")
    await ui.until(lambda: ui.market.muted == ())


@ui(listings=items)
async def test_a_peer_that_cannot_be_blocked_is_said(ui):
    ui.market.fail["block"] = UnknownPeerError("'x' is no peer id")
    await ui.press("2", "end", "X", "y")
    await ui.until(lambda: ui.toasts == [f"{short(1)} is not blocked: 'x' is no peer id"])


@ui(listings=items)
async def test_this_peer_itself_is_not_blocked(ui):
    await filter_by(ui, "state:mine")
    await ui.press("X")
    assert ui.toasts == ["This peer itself cannot be blocked"]
