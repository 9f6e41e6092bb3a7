"""The replica: its numbers, the progress of a sync, and the Merkle-DAG, in which each delta can be opened.

The peer through which a delta came is known of the latest ones only."""

from textual.content import Content

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import Status
from betar_tui.market.origin import origin_text
from betar_tui.market.peer_facts import limit_lines, size_text
from betar_tui.market.text import neutralise
from betar_tui.tui import empty_states
from betar_tui.tui import format as fmt
from betar_tui.tui.context import ScreenContext
from betar_tui.tui.graph import GraphLine, draw
from betar_tui.tui.model import MarketModel, News
from betar_tui.tui.screens.list_screen import ListScreen
from betar_tui.tui.widgets.lines import Span
from betar_tui.tui.workers import runs, start

SHOWN_DELTAS, SHOWN_TROUBLES = 500, 4
"""Maximum deltas and troubles shown."""
ASK_EVERY = 2.0
"""Seconds between two requests for a DAG that grows."""


class ReplicaScreen(ListScreen):
    """Heads at the top; Enter opens a delta."""

    TITLE = "Replica"

    def __init__(self, context: ScreenContext) -> None:
        super().__init__(context)
        self._graph: list[GraphLine] = []
        self._via: dict[str, str] = {}
        self._error = ""
        self._asked = False
        self._stale = True

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(ASK_EVERY, self._ask_again)

    def ask(self) -> None:
        """Fetch the newest deltas."""
        self._stale = False
        start(self, self._ask, group="dag")

    def _ask_again(self) -> None:
        if self._stale and self.is_current and not runs(self, "dag"):
            self.ask()

    async def _ask(self) -> None:
        try:
            nodes = await self.context.bridge.dag(SHOWN_DELTAS)
            self._via = {delta.cid: delta.via for delta in await self.context.bridge.log(SHOWN_DELTAS)}
            self._graph, self._error = draw(nodes), ""
        except BetarError as error:
            self._error = neutralise(str(error), 300)
        self._asked = True
        self.deliver(self.show)

    def sync(self, news: News) -> None:
        self._stale = self._stale or news.listings
        super().sync(news)

    def show(self) -> None:
        """Numbers above, graph below."""
        width = max((len(line.lanes) for line in self._graph), default=0)
        lines = [_spans(line, width, self._via.get(line.node.cid, "")) for line in self._graph]
        state = empty_states.replica(self._model, self._asked, self._error)
        cids = [line.node.cid for line in self._graph]
        # Without any deltas the pane itself says what is wrong.
        self.show_lines(_numbers(self._model, self._error if lines else ""), lines, state, keys=cids)

    def open(self, row: int) -> None:
        """Show a delta."""
        line = self._graph[row]
        self.context.open_screen("delta", line.node, [line.node for line in self._graph], self._via)


def _numbers(model: MarketModel, error: str) -> Content:
    status = model.status
    if status is None:
        return Content.assemble(("◌ asking the peer…", "dim"))
    packed = f" ({status.packed:,} packed)" if status.packed else ""
    parts = [
        (
            f"{fmt.plural(status.heads, 'head')}  height {status.height:,}  {fmt.plural(status.blocks, 'block')}{packed}",
            "",
        ),
        (f"  {size_text(status.bytes)} file  {fmt.plural(status.tombstones, 'tombstone')}", ""),
    ]
    if status.invalid or status.unreadable:
        parts.append((f"  hidden {status.invalid + status.unreadable:,}", "$text-warning"))
    parts += [(f"\n {line}", "dim") for line in limit_lines(status.limits)]
    parts += [(f"\n {line}", "$text-warning") for line in _trouble(status, error, model.keys.name("retry"))]
    return Content.assemble(*parts)


def _trouble(status: Status, error: str, retry: str) -> list[str]:
    """The lines on a sync that goes on or is held, on what fails in the background, and on an error."""
    lines = []
    wanted = f"{fmt.plural(status.pending, 'block')} wanted"
    if status.sync_held:
        lines.append(f"{wanted}; the fetching of history is held")
    elif status.sync:
        source = fmt.short_id(status.sync.source) if status.sync.source else "several peers"
        lines.append(f"{wanted}, sent by {source} at {status.sync.rate:,.0f}/s")
    elif status.pending:
        lines.append(f"{wanted}: no peer here has sent them yet")
    lines += [f"! {neutralise(each, 200)}" for each in status.troubles[:SHOWN_TROUBLES]]
    if error:
        lines.append(f"these are the deltas of before: {error} ({retry} tries again)")
    return lines


def _spans(line: GraphLine, width: int, via: str) -> list[Span]:
    node = line.node
    counts = []
    if node.elements:
        counts.append(f"+{node.elements}")
    if node.tombstones:
        counts.append(f"×{node.tombstones}")
    name = neutralise(node.ids[0].rpartition("/")[2], 30) if node.ids else ""
    more = f" and {len(node.ids) - 1} more" if len(node.ids) > 1 else ""
    return [
        (" ", ""),
        (f"{line.lanes:<{width}}", "good" if line.head else "accent"),
        (f"{node.height:>6,}  ", "dim"),
        (f"{' '.join(counts):<7}", "bad" if node.tombstones and not node.elements else "good"),
        (f"{name}{more}  ", "strong"),
        (f"{fmt.short_cid(node.cid)}  {fmt.size(node.bytes)}", "dim"),
        ("  head" if line.head else "", "good"),
        (f"  {came}" if (came := origin_text(via, fmt.short_id)) else "", "dim"),
    ]
