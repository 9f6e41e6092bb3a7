"""One delta: its contents, and its neighbours in the Merkle-DAG, which can be opened in turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import DagNodeInfo, Listing
from betar_tui.market.origin import origin_text
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.context import ScreenContext
from betar_tui.tui.widgets.lines import LineList, Span
from betar_tui.tui.widgets.listlines import ListLines
from betar_tui.tui.workers import start

SHOWN_LISTINGS = 20
"""Maximum listings named."""
LINES = 8
"""Maximum neighbours in sight."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A delta that this one links to, or that links to it (`above`). `node` is None if it is older than those shown."""

    above: bool
    cid: str
    node: DagNodeInfo | None


def neighbours(node: DagNodeInfo, nodes: Sequence[DagNodeInfo]) -> tuple[Neighbour, ...]:
    """The deltas that link to a delta, then those it links to."""
    by_cid = {other.cid: other for other in nodes}
    above = [Neighbour(True, other.cid, other) for other in nodes if node.cid in other.links]
    return (*above, *(Neighbour(False, link, by_cid.get(link)) for link in node.links))


class DeltaScreen(ModalScreen[None]):
    """The facts above, the neighbours below; Enter goes on to one, Backspace comes back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("backspace,left", "return", "The one before", key_display="⌫", priority=True),
        Binding("escape", "close", "Close", key_display="Esc", priority=True),
        Binding("q", "close", "Close", show=False, priority=True),
    ]

    def __init__(
        self, context: ScreenContext, node: DagNodeInfo, nodes: Sequence[DagNodeInfo], via: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._delta, self._model, self._window, self._via = node, context.model, nodes, via
        self._path: list[DagNodeInfo] = []
        self._neighbours = neighbours(node, nodes)
        self._bridge = context.bridge
        # The listings of the delta that are still listed; None until they have come.
        self._found: Mapping[str, Listing] | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            with VerticalScroll(classes="delta", can_focus=False):
                yield Static("", id="delta-facts")
            yield Static("", id="delta-links")
            yield ListLines()
            yield Button("Close (Esc)", compact=True)

    def hint(self, action_id: str, label: str) -> str:
        """The label of a key in the footer."""
        return "Go there" if action_id == "open" and self._neighbours else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "return" or bool(self._path)

    def on_mount(self) -> None:
        self._draw()
        self.query_one(ListLines).focus()
        start(self, self._find, group="find")

    def on_button_pressed(self) -> None:
        self.dismiss(None)

    def action_close(self) -> None:
        self.dismiss(None)

    def action_return(self) -> None:
        if self._path:
            self._show(self._path.pop())
            self.refresh_bindings()

    def on_line_list_opened(self, event: LineList.Opened) -> None:
        event.stop()
        chosen = self._neighbours[event.row]
        if chosen.node is None:
            self.app.notify("It is older than the deltas shown here", severity="warning", markup=False)
            return
        self._path.append(self._delta)
        self._show(chosen.node)
        self.refresh_bindings()

    def _show(self, node: DagNodeInfo) -> None:
        self._delta, self._neighbours, self._found = node, neighbours(node, self._window), None
        start(self, self._find, group="find")
        self.query_one(ListLines).cursor = 0
        self._draw()

    async def _find(self) -> None:
        try:
            found = await self._bridge.find(self._delta.ids[:SHOWN_LISTINGS])
        except BetarError as error:
            self.app.notify(neutralise(str(error), 200), severity="error", markup=False)
            return
        self._found = {listing.id: listing for listing in found}
        if self.is_attached:
            self._draw()

    def _draw(self) -> None:
        self.query_one("#delta-facts", Static).update(self._facts())
        above = sum(neighbour.above for neighbour in self._neighbours)
        head = f"Linked from {above:,}, links to {len(self._delta.links):,}" if self._neighbours else "Neighbours"
        hint = "⏎ goes there" + (", ⌫ comes back" if self._path else "") if self._neighbours else "none"
        self.query_one("#delta-links", Static).update(
            Content.assemble((f"\n{head}", "bold $accent"), (f"  {hint}", "dim"))
        )
        lines = self.query_one(ListLines)
        lines.styles.height = max(1, min(LINES, len(self._neighbours)))
        lines.set_lines([_spans(neighbour) for neighbour in self._neighbours])

    def _facts(self) -> Content:
        node = self._delta
        via = self._via.get(node.cid, "")
        source = origin_text(via, lambda peer: neutralise(peer, 120)) or "source not known any more"
        head = not any(neighbour.above for neighbour in self._neighbours)
        parts: list[tuple[str, str]] = [
            (f"Delta at height {node.height:,}", "bold"),
            (", a head\n" if head else ", a first delta\n" if not node.links else "\n", ""),
            (f"{neutralise(node.cid, 120)}\n", "dim"),
            (f"{source}\n\n", "dim"),
            (f"{fmt.plural(node.elements, 'key')} put, {fmt.plural(node.tombstones, 'version')} removed, ", ""),
            (f"{fmt.size(node.bytes)}\n", ""),
        ]
        parts += [("\nListings\n", "bold $accent")] if node.ids else []
        for listing_id in node.ids[:SHOWN_LISTINGS]:
            parts += self._listing(listing_id)
        if len(node.ids) > SHOWN_LISTINGS:
            parts.append((f"  … and {len(node.ids) - SHOWN_LISTINGS:,} more\n", "dim"))
        return Content.assemble(*parts)

    def _listing(self, listing_id: str) -> list[tuple[str, str]]:
        if self._found is None:
            return [("  …  ", "dim"), (f"{_named(listing_id)}\n", "dim")]
        listing = self._found.get(listing_id)
        if listing is None:
            return [(f"  {_named(listing_id)}", ""), ("  no longer listed\n", "dim")]
        now = "" if listing.cid == self._delta.cid else ", changed since"
        seller = f"  by {fmt.short_id(listing.seller_id, self._model.own_id)}{now}\n"
        return [(f"  {neutralise(listing.name, 60)}  {fmt.price(listing.price)}", ""), (seller, "dim")]


def _named(listing_id: str) -> str:
    name, seller = fmt.short_listing(listing_id)
    return f"{name}  by {seller}" if seller else name


def _spans(neighbour: Neighbour) -> list[Span]:
    node = neighbour.node
    sign = " ↑ " if neighbour.above else " ↓ "
    if node is None:
        return [
            (sign, "accent"),
            (f"{'':>7}  {fmt.short_cid(neighbour.cid)}", ""),
            ("  older than what is shown", "dim"),
        ]
    name = neutralise(node.ids[0].rpartition("/")[2], 30) if node.ids else ""
    return [(sign, "accent"), (f"{node.height:>7,}  ", "dim"), (fmt.short_cid(node.cid), ""), (f"  {name}", "strong")]
