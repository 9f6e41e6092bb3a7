"""No peers, no network, peers that do not fetch: what is said, and what can be done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from betar_tui.errors import NetworkError
from betar_tui.market.marketplace import Connectivity, StatusChanged
from betar_tui.tui.announcements import NOTICE_SECONDS
from betar_tui.tui.screens.peer import PeerScreen
from tests.tui.fake import NOW, FakeMarketplace, listing, short
from tests.tui.scenes import port_taken
from tests.tui.test_announcements import lines_of, status
from tests.tui.ui import ui

ADDRESS = "/ip4/0.0.0.0/tcp/4001"
TAKEN = f"cannot listen on {ADDRESS}: Address already in use"
NOTICE = f"{ADDRESS} is in use (Address already in use); a free port was taken instead"


def items():
    return [listing("amber-ocr", 0.02, 1), listing("calm-geo", 1.5, mine=True)]


# The network cannot be opened


@ui(listings=items, prepare=port_taken)
async def test_a_port_that_is_taken_is_said_and_one_key_goes_online(ui):
    await ui.sees(f"✗ Cannot listen on {ADDRESS}: o takes a free port", "✗ offline", "amber-ocr")
    await ui.press("2")
    await ui.sees("Cannot listen on", "Press o: it takes a free port", "Go online (o)")
    await ui.press("1", "enter")
    await ui.sees("Cannot listen on", "signed by its seller")
    await ui.press("o")
    await ui.sees("○ no peers")
    assert ("go_online", True) in ui.market.calls
    assert "Cannot listen" not in ui.text
    await ui.press("escape", "3")
    await ui.sees("This peer is online: it listens on /ip4/192.168.1.20/tcp/4001")
    await ui.press("o")
    assert ui.toasts == ["This peer is not offline"]


@ui(size=(130, 36), listings=[], prepare=port_taken)
async def test_a_port_that_is_taken_is_exchanged_by_mouse(ui):
    await ui.sees(f"Offline: {TAKEN}. Press o to go online on a free port", "Offline, and nothing is stored yet")
    await ui.sees("What you publish is stored and goes out later: press n")
    await ui.click_text("Offline: cannot")
    await ui.until(lambda: ("go_online", True) in ui.market.calls)


@ui(listings=items, prepare=port_taken)
async def test_a_network_that_still_cannot_be_opened_says_why(ui):
    ui.market.fail["go_online"] = NetworkError("cannot listen on that either")
    await ui.press("o")
    await ui.until(lambda: ui.toasts == ["Still offline: cannot listen on that either"])
    await ui.sees("Cannot listen on")


def test_a_network_that_failed_for_another_reason_is_tried_again() -> None:
    (line,) = lines_of(status(offline="the network failed (OSError: x), it is opened again"))
    assert line.text == "Offline: the network failed (OSError: x), it is opened again. Press o to try again"
    assert line.action == "go_online"


def test_the_long_line_of_a_taken_port_has_a_short_form() -> None:
    (line,) = lines_of(status(offline=TAKEN, port_taken="/ip6/2001:db8:1234:5678:9abc:def0:1234:5678/tcp/65535"))
    assert len(line.short) + 4 <= 80


def test_another_port_than_the_default_one_is_told_at_the_start() -> None:
    (line,) = lines_of(status(listen_notice=NOTICE))
    assert line.text == NOTICE
    assert lines_of(status(listen_notice=NOTICE, uptime=NOTICE_SECONDS + 1)) == ()


def moved(market: FakeMarketplace) -> None:
    market.more_status = {"listen_notice": NOTICE, "uptime": 1.0}


@ui(size=(120, 30), listings=items, prepare=moved)
async def test_it_is_told_for_a_minute_though_nothing_happens_meanwhile(ui):
    await ui.sees(f"! {NOTICE}")
    ui.clock.advance(NOTICE_SECONDS - 2)
    ui.app._tick()
    await ui.pilot.pause()
    assert NOTICE in ui.text
    ui.clock.advance(2)
    ui.app._tick()
    await ui.misses(NOTICE)


# No peers


@ui(listings=[], peers=0)
async def test_without_peers_it_is_said_what_is_tried_and_when_next(ui):
    await ui.sees("○ no peers, next try in 20 s", "No listings yet")
    words = " ".join(ui.text.split())
    assert "Searching the local network, next try in 20 s; dialling 2 remembered peers" in words
    ui.clock.advance(5)
    ui.app._tick()
    await ui.sees("no peers, next try in 15 s", "local network, next try in 15 s")
    ui.market.searches = ()
    ui.market.emit(StatusChanged())
    await ui.sees("no peers, nothing to try", "Nothing to try: --no-mdns")
    await ui.press("2")
    await ui.sees("No peer is connected", "no remembered peer.", "Press a to add one")


@ui(listings=items, peers=2)
async def test_peers_that_are_not_on_the_topic_are_not_the_market(ui):
    ui.market.go(Connectivity.ALONE)
    ui.market.connected = tuple(replace(ui.market._peer(number), on_topic=False) for number in (1, 2))
    ui.market.emit(StatusChanged())
    await ui.sees("○ none in the market, next try in 20 s", "peers 2")
    await ui.press("2")
    await ui.sees("off topic")


# A market of Go peers alone


def go_peers(fake: FakeMarketplace) -> None:
    fake.connected = tuple(
        replace(fake._peer(number), agent="github.com/asabya/betar", on_topic=True, connected_since=NOW - number)
        for number in (1, 2)
    )
    fake.more_status = {"heads": 0}


@ui(listings=[], prepare=go_peers)
async def test_a_market_of_go_peers_alone_is_waited_for(ui):
    await ui.sees("No listings yet", "the first listings come within a minute")
    ui.clock.advance(100)
    ui.app._tick()
    ui.market.emit(StatusChanged())
    await ui.sees("The market is empty")


# Peers that do not fetch


def silent(fake: FakeMarketplace) -> None:
    first, *rest = fake.connected
    fake.connected = (replace(first, waiting_since=NOW - 40), *rest)


@ui(listings=items, prepare=silent)
async def test_a_peer_that_does_not_fetch_is_named(ui):
    await ui.sees(f"! 1 peer on the topic does not fetch what you publish: {short(1)}")
    await ui.click_text("1 peer on the topic")
    await ui.sees("40s silent", "4 behind", "off topic", "HEAD")
    await ui.press("end", "enter")
    assert isinstance(ui.app.screen, PeerScreen)
    await ui.sees("has not answered for 40 s", "by --bootstrap")


@ui(listings=items)
async def test_peers_show_how_they_were_found_and_what_they_hold(ui):
    await ui.press("2")
    await ui.sees("FOUND", "bootstrap", "incoming", "remembered", "level", "4 behind", "off topic")
    await ui.press("end", "enter")
    await ui.sees("Found      by --bootstrap", "✓ yes: it has the newest that you have")


@pytest.mark.parametrize(("names", "many"), [(1, "1 peer does"), (3, "3 peers do")])
def test_the_line_about_peers_that_do_not_fetch_has_a_short_form(names: int, many: str) -> None:
    peers = [replace(FakeMarketplace()._peer(number), waiting_since=NOW - 11, on_topic=True) for number in range(names)]
    (line,) = lines_of(status(), *peers)
    assert line.short == f"{many} not fetch what you publish"
    assert line.action == "app.go_to('peers')"
