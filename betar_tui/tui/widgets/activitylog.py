"""The activity as lines, the latest at the bottom and in sight unless the person scrolls back."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget

from betar_tui.market.names import is_peer_id
from betar_tui.market.origin import LOCAL, origin_text
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.activity import ActivityEntry, ActivityFilter
from betar_tui.tui.format import fit
from betar_tui.tui.keybindings import bindings
from betar_tui.tui.model import MarketModel
from betar_tui.tui.provenance import NO_PEER_ID
from betar_tui.tui.widgets.lines import LineList, Span

STYLES = {
    "put": "good",
    "update": "accent",
    "refresh": "dim",
    "delist": "bad",
    "warning": "warn",
    "error": "bad",
}


def entry_spans(entry: ActivityEntry, own: str, width: int = 0) -> list[Span]:
    """The spans of one entry; without a width, its short form. Of where it came from, what does not fit is left out."""
    dim = entry.kind == "refresh"
    head: list[Span] = [
        (f"{fmt.clock(entry.at)} ", "dim"),
        (f"{entry.sign} ", STYLES.get(entry.kind, "")),
    ]
    if not entry.listing_id:
        return [*head, (neutralise(entry.text, 400), STYLES.get(entry.kind, ""))]
    body: list[Span] = [
        (fit(entry.verb, max(9, len(entry.verb))) + " ", "dim" if dim else STYLES.get(entry.kind, "")),
        (neutralise(entry.text, 60), "dim" if dim else "strong"),
        *_seller(entry.seller, own),
    ]
    if entry.note:
        body.append((f"  {entry.note}", ""))
    if entry.delivery:
        body.append((f"  {entry.delivery}", "warn" if entry.delivery.startswith("pending") else "good"))
    spans = head + body
    left = width - sum(cell_len(text) for text, _ in spans) - 1  # the cell of the cursor
    for text in _origin(entry) if width else ():
        left -= cell_len(text)
        if left < 0:
            break
        spans.append((text, "dim"))
    return spans


def _origin(entry: ActivityEntry) -> Iterator[str]:
    """Where a change came from and what it cost, what matters most first."""
    if entry.via != LOCAL and (came := origin_text(entry.via, fmt.short_id)):
        yield f"  {came}"
    yield f"  {fmt.short_cid(entry.cid)}"
    yield f"  height {entry.height:,}"
    if entry.bytes:
        yield f"  {fmt.size(entry.bytes)} in {fmt.took(entry.took)}"


def _seller(seller_id: str, own: str) -> list[Span]:
    """Who a listing is by, if that is known."""
    if not seller_id:
        return []
    if is_peer_id(seller_id):
        return [(f"  by {fmt.short_id(seller_id, own)}", "dim")]
    return [("  by ", "dim"), (f"{fmt.short_id(seller_id)}, {NO_PEER_ID}", "bad")]


class ActivityLines(LineList):
    """The log. The cursor stays at the end while it is there."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("log", first=True)]

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="log")
        self._model = model
        self._shown: list[ActivityEntry] = []
        self.filter_text = ""

    @property
    def count(self) -> int:
        """Number of entries shown."""
        return len(self._shown)

    @property
    def current(self) -> ActivityEntry | None:
        """The entry under the cursor."""
        return self.at(self.cursor)

    def at(self, row: int) -> ActivityEntry | None:
        """The entry of a line, or None past the end."""
        return self._shown[row] if row < len(self._shown) else None

    def spans(self, row: int, width: int) -> Sequence[Span]:
        """One entry."""
        return [(" ", ""), *entry_spans(self._shown[row], self._model.own_id, width)]

    def update_entries(self) -> None:
        """Show the current entries; the cursor stays at the end if it is there."""
        at_end, current = self.cursor >= self.count - 1, self.current
        chosen = ActivityFilter(self.filter_text, self._model.muted)
        self._shown = [entry for entry in self._model.activity.entries if chosen.shows(entry)]
        self.recount()
        if at_end:
            self.cursor = self.count - 1
            self.show_cursor()
        elif current is not self.current and current is not None:
            # By identity: entries are compared by their content, which many share.
            rows = (row for row, entry in enumerate(self._shown) if entry is current)
            self.cursor = next(rows, self.cursor)


class LatestChange(Widget):
    """One line under the table: the latest entry, where the log itself is not in sight."""

    ALLOW_SELECT = False

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="latest")
        self._model = model

    async def on_click(self) -> None:
        await self.screen.run_action("app.go_to('activity')")

    def render(self) -> Content:
        entry = self._model.activity.latest(self._model.muted)
        sign = ("‖", "bold $text-accent") if self._model.activity.paused else ("Δ", "dim" if entry is None else "")
        if entry is None:
            return Content.assemble(" ", sign, (" nothing has changed yet", "dim"))
        pieces = entry_spans(entry, self._model.own_id)
        return Content.assemble(" ", sign, " ", *((text, _style(names)) for text, names in pieces))


def _style(names: str) -> str:
    colours = {"dim": "dim", "good": "$text-success", "accent": "$text-accent", "warn": "$text-warning"}
    return {**colours, "bad": "$text-error", "strong": "bold"}.get(names, "")
