"""The lines under the status line: Go peers unable to read the listings, and a sync that runs or is held."""

import pytest

from betar_tui.errors import ConfigError, NoRunningPeerError
from betar_tui.market.marketplace import Connectivity, Status, StatusChanged, SyncProgress
from betar_tui.tui.announcements import MIN_ANNOUNCED_SYNC, announcements
from betar_tui.tui.screens.detail import DetailScreen
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.widgets.banner import Banner
from tests.tui.fake import NOW, OWN, FakeMarketplace, listing, peer_id
from tests.tui.ui import ui

UNABLE_TO_READ = "2 Go peers cannot read your listings (documents). D writes them in betar-go"


def status(**fields):
    numbers = dict.fromkeys(("peers", "topic_peers", "listings", "heads", "height", "blocks", "bytes"), 1)
    rest = {"pending": 0, "tombstones": 0, "uptime": 1.0, "connectivity": Connectivity.ONLINE}
    return Status(**{"version": "1", "running": True, "peer_id": OWN, "addrs": (), **numbers, **rest, **fields})


KEYS = {"choose_dialect": "D", "hold_sync": "h", "go_online": "o"}


def lines_of(status, *peers):
    return announcements(status, peers, NOW, KEYS.__getitem__)


def items():
    return [listing("amber-ocr", 0.02, 1), listing("calm-geo", 1.5, mine=True)]


def test_nothing_is_announced_without_something_to_do():
    assert lines_of(None) == ()
    assert lines_of(status()) == ()
    assert lines_of(status(peers_unable_to_read=2)) == ()
    assert lines_of(status(sync=SyncProgress(MIN_ANNOUNCED_SYNC - 2, 1, 5.0, ""))) == ()


@pytest.mark.parametrize(("dialect", "other"), [("documents", "betar-go"), ("betar-go", "documents")])
def test_peers_unable_to_read_are_counted_in_words(dialect, other):
    (line,) = lines_of(status(peers_unable_to_read=1, dialect_choice=dialect, dialect=dialect))
    assert line.text.startswith(f"1 Go peer cannot read your listings: they are written as {dialect}. ")
    assert line.text.endswith(f"Press D to write them in {other}")
    assert line.action == "choose_dialect"


def test_lines_fit_into_80_cells():
    held = status(peers_unable_to_read=99, dialect_choice="documents", sync_held=True, pending=123_456)
    runs = status(sync=SyncProgress(1_200_000, 3_600_000, 9000.0, peer_id(1)))
    lines = [*lines_of(held), *lines_of(runs)]
    assert len(lines) == 3
    assert all(len(line.short) + 4 <= 80 for line in lines)


def test_a_held_sync_shows_the_number_of_missing_blocks():
    (line,) = lines_of(status(sync_held=True, pending=7))
    assert line.text == "The fetching of history is held, 7 blocks known to be missing. Press h to go on"


def unable_to_read(fake: FakeMarketplace) -> None:
    fake.more_status = {"peers_unable_to_read": 2, "dialect_choice": "documents"}


@ui(listings=items, prepare=unable_to_read)
async def test_dialect_is_switched_after_one_question(ui):
    await ui.sees(UNABLE_TO_READ, "amber-ocr")
    await ui.press("D")
    await ui.sees("Write your listings in betar-go?", "1 listing of yours: stored once more")
    await ui.press("n")
    assert ("choose_dialect", "betar-go") not in ui.market.calls
    await ui.press("D", "y")
    await ui.until(lambda: ("choose_dialect", "betar-go") in ui.market.calls)
    await ui.misses("cannot read your listings")
    assert not ui.one(Banner).display
    await ui.sees("written in betar-go from now on")


@ui(size=(130, 30), listings=items, prepare=unable_to_read)
async def test_dialect_is_switched_by_mouse(ui):
    await ui.sees(
        "2 Go peers cannot read your listings: they are written as documents. Press D to write them in betar-go"
    )
    await ui.click_text("2 Go peers cannot")
    await ui.click_text("Write them so (y)")
    await ui.until(lambda: ("choose_dialect", "betar-go") in ui.market.calls)


@ui(listings=items, prepare=unable_to_read)
async def test_dialect_that_cannot_be_saved_is_reported(ui):
    ui.market.fail["choose_dialect"] = ConfigError("config.toml cannot be written")
    await ui.press("D", "y")
    await ui.until(lambda: ui.toasts == ["The dialect is unchanged: config.toml cannot be written"])
    await ui.sees(UNABLE_TO_READ)


@ui(listings=items, prepare=unable_to_read)
async def test_every_live_screen_shows_peers_unable_to_read(ui):
    for key in "456":
        await ui.press(key)
        await ui.sees(UNABLE_TO_READ)
        await ui.press("escape")
    await ui.press("2", "enter")
    await ui.sees(UNABLE_TO_READ, "Peer 12D3")
    await ui.press("escape", "1", "enter")
    assert isinstance(ui.app.screen, DetailScreen)
    await ui.sees(UNABLE_TO_READ)
    await ui.press("D")
    await ui.sees("Write your listings in betar-go?")


@ui(listings=items)
async def test_banner_comes_and_goes_with_the_status(ui):
    assert not ui.one(Banner).display
    ui.market.more_status = {"peers_unable_to_read": 2, "dialect_choice": "documents"}
    ui.market.emit(StatusChanged())
    await ui.sees(UNABLE_TO_READ)
    ui.market.more_status = {"peers_unable_to_read": 0, "dialect_choice": "documents"}
    ui.market.emit(StatusChanged())
    await ui.misses("cannot read your listings")


def syncing(fake: FakeMarketplace) -> None:
    fake.more_status = {"sync": SyncProgress(1200, 3600, 900.0, peer_id(1))}


@ui(listings=items, prepare=syncing)
async def test_sync_is_seen_on_the_market_and_held_by_key_and_mouse(ui):
    await ui.sees("syncing: 1,200 fetched, 900/s, at least 3,600 to come. h holds it")
    await ui.press("h")
    await ui.sees("The fetching of history is held")
    await ui.click_text("The fetching of history")
    await ui.sees("syncing: 1,200 fetched")
    assert [held for name, held in ui.market.calls if name == "hold_sync"] == [True, False]


@ui(listings=items, prepare=syncing)
async def test_sync_that_cannot_be_held_is_reported(ui):
    ui.market.fail["hold_sync"] = NoRunningPeerError("no peer runs")
    await ui.press("h")
    await ui.until(lambda: ui.toasts == ["Nothing is held or let go: no peer runs"])
    assert isinstance(ui.app.screen, MainScreen)
