"""One peer in full: its identity, its connection, its listings."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import Listing, PeerInfo
from betar_tui.market.peer_facts import head_text, is_waiting
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.context import ScreenContext
from betar_tui.tui.format import fit
from betar_tui.tui.keybindings import bindings
from betar_tui.tui.labelled_text import LabelledText
from betar_tui.tui.model import MarketModel, News
from betar_tui.tui.screens.model_screen import ModelScreen
from betar_tui.tui.widgets.banner import Banner
from betar_tui.tui.widgets.keyline import KeyLine
from betar_tui.tui.widgets.page import Page
from betar_tui.tui.widgets.status import StatusBar
from betar_tui.tui.workers import start

SHOWN_NAMES = 40

_DIRECTIONS = {"in": "← in, dialled by it", "out": "→ out, dialled from here"}

_FOUND = {
    "bootstrap": "by --bootstrap",
    "mdns": "on the local network (mDNS)",
    "dht": "in the DHT",
    "remembered": "remembered from before",
    "connect": "added by hand",
    "incoming": "it found this peer",
}
"""`PeerInfo.found` in words."""
_HEAD = {"–": "not known yet", "level": "✓ yes: it has the newest that you have"}


class PeerScreen(ModelScreen[str | None]):
    """Status, the peer, keys. Its result is a filter for the market, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("peer", "navigation", first=True)]
    SCOPE = "peer"

    def __init__(self, context: ScreenContext, peer: PeerInfo) -> None:
        super().__init__(context)
        self._peer = peer
        self._own: tuple[Listing, ...] = ()
        self._own_asked = -1

    def compose(self) -> ComposeResult:
        yield StatusBar(self._model, self._options.title)
        yield Banner(self._model)
        with Page(classes="detail"):
            yield Static("", id="peer-facts")
        yield KeyLine(self._model)

    def on_mount(self) -> None:
        self.query_one(Page).focus()
        self._draw()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def sync(self, news: News) -> None:
        super().sync(news)
        self._draw()

    def tick(self) -> None:
        super().tick()
        self._draw()

    def disabled_reason(self, action: str) -> str:
        """Why an action is not allowed now; empty if it is."""
        gone = action == "disconnect" and self._model.peer(self._peer.peer_id) is None
        return "it is no longer connected" if gone else ""

    @property
    def selected_peer(self) -> str:
        return self._peer.peer_id

    def action_back(self) -> None:
        self.dismiss(None)

    def action_listings(self) -> None:
        self.dismiss(f"seller:{self._peer.peer_id}")

    def action_disconnect(self) -> None:
        """Close its connections; asks once."""
        self._actions.peers.disconnect(self._peer.peer_id)

    def action_mute(self) -> None:
        self._actions.peers.mute(self._peer.peer_id)

    def action_block(self) -> None:
        self._actions.peers.block(self._peer.peer_id)

    def action_copy_menu(self) -> None:
        self._actions.peers.copy(self._peer.peer_id)

    def _draw(self) -> None:
        connected = self._model.peer(self._peer.peer_id)
        self._peer = connected or self._peer
        if self._own_asked != self._peer.listings:
            self._own_asked = self._peer.listings
            start(self, self._ask_own, group="own")
        width = self.query_one(Page).scrollable_content_region.width or 76
        self.query_one("#peer-facts", Static).update(
            facts(self._peer, self._model, connected is not None, width, self._own)
        )

    async def _ask_own(self) -> None:
        try:
            page = await self.context.bridge.listings(f"seller:{self._peer.peer_id}", "name", SHOWN_NAMES)
        except BetarError:
            self._own_asked = -1  # again with the next tick: the number of them is shown all the same
            return
        self._own = page.listings
        self.deliver(self._draw)


def facts(peer: PeerInfo, model: MarketModel, connected: bool, width: int, own: Sequence[Listing] = ()) -> Content:
    """Everything that is known of a peer; `own` are the first of its listings."""
    muted = peer.peer_id in model.muted
    title = [(f"Peer {fmt.short_id(peer.peer_id)}", "bold")]
    title += [] if connected else [("  × no longer connected", "bold $text-error")]
    title += [("  ‖ muted", "bold $text-warning")] if muted else []
    title += [("  ⊘ blocked", "bold $text-error")] if peer.peer_id in model.blocked else []
    rows = LabelledText(width)
    rows.add("Id", neutralise(peer.peer_id, 120))
    rows.add("Direction", _DIRECTIONS.get(peer.direction) or neutralise(peer.direction, 20))
    rows.add("Found", _FOUND.get(peer.found) or neutralise(peer.found, 20) or "–")
    rows.add("Connected", fmt.ago(max(0.0, model.clock() - peer.connected_since)))
    rows.add("Latency", "not measured yet" if peer.latency_ms is None else f"{peer.latency_ms:.1f} ms")
    rows.add("Traffic", f"{fmt.size(peer.bytes_in)} in, {fmt.size(peer.bytes_out)} out")
    rows.add("Agent", neutralise(peer.agent, 120) or "not told yet")
    rows.add("Topic", "✓ follows the market" if peer.on_topic else "· does not follow the market")
    head = head_text(peer, model.clock())
    rows.add("In sync", _HEAD.get(head, head), "$text-warning" if is_waiting(peer, model.clock()) else "")
    if peer.refused:
        rows.add("Refused", f"! {fmt.plural(peer.refused, 'message')} over a budget", "$text-warning")
    if peer.misbehaved:
        rows.add("Broken", f"! {fmt.plural(peer.misbehaved, 'rule')} of the protocols", "$text-warning")
    rows.add_list("Addresses", peer.addrs, 24)
    rows.add_list("Protocols", peer.protocols, 40)
    return Content.assemble(*title, "\n\n", *rows.parts, *_listings(peer, own, muted))


def _listings(peer: PeerInfo, own: Sequence[Listing], muted: bool) -> list[tuple[str, str]]:
    count = peer.listings
    parts = [(f"\n{fmt.plural(count, 'listing')} from it", "bold $accent"), (", muted\n" if muted else "\n", "")]
    if not count:
        return parts
    names = [neutralise(listing.name, 40) for listing in own[:SHOWN_NAMES]]
    width = max(map(cell_len, names), default=0)
    for name, listing in zip(names, own, strict=False):
        parts += [(f"  {fit(name, width)}", ""), (f"  {fmt.aligned_price(listing.price, '', 11).rstrip()}\n", "dim")]
    return [*parts, (f"  … and {count - len(own):,} more\n", "dim")] if own and count > len(own) else parts
