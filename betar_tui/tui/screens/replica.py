"""The replica: its numbers, how a sync goes on, and the Merkle-DAG with every delta to be opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import DagNode, Status, SyncProgress
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.deeds import Deeds
from betar_tui.tui.graph import GraphLine, draw
from betar_tui.tui.model import MarketModel, News
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.screens.place import PlaceScreen
from betar_tui.tui.widgets.lines import Span
from betar_tui.tui.widgets.pane import PaneState
from betar_tui.tui.workers import start

SHOWN_DELTAS = 500
ASK_EVERY = 2.0
"""Seconds between two looks at a DAG that grows."""


class ReplicaScreen(PlaceScreen):
    """Heads at the top; Enter opens a delta."""

    TITLE = "Replica"

    def __init__(self, model: MarketModel, deeds: Deeds, options: TuiOptions) -> None:
        super().__init__(model, deeds, options)
        self._graph: list[GraphLine] = []
        self._error = ""
        self._asked = False
        self._stale = True

    def on_mount(self) -> None:
        """Look again now and then, while deltas come in."""
        super().on_mount()
        self.set_interval(ASK_EVERY, self._ask_again)

    def ask(self) -> None:
        """Fetch the newest deltas."""
        self._stale = False
        start(self, self._ask, group="dag")

    def _ask_again(self) -> None:
        if self._stale and self.is_current:
            self.ask()

    async def _ask(self) -> None:
        try:
            self._graph, self._error = draw(await self._deeds.bridge.dag(SHOWN_DELTAS)), ""
        except BetarError as error:
            self._error = neutralise(str(error), 300)
        self._asked = True
        self.show()

    def sync(self, news: News) -> None:
        """Follow the model."""
        self._stale = self._stale or news.listings
        super().sync(news)

    def show(self) -> None:
        """Numbers above, graph below."""
        state = PaneState("loading", "Reading the newest deltas…")
        if self._error:
            again = f"Try again ({self._model.keys.name('retry')})"
            state = PaneState("error", "The deltas cannot be read", self._error, "retry", again)
        elif self._asked:
            why = "A delta appears with the first listing, of yours or of a peer."
            state = PaneState("empty", "The replica is empty", why)
        width = max((len(line.lanes) for line in self._graph), default=0)
        self.tell(_numbers(self._model.status), [_spans(line, width) for line in self._graph], state)

    def open(self, row: int) -> None:
        """Show a delta."""
        line = self._graph[row]
        self.app.push_screen(DeltaScreen(line.node, self._model, [each.node for each in self._graph]))


class DeltaScreen(ModalScreen[None]):
    """One delta: what it puts and removes, what it links to, what links to it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "close", "Close", show=False, priority=True)]

    def __init__(self, node: DagNode, model: MarketModel, others: Sequence[DagNode]) -> None:
        super().__init__()
        self._node, self._model = node, model
        self._above = [other for other in others if node.cid in other.links]

    def compose(self) -> ComposeResult:
        """The facts, and a button for the mouse."""
        with Vertical(classes="dialogue"):
            with VerticalScroll(classes="delta", can_focus=False):
                yield Static(self._facts())
            yield Button("Close (Esc)", compact=True)

    def on_button_pressed(self) -> None:
        """Close."""
        self.dismiss(None)

    def action_close(self) -> None:
        """Close."""
        self.dismiss(None)

    def _facts(self) -> Content:
        node = self._node
        parts: list[tuple[str, str]] = [
            (f"Delta at height {node.height:,}\n", "bold"),
            (f"{neutralise(node.cid, 120)}\n\n", "dim"),
            (f"{fmt.plural(node.elements, 'key')} put, {fmt.plural(node.tombstones, 'version')} removed, ", ""),
            (f"{fmt.size(node.bytes)}\n", ""),
        ]
        parts += [("\nListings\n", "bold $accent")] if node.ids else []
        for listing_id in node.ids[:20]:
            listing = self._model.index.get(listing_id)
            name = neutralise(listing.name, 60) if listing else "no longer listed"
            seller = f"  by {fmt.short_id(listing.seller_id)}" if listing else f"  {neutralise(listing_id, 40)}"
            parts += [(f"  {name}", ""), (f"{seller}\n", "dim")]
        if len(node.ids) > 20:
            parts.append((f"  … and {len(node.ids) - 20:,} more\n", "dim"))
        parts.append(("\nLinks to\n", "bold $accent"))
        parts += [(f"  {neutralise(link, 120)}\n", "") for link in node.links] or [
            ("  nothing: a first delta\n", "dim")
        ]
        parts.append(("\nLinked from\n", "bold $accent"))
        parts += [(f"  {other.height:,}  {other.cid}\n", "") for other in self._above] or [
            ("  nothing: a head\n", "dim")
        ]
        return Content.assemble(*parts)


def sync_text(sync: SyncProgress) -> str:
    """How a sync goes on: "syncing 1,200 of 5,000 (24 %), 900/s, 4s left, from 12D3…a91f"."""
    known = sync.fetched + sync.missing
    share = f" ({100 * sync.fetched // known} %)" if known else ""
    left = f", {fmt.age(max(1.0, sync.missing / sync.rate))} left" if sync.rate > 0 and sync.missing else ""
    source = f", from {fmt.short_id(sync.source)}" if sync.source else ", from several peers"
    return f"syncing {sync.fetched:,} of {known:,} or more{share}, {sync.rate:,.0f}/s{left}{source}"


def _numbers(status: Status | None) -> Content:
    if status is None:
        return Content.assemble(("◌ asking the peer…", "dim"))
    parts = [
        (f"{fmt.plural(status.heads, 'head')}  height {status.height:,}  {fmt.plural(status.blocks, 'block')}", ""),
        (f"  {fmt.size(status.bytes)}  {fmt.plural(status.tombstones, 'tombstone')}", ""),
    ]
    if status.invalid or status.unreadable:
        parts.append((f"  hidden {status.invalid + status.unreadable:,}", "$text-warning"))
    if status.sync:
        parts.append((f"\n {sync_text(status.sync)}", "$text-warning"))
    elif status.pending:
        parts.append((f"\n {status.pending:,} blocks are wanted", "$text-warning"))
    return Content.assemble(*parts)


def _spans(line: GraphLine, width: int) -> list[Span]:
    node = line.node
    what = []
    if node.elements:
        what.append(f"+{node.elements}")
    if node.tombstones:
        what.append(f"×{node.tombstones}")
    name = neutralise(node.ids[0].rpartition("/")[2], 30) if node.ids else ""
    more = f" and {len(node.ids) - 1} more" if len(node.ids) > 1 else ""
    return [
        (" ", ""),
        (f"{line.lanes:<{width}}", "good" if line.head else "accent"),
        (f"{node.height:>6,}  ", "dim"),
        (f"{' '.join(what):<7}", "bad" if node.tombstones and not node.elements else "good"),
        (f"{name}{more}  ", "strong"),
        (f"{fmt.short_cid(node.cid)}  {fmt.size(node.bytes)}", "dim"),
        ("  head" if line.head else "", "good"),
    ]
