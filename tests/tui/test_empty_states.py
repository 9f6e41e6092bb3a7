"""Each pane and screen while it loads, is empty, has failed or is offline; and the parts that stay usable."""

import asyncio

import pytest
import trio
from textual import events
from textual.app import App
from textual.widgets import Button, Input

from betar_tui.errors import ControlError, StoreError, StoreLockedError
from betar_tui.market.marketplace import Connectivity, DagNodeInfo
from betar_tui.tui import empty_states
from betar_tui.tui.model import MarketModel
from betar_tui.tui.screens.dialogues import ConnectScreen
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.screens.publish import FormScreen
from betar_tui.tui.widgets.detail import DetailView
from betar_tui.tui.widgets.pane import Pane, PaneState, StateView
from betar_tui.tui.widgets.peers import PeerTable
from tests.tui.fake import Clock, FakeMarketplace, listing, peer_id, short
from tests.tui.test_app import fill
from tests.tui.ui import ui


def items():
    return [listing("amber-ocr", 0.02, 1, description="reads pages"), listing("calm-geo", 1.5, mine=True)]


def gated(name):
    def prepare(fake: FakeMarketplace) -> None:
        fake.gates[name] = trio.Event()

    return prepare


def failing(name, error):
    def prepare(fake: FakeMarketplace) -> None:
        fake.fail[name] = error

    return prepare


def offline(fake: FakeMarketplace) -> None:
    fake.go(Connectivity.STOPPED)


def test_all_states_of_a_model_that_knows_nothing_yet_are_loading():
    model = MarketModel(Clock())
    kinds = [
        empty_states.listings(model, 0),
        empty_states.peers(model),
        empty_states.activity(model, 0, False),
        empty_states.detail(model, ""),
        empty_states.mine(model),
        empty_states.replica(model, False, ""),
        empty_states.log(model, False, ""),
    ]
    assert [state.kind for state in kinds] == ["loading"] * 7


def test_all_states_after_a_lost_peer_are_errors_with_a_retry():
    model = MarketModel(Clock())
    model.link_error = "the socket is gone"
    model.load_failed("the socket is gone")
    model.status_failed("the socket is gone")
    kinds = [
        empty_states.listings(model, 0),
        empty_states.peers(model),
        empty_states.activity(model, 0, False),
        empty_states.detail(model, ""),
        empty_states.mine(model),
        empty_states.replica(model, True, "the socket is gone"),
        empty_states.log(model, True, "the socket is gone"),
    ]
    assert [(state.kind, state.action) for state in kinds] == [("error", "retry")] * 7
    assert all("the socket is gone" in state.reason for state in kinds)


@ui(size=(120, 36), listings=[], prepare=offline)
async def test_panes_offline(ui):
    await ui.sees(
        "Offline, and nothing is stored yet", "Only your own changes show up here", "No peer runs on this data"
    )
    assert ui.text.count("Go online (o)") == 3
    for key, text in (("4", "Offline, and the replica is empty"), ("5", "Offline, and you have no listings yet")):
        await ui.press(key)
        await ui.sees(text)
        await ui.press("escape")


@ui(size=(120, 36), listings=[], peers=0)
async def test_panes_empty_say_why_and_the_next_key(ui):
    await ui.sees(
        "No listings yet",
        "There is no listing to show",
        "No peer is connected",
        "Nothing has changed yet",
        "Add a peer (a)",
    )
    for key, texts in (
        ("4", ("The replica is empty", "Look again (r)")),
        ("5", ("You have no listings yet", "Publish (n)")),
    ):
        await ui.press(key)
        await ui.sees(*texts)
        await ui.press("escape")
    await ui.press("6")
    await ui.sees("Nothing was logged yet", "written here as it happens")


@ui(size=(140, 36), listings=items)
async def test_the_side_pane_of_a_table_without_a_match_names_only_useful_keys(ui):
    await ui.press("slash", *"zzz", "enter")
    await ui.sees("No match among", "Esc takes the filter away.")
    assert "choose one" not in ui.text


@ui(size=(120, 36), listings=items, prepare=gated("listings"), ready=False)
async def test_panes_loading(ui):
    await ui.sees("Reading the stored listings")
    await ui.until(lambda: ui.text.count("Reading the stored listings") == 2)
    await ui.press("5")
    await ui.sees("Reading the stored listings")
    ui.market.gates.pop("listings").set()
    await ui.sees("calm-geo")


@ui(size=(120, 36), listings=items, prepare=gated("listings"), ready=False, mount_panes_after=60.0)
async def test_keys_typed_before_the_panes_are_mounted_are_handled_in_order(ui):
    assert not ui.app.query(PeerTable), "the other panes are mounted later"
    await ui.press("3", "n", "x", "y")
    await ui.until(lambda: isinstance(ui.app.screen, FormScreen), "the form")
    await ui.until(lambda: ui.app.screen.query_one("#field-name", Input).value == "xy", "the text typed into it")
    await ui.press("escape")
    await ui.until(lambda: isinstance(ui.app.screen, MainScreen))
    assert ui.app.screen.query_one("#pane-activity").has_class("-current")


@ui(listings=items, prepare=gated("listings"), ready=False, mount_panes_after=60.0)
async def test_a_paste_before_the_panes_are_mounted_is_handled_in_order(ui):
    ui.app.post_message(events.Key("slash", "/"))
    ui.app.post_message(events.Paste("amber"))
    ui.app.post_message(events.Key("o", "o"))
    await ui.until(lambda: ui.app.screen.query_one("#filter", Input).value == "ambero", "all of it in the filter")


@ui(listings=items, prepare=gated("dag"))
async def test_replica_loading(ui):
    await ui.press("4")
    await ui.sees("Reading the newest deltas")
    ui.market.deltas = (DagNodeInfo("b", 1, (), 612, 1, 0, ()),)
    ui.market.gates.pop("dag").set()
    await ui.sees("◆")


@ui(listings=items, prepare=gated("status"), ready=False)
async def test_peers_and_activity_loading(ui):
    await ui.press("2")
    await ui.sees("Asking for peers")
    await ui.press("3")
    await ui.sees("Waiting for the peer")
    ui.market.gates.pop("status").set()
    await ui.sees("Nothing has changed yet")


@ui(
    listings=items,
    prepare=failing("listings", StoreLockedError("another betar-tui uses this data directory")),
    ready=False,
)
async def test_mine_and_market_with_a_locked_store(ui):
    await ui.sees("another betar-tui uses this data directory", "Try again (r)")
    await ui.press("5")
    await ui.sees("Your listings cannot be read", "another betar-tui uses this data directory")
    ui.market.fail.clear()
    await ui.click_text("Try again")
    await ui.sees("calm-geo")


def unreadable() -> list[str]:
    raise PermissionError(13, "Permission denied", "betar.log")


@ui(listings=items, log_tail=unreadable)
async def test_log_that_cannot_be_read(ui):
    await ui.press("6")
    await ui.sees("The log cannot be read", "Permission denied", "Try again (r)")


@ui(listings=items)
async def test_failed_peers_have_a_retry(ui):
    ui.market.fail["peers"] = ControlError("the peer is busy")
    ui.market.go(Connectivity.ONLINE, peers=2)
    await ui.press("2")
    await ui.sees("The peers cannot be read", "the peer is busy")
    ui.market.fail.clear()
    await ui.click_text("Try again")
    await ui.sees("go-betar/0.3")


# Trouble while the interface is open


@pytest.mark.parametrize("error", [StoreError("disk is full"), StoreLockedError("another betar-tui writes here")])
def test_a_publish_that_cannot_be_stored_keeps_the_form(error):
    @ui(listings=items)
    async def publish(ui):
        ui.market.fail["publish"] = error
        await ui.press("n")
        await fill(ui, name="swift-ocr", price="0.02")
        await ui.press("f2")
        await ui.sees(f"✗ {error}", "swift-ocr")
        assert isinstance(ui.app.screen, FormScreen)
        assert ui.app.model.receipts.pending == ()
        ui.market.fail.clear()
        await ui.press("f2")
        await ui.until(lambda: isinstance(ui.app.screen, MainScreen))
        await ui.sees("+ swift-ocr")

    publish()


@ui(size=(120, 36), listings=items)
async def test_a_lost_socket_leaves_the_content_and_comes_back(ui):
    await ui.sees("reads pages")
    gone = ControlError("the control socket is gone")
    ui.market.fail.update(events=gone, status=gone, listings=gone, show=gone)
    ui.market.break_stream()
    await ui.sees("✗ lost the peer", "amber-ocr", "reads pages")
    await ui.press("down", "m", "slash")
    await ui.type("amber")
    await ui.press("enter")
    await ui.sees("! the control socket is gone", "amber-ocr", "calm-geo")
    await ui.until(
        lambda: "the control socket is gone" in ui.one(DetailView).query_one(".detail-history").content.plain
    )
    ui.market.fail.clear()
    await ui.press("r")
    await ui.sees("● online", "1 of 2")


@ui(listings=items)
async def test_peers_that_vanish_leave_the_market(ui):
    await ui.press("2", "end")
    ui.market.go(Connectivity.ALONE)
    await ui.sees("No peer is connected", "○ no peers")
    for key in ("x", "f", "m"):
        await ui.press(key)
    assert isinstance(ui.app.screen, MainScreen)
    await ui.press("enter")
    assert isinstance(ui.app.screen, ConnectScreen), "the key of the button that is there instead"
    await ui.press("escape")
    ui.market.go(Connectivity.ONLINE, peers=2)
    await ui.sees(f"{short(2)}")
    await ui.press("1")
    await ui.sees("amber-ocr")


# Zoom and the stored value


@ui(size=(120, 36), listings=items)
async def test_every_pane_can_have_the_whole_body(ui):
    panes = {"listings": "1", "detail": "tab", "peers": "2", "activity": "3"}
    for name, key in panes.items():
        await ui.press("1")
        if name != "listings":
            await ui.press(key)
        await ui.press("z")
        await ui.until(lambda name=name: ui.one(f"#pane-{name}").size.width > 110, f"{name} alone")
        shown = [pane.key for pane in ui.app.screen.query(Pane) if pane.size.area and pane.region.area]
        assert shown == [name]
        assert ui.one(f"#pane-{name}").size.height > 25
        await ui.press("escape" if name == "peers" else "z")
        await ui.sees("Market", "Listing", "Peers", "Activity")


@ui(size=(120, 36), listings=items)
async def test_panes_are_walked_through_while_zoomed(ui):
    await ui.press("z", "tab")
    await ui.until(lambda: ui.one("#pane-detail").size.width > 110)
    assert ui.focused is ui.one(DetailView)


@ui(listings=items)
async def test_the_stored_value_can_be_seen(ui):
    await ui.press("enter", "J")
    await ui.sees("As stored", f'"id": "{peer_id(1)}/amber-ocr"', '"timestamp":')
    assert "signed by its seller" not in ui.text
    await ui.click_text("Page")
    await ui.sees("signed by its seller")
    assert "As stored" not in ui.text


class OneState(App[None]):
    def compose(self):
        yield StateView()


def test_the_button_of_a_state_is_as_wide_as_what_it_says():
    async def widths():
        async with (app := OneState()).run_test() as pilot:
            for label in ("Add a peer (a)", "Publish a listing (n)", "Publish (n)"):
                app.query_one(StateView).update(PaneState("empty", "No listings yet", action="publish", label=label))
                await pilot.pause()
                yield label, app.query_one(Button).region.width - len(label)

    async def spare():
        return {label: room async for label, room in widths()}

    assert asyncio.run(spare()) == {"Add a peer (a)": 2, "Publish a listing (n)": 2, "Publish (n)": 5}
