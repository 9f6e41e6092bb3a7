"""The connected peers, in a stock table: there are tens of them."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from betar_tui.market.marketplace import PeerInfo
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.actions import bindings
from betar_tui.tui.model import MarketModel

COLUMNS = ("PEER", "DIR", "MS", "TOPIC", "LISTED", "SINCE", "IN", "OUT", "AGENT", "ADDRESS")
TRAFFIC = ("IN", "OUT")
TRAFFIC_FROM = 100
"""Cells from which there is room for the traffic."""

MOVES = (
    ("up,k", "cursor_up", "Up"),
    ("down,j", "cursor_down", "Down"),
    ("pageup", "page_up", "Page up"),
    ("pagedown", "page_down", "Page down"),
    ("home,g", "scroll_top", "Top"),
    ("end,G", "scroll_bottom", "Bottom"),
)

DIRECTIONS = {"in": "← in", "out": "→ out"}


class PeerTable(DataTable[Text]):
    """One row a peer; the cursor stays on its peer when the list changes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("peers", first=True),
        # Before those of the table, so that keys typed ahead are taken in their order.
        *(Binding(key, action, help, show=False, priority=True) for key, action, help in MOVES),
    ]

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="peer-table", cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._model = model
        self._shown: list[tuple[str, ...]] = []
        self._titles: tuple[str, ...] = ()

    def on_mount(self) -> None:
        """The columns."""
        self._set_columns()

    def on_resize(self) -> None:
        """Traffic is shown where there is room."""
        self._set_columns()

    def _set_columns(self) -> None:
        titles = tuple(title for title in COLUMNS if title not in TRAFFIC or self.size.width >= TRAFFIC_FROM)
        if titles != self._titles:
            row = self.cursor_row
            self._titles, self._shown = titles, []
            self.clear(columns=True)
            for title in titles:
                self.add_column(title, key=title)
            self.take()
            self.move_cursor(row=row)

    @property
    def current(self) -> str:
        """The id of the peer under the cursor, or nothing: of the row that is drawn, whatever has changed since."""
        return self._shown[self.cursor_row][0] if 0 <= self.cursor_row < len(self._shown) else ""

    def action_open(self) -> None:
        """As a click: choose the row."""
        self.action_select_cursor()

    async def action_peer_listings(self) -> None:
        """The screen filters."""
        await self.screen.run_action("peer_listings")

    async def action_disconnect(self) -> None:
        """The screen asks."""
        await self.screen.run_action("disconnect")

    def follow(self, replaced: bool = False) -> None:
        """Show the peers if others are connected now, or all is new; numbers of the same ones wait for `take`, each second:
        to lay out a table costs more than all the listings of a busy market."""
        if replaced or {peer.peer_id for peer in self._model.peers} != {row[0] for row in self._shown}:
            self.take()

    def take(self) -> None:
        """Show the peers as they are now."""
        rows = [self._texts(peer, self._model.index.listings_of(peer.peer_id)) for peer in self._sorted()]
        if rows == self._shown:
            return
        at, offset = self.current, self.scroll_offset
        self._shown = rows
        self.clear()
        for row in rows:
            cells = zip(COLUMNS, row[1:], strict=True)
            self.add_row(*(Text(text) for title, text in cells if title in self._titles), key=row[0])
        keys = [row[0] for row in rows]
        if at in keys:
            self.move_cursor(row=keys.index(at), scroll=False)
        self.scroll_to(offset.x, offset.y, animate=False)

    def _sorted(self) -> list[PeerInfo]:
        return sorted(self._model.peers, key=lambda peer: (peer.connected_since, peer.peer_id))

    def _texts(self, peer: PeerInfo, listings: int) -> tuple[str, ...]:
        return (
            peer.peer_id,
            fmt.short_id(peer.peer_id) + (" ‖" if peer.peer_id in self._model.muted else ""),
            DIRECTIONS.get(peer.direction, neutralise(peer.direction, 8)),
            "…" if peer.latency_ms is None else f"{peer.latency_ms:.0f}",
            "✓" if peer.on_topic else "·",
            str(listings),
            fmt.age(max(0.0, self._model.clock() - peer.connected_since)),
            fmt.size(peer.bytes_in),
            fmt.size(peer.bytes_out),
            neutralise(peer.agent, 24) or "…",
            neutralise(peer.addrs[0], 80) if peer.addrs else "",
        )
