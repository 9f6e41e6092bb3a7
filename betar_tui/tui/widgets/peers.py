"""The connected peers: a header and a `LineList`, one line for each."""

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget

from betar_tui.market.marketplace import PeerInfo
from betar_tui.market.peer_facts import head_text, is_waiting
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.format import fit
from betar_tui.tui.keybindings import bindings
from betar_tui.tui.model import MarketModel
from betar_tui.tui.widgets.lines import LineList, Span

COLUMNS = {
    "PEER": 13,
    "DIR": 3,
    "FOUND": 10,
    "MS": 3,
    "HEAD": 10,
    "BROKEN": 6,
    "REFUSED": 7,
    "LISTED": 6,
    "SINCE": 5,
    "IN": 7,
    "OUT": 7,
    "AGENT": 15,
    "ADDRESS": 15,
}
"""The columns with their widths in cells; the address takes the rest of the line. HEAD says whether the peer holds this
peer's newest head, BROKEN how many rules it broke, REFUSED how many of its messages were refused."""
FAULTS = ("BROKEN", "REFUSED")
"""Columns shown only if a peer has something in them."""
OPTIONAL = (*FAULTS, "LISTED", "SINCE", "FOUND", "AGENT", "DIR", "ADDRESS", "IN", "OUT")
"""Columns shown if there is room, in this order of importance; the screen of one peer shows all."""
PADDING = 1
"""Number of cells on both sides of a column."""


class PeerHeader(Widget):
    """The titles of the columns that are shown."""

    ALLOW_SELECT = False

    def __init__(self, table: "PeerTable") -> None:
        super().__init__(id="peer-header")
        self._table = table

    def render(self) -> Content:
        return Content("".join(_cell(title, cells) for title, cells in self._table.widths.items()))


class PeerTable(LineList):
    """One line for each peer; the cursor stays on its peer when the list changes."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("peers", first=True)]

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="peer-table")
        self._model = model
        self._shown: list[tuple[str, ...]] = []
        self.widths: dict[str, int] = {}

    def on_mount(self) -> None:
        self.update_peers()

    def on_resize(self) -> None:
        self.update_peers()

    @property
    def count(self) -> int:
        """Number of peers shown."""
        return len(self._shown)

    def spans(self, row: int, width: int) -> Sequence[Span]:
        """The cells of one peer."""
        texts = dict(zip(COLUMNS, self._shown[row][1:], strict=True))
        line = "".join(_cell(texts[title], cells) for title, cells in self.widths.items())
        return [(line[1:], "")]  # the bar of the cursor takes the first cell

    @property
    def current(self) -> str:
        """The id of the peer in the row under the cursor as it was drawn, or nothing."""
        return self._shown[self.cursor][0] if self.cursor < len(self._shown) else ""

    async def action_peer_listings(self) -> None:
        """Let the screen filter by the peer."""
        await self.screen.run_action("peer_listings")

    async def action_disconnect(self) -> None:
        await self.screen.run_action("disconnect")

    def update_if_changed(self, replaced: bool = False) -> None:
        """Update the rows if other peers are connected, or if all of the model was `replaced`.

        New numbers of the same peers wait for the `update_peers` of each second."""
        if replaced or {peer.peer_id for peer in self._model.peers} != {row[0] for row in self._shown}:
            self.update_peers()

    def update_peers(self) -> None:
        """Show the current peers in the columns that are due, with the cursor on its present one."""
        at = self.current
        widths = fitting_columns(self.size.width, faults_of(self._model.peers))
        if widths != self.widths:
            self.widths = widths
            if self.is_attached:  # a last size may come while the app closes
                self.screen.query(PeerHeader).refresh()
        self._shown = [self._texts(peer) for peer in self._sorted()]
        self.recount()
        ids = [row[0] for row in self._shown]
        self.cursor = ids.index(at) if at in ids else self.cursor

    def _sorted(self) -> list[PeerInfo]:
        return sorted(self._model.peers, key=lambda peer: (peer.connected_since, peer.peer_id))

    def _texts(self, peer: PeerInfo) -> tuple[str, ...]:
        return (
            peer.peer_id,
            fmt.short_id(peer.peer_id),
            neutralise(peer.direction, 8),
            neutralise(peer.found, 10) or "–",
            _latency(peer.latency_ms),
            _head(peer, self._model.clock()),
            _fault(peer.misbehaved, COLUMNS["BROKEN"]),
            _fault(peer.refused, COLUMNS["REFUSED"]),
            f"‖{peer.listings}" if peer.peer_id in self._model.muted else str(peer.listings),
            fmt.age(max(0.0, self._model.clock() - peer.connected_since)),
            fmt.size(peer.bytes_in),
            fmt.size(peer.bytes_out),
            neutralise(peer.agent, 24) or "…",
            neutralise(peer.addrs[0], 80) if peer.addrs else "",
        )


def faults_of(peers: Iterable[PeerInfo]) -> frozenset[str]:
    """The columns of `FAULTS` in which some peer has something."""
    found = {"BROKEN": any(peer.misbehaved for peer in peers), "REFUSED": any(peer.refused for peer in peers)}
    return frozenset(title for title, here in found.items() if here)


def fitting_columns(width: int, faults: Collection[str] = ()) -> dict[str, int]:
    """The columns that fit in `width` cells, in their order, with their widths; one cell is left to the scrollbar."""
    chosen = {title: cells for title, cells in COLUMNS.items() if title not in OPTIONAL}
    left = width - 1 - sum(cells + 2 * PADDING for cells in chosen.values())
    for title in OPTIONAL:
        if title in FAULTS and title not in faults:
            continue
        if left < COLUMNS[title] + 2 * PADDING:
            break
        chosen[title] = COLUMNS[title]
        left -= COLUMNS[title] + 2 * PADDING
    if "ADDRESS" in chosen:
        chosen["ADDRESS"] += left
    return {title: chosen[title] for title in COLUMNS if title in chosen}


def _cell(text: str, cells: int) -> str:
    return " " * PADDING + fit(text, cells) + " " * PADDING


def _head(peer: PeerInfo, now: float) -> str:
    """`peer_facts.head_text` in ten characters."""
    if not peer.on_topic:
        return "off topic"
    if is_waiting(peer, now):
        return f"{fmt.age(now - (peer.waiting_since or now))} silent"
    if not peer.behind:
        return head_text(peer, now)
    return f"{peer.behind} behind" if peer.behind < 1000 else "far behind"


def _fault(count: int, width: int) -> str:
    """A number of faults in `width` cells, with a sign; nothing for none."""
    return f"! {min(count, 10 ** (width - 2) - 1)}" if count else "–"


def _latency(milliseconds: float | None) -> str:
    """A round trip in three characters."""
    if milliseconds is None:
        return "…"
    return f"{milliseconds:.0f}" if milliseconds < 999.5 else f"{min(milliseconds / 1000, 99):.0f}s"
