"""Every screen in each of its states: the steps that lead there, and a text that proves it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import trio

from betar_tui.errors import ControlError, StoreLockedError
from betar_tui.market.marketplace import ChangeKind, Connectivity, DagNodeInfo, Provenance
from betar_tui.tui.screens.log import LogScreen
from betar_tui.tui.settings import InterfaceSettings
from betar_tui.tui.widgets.detail import DetailView
from tests.tui.fake import NOW, FakeMarketplace, listing, peer_id
from tests.tui.market import disputed, market
from tests.tui.ui import Ui

Steps = Callable[[Ui], Awaitable[None]]
Prepare = Callable[[FakeMarketplace], None]

LOG = (
    "2026-11-23 12:04:01,220 INFO betar_tui.p2p.network: listening on /ip4/192.168.1.20/tcp/4001",
    "2026-11-23 12:04:09,013 WARNING betar_tui.p2p.network: 12D3KooWQz…77be sent a block that does not hash to its CID",
    "2026-11-23 12:04:11,500 ERROR betar_tui.store: the disk is full",
)
LOCKED = StoreLockedError("another betar-tui uses this data directory")
BUSY = ControlError("the peer is busy")
NOTHING: dict[str, Any] = {"listings": []}
ALONE: dict[str, Any] = {"listings": [], "peers": 0}


@dataclass(frozen=True)
class Scene:
    """`sees` is on the screen in each size; `options` go to `ui`."""

    screen: str
    state: str
    steps: Steps
    sees: str
    options: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.screen}-{self.state}"


def scene(screen: str, state: str, steps: Steps, sees: str, **options: Any) -> Scene:
    """A scene; a state that never gets ready says so with ready=False."""
    return Scene(screen, state, steps, sees, options)


def keys(*names: str) -> Steps:
    """Press keys, one after the other has been dealt with."""

    async def steps(ui: Ui) -> None:
        for name in names:
            await ui.press(name)

    return steps


def busy(*names: str) -> Steps:
    """A market in which something happens, then keys."""

    async def steps(ui: Ui) -> None:
        await lively(ui)
        await keys(*names)(ui)

    return steps


def held(name: str) -> Prepare:
    """A method that never answers."""

    def prepare(fake: FakeMarketplace) -> None:
        fake.gates[name] = trio.Event()

    return prepare


def failing(name: str, error: Any = LOCKED) -> Prepare:
    """A method that always fails."""

    def prepare(fake: FakeMarketplace) -> None:
        fake.fail[name] = error

    return prepare


def offline(fake: FakeMarketplace) -> None:
    """No network runs."""
    fake.go(Connectivity.STOPPED)


def port_taken(fake: FakeMarketplace) -> None:
    """The network cannot be opened."""
    fake.go(Connectivity.FAILED)
    address = "/ip4/0.0.0.0/tcp/4001"
    fake.more_status = {"offline": f"cannot listen on {address}: Address already in use", "port_taken": address}


def branches(fake: FakeMarketplace) -> None:
    """A history with branches."""
    ids = [item.id for item in market(40)]
    links = {6: (5, 4), 5: (3,), 4: (3, 2), 3: (1,), 2: (1,), 1: ()}
    height = {6: 4, 5: 3, 4: 3, 3: 2, 2: 2, 1: 1}
    fake.deltas = tuple(
        DagNodeInfo(_cid(n), height[n], tuple(map(_cid, links[n])), 600 + 31 * n, n % 3, 0 if n % 3 else 1, (ids[n],))
        for n in links
    )


REPLACED = f"{peer_id(3)}/calm-replaced"


def contested(fake: FakeMarketplace) -> None:
    """A listing that was withdrawn, offered again, removed and replaced by another."""
    item = fake.store[REPLACED]
    signed = fake._version(item)
    copy = replace(fake._version(replace(item, price=99.0, provenance=Provenance.UNSIGNED)), cid=_cid(7), height=4)
    removed = replace(signed, cid=_cid(8), height=2, value=None)
    fake.history[REPLACED] = [signed, removed, replace(signed, cid=_cid(9), height=3), copy]
    fake.withdrawn[REPLACED] = int(NOW) - 86_400


async def story(ui: Ui) -> None:
    """Open that listing and go to the end of its page."""
    await ui.press("down", "down", "enter")
    await ui.until(lambda: "Story" in ui.one(DetailView).query_one(".detail-story").content.plain, "the story")
    await ui.press("end")


def faults(fake: FakeMarketplace) -> None:
    """Two peers of which something was refused."""
    one, two, three = fake.connected
    fake.connected = (replace(one, refused=1_204), replace(two, refused=7, misbehaved=2), three)


def _cid(number: int) -> str:
    return f"bafyreib{'qazxswedcvfrtgb' * 3}{number:04d}"


def unreadable() -> Sequence[str]:
    """A log that may not be read."""
    raise PermissionError(13, "Permission denied", "betar.log")


async def history(ui: Ui, text: str) -> None:
    """Open the first listing and wait for a text in its history."""
    await ui.press("enter")
    await ui.until(lambda: text in ui.one(DetailView).query_one(".detail-history").content.plain, text)


async def detail_loading(ui: Ui) -> None:
    await history(ui, "asking the peer")
    await ui.press("J")


async def detail_error(ui: Ui) -> None:
    await history(ui, "the peer is busy")
    await ui.press("J")


async def modes(ui: Ui) -> None:
    """Paused, muted and filtered, without the notifications, which go by themselves."""
    await keys("p", "m", "slash", "o", "c", "r", "enter")(ui)
    ui.app.clear_notifications()


async def versions(ui: Ui) -> None:
    await history(ui, "opens a version")
    await ui.press("v")


async def filter_to_save(ui: Ui) -> None:
    await ui.press("slash", *"ocr", "enter", "B")


async def detail_gone(ui: Ui) -> None:
    await ui.press("enter")
    ui.market.remove(ui.app.screen.listing_id)  # type: ignore[attr-defined]
    await ui.sees("no longer listed")


async def peers_error(ui: Ui) -> None:
    ui.market.fail["peers"] = BUSY
    ui.market.go(Connectivity.ONLINE, peers=2)
    await ui.press("2")


async def peer_gone(ui: Ui) -> None:
    await keys("2", "enter")(ui)
    ui.market.go(Connectivity.STOPPED)
    await ui.sees("no longer connected", "offline")


async def form_errors(ui: Ui) -> None:
    await ui.press("n")
    await ui.type("swift-ocr-12")
    await ui.press("tab")
    await ui.type("cheap")
    await ui.press("f2")


async def lost(ui: Ui) -> None:
    """No events from the first moment on; the status, asked for now and then, can be had but says nothing."""
    ui.app.ask_status()
    await ui.until(lambda: ui.app.model.link_error and ui.app.model.activity)
    await ui.press("3")


async def log_loading(ui: Ui) -> None:
    """The log as it is before its first line is read."""
    screen = LogScreen(ui.app.context)
    screen.ask = lambda: None  # type: ignore[method-assign]
    await ui.app.push_screen(screen)


async def refused(ui: Ui) -> None:
    await ui.press("a")
    await ui.type("nowhere")
    await ui.press("enter")


async def palette(ui: Ui) -> None:
    await ui.press("ctrl+p")
    await ui.type("publish")


SCENES = (
    scene("market", "ready", busy(), "× delisted"),
    scene("market", "loading", keys(), "Reading the stored listings", prepare=held("listings"), ready=False),
    scene("market", "empty", keys(), "No listings yet", **ALONE),
    scene("market", "error", keys(), "The listings cannot be read", prepare=failing("listings"), ready=False),
    scene("market", "offline", keys(), "nothing is stored yet", prepare=offline, **NOTHING),
    scene("market", "offline-with-rows", keys(), "□ offline", prepare=offline),
    scene("market", "port-taken", keys(), "Go online (o)", prepare=port_taken, **NOTHING),
    scene("detail", "ready", keys("enter"), "signed by its seller"),
    scene("detail", "loading", detail_loading, "asking the peer", prepare=held("show")),
    scene("detail", "error", detail_error, "the peer is busy", prepare=failing("show", BUSY)),
    scene("detail", "gone", detail_gone, "no longer listed"),
    scene("detail", "offline", keys("enter"), "□ offline", prepare=offline),
    scene("market", "disputed", keys(), "! replaced", listings=disputed, prepare=contested),
    scene("detail", "story", story, "Replaced by another peer", listings=disputed, prepare=contested),
    scene("peers", "faults", keys("2"), "BROKEN", prepare=faults),
    scene("peer", "faults", keys("2", "down", "enter"), "2 rules of the protocols", prepare=faults),
    scene("peers", "ready", keys("2"), "LISTED"),
    scene("peers", "loading", keys("2"), "Asking for peers", prepare=held("status"), ready=False),
    scene("peers", "empty", keys("2"), "No peer is connected", **ALONE),
    scene("peers", "error", peers_error, "The peers cannot be read"),
    scene("peers", "offline", keys("2"), "No peer runs on this", prepare=offline, **NOTHING),
    scene("peer", "ready", keys("2", "enter"), "does not follow the market"),
    scene("peer", "offline", peer_gone, "no longer connected"),
    scene("activity", "ready", busy("3"), "aaa-brand-new"),
    scene("activity", "loading", keys("3"), "Waiting for the peer", prepare=held("status"), ready=False),
    scene("activity", "empty", keys("3"), "Nothing has changed yet", **ALONE),
    scene("activity", "offline", keys("3"), "Only your own changes", prepare=offline, **NOTHING),
    scene("activity", "error", lost, "Lost the peer", prepare=failing("events", BUSY), ready=False),
    scene("replica", "ready", keys("4"), "◆", prepare=branches),
    scene("replica", "loading", keys("4"), "Reading the newest deltas", prepare=held("dag")),
    scene("replica", "empty", keys("4"), "The replica is empty", **ALONE),
    scene("replica", "error", keys("4"), "The deltas cannot be read", prepare=failing("dag")),
    scene("replica", "offline", keys("4"), "the replica is empty", prepare=offline, **NOTHING),
    scene("delta", "ready", keys("4", "down", "down", "enter"), "Linked from", prepare=branches),
    scene("mine", "ready", keys("5"), "announced to 2 peers"),
    scene("mine", "loading", keys("5"), "Reading the stored listings", prepare=held("listings"), ready=False),
    scene("mine", "empty", keys("5"), "You have no listings yet", **ALONE),
    scene("mine", "error", keys("5"), "Your listings cannot be read", prepare=failing("listings"), ready=False),
    scene("mine", "offline", keys("5"), "you have no listings yet", prepare=offline, **NOTHING),
    scene("log", "ready", keys("6"), "the disk is full", log_tail=lambda: LOG),
    scene("log", "loading", log_loading, "Reading the log"),
    scene("log", "empty", keys("6"), "Nothing was logged yet"),
    scene("log", "error", keys("6"), "The log cannot be read", log_tail=unreadable),
    scene("filters", "saved", keys("b"), "⏎ chooses", settings=InterfaceSettings(filters={"cheap": "price<0.1"})),
    scene("filters", "to-save", filter_to_save, "a name for it"),
    scene("versions", "ready", versions, "Versions of", listings=disputed, prepare=contested),
    scene("market", "modes", modes, "‖ paused"),
    scene("help", "words", keys("question_mark", "w"), "w Words"),
    scene("help", "ready", keys("question_mark"), "Main screen"),
    scene("settings", "ready", keys("comma"), "the terminal's own colours"),
    scene("copy-menu", "ready", keys("y"), "Copy of"),
    scene("copy-menu", "of-a-peer", keys("2", "y"), "Copy: peer"),
    scene("publish", "ready", keys("n"), "Publish a listing"),
    scene("publish", "error", form_errors, "to correct"),
    scene("edit", "ready", keys("5", "e"), "Edit "),
    scene("confirm", "ready", keys("5", "d"), "Keep it (n)"),
    scene("connect", "ready", keys("a"), "Add a peer"),
    scene("connect", "error", refused, "a multiaddr begins with /"),
    scene("palette", "ready", palette, "Publish a listing of yours"),
)


async def lively(ui: Ui) -> None:
    """A few changes of every kind, the cursor on the third row."""
    await ui.press("down", "down")
    items = list(ui.market.store.values())
    ui.market.put(replace(items[0], price=0.5))
    ui.market.put(listing("aaa-brand-new", 0.3, 3, description="Fresh"))
    for _ in range(12):
        ui.market.put(items[3], kind=ChangeKind.REFRESH)
    ui.market.remove(items[24].id)
    ui.market.notice("a Go betar is on the topic: listings are written in its dialect", "warning")
    await ui.until(lambda: len(ui.app.model.activity) == 5)
    await ui.until(lambda: not ui.app.workers or (status := ui.app.model.status) and status.height == ui.market.height)
    ui.app._tick()
    await settled(ui)


async def settled(ui: Ui) -> None:
    """Wait for the history of the listing in sight."""
    for view in ui.app.screen.query(DetailView):
        if view.display and view.size.height:
            await ui.until(functools.partial(_is_complete, ui, view))
    await ui.pilot.pause()


def _is_complete(ui: Ui, view: DetailView) -> bool:
    return view._detail is not None and view._detail.listing == ui.app.model.listing(view.listing_id)
