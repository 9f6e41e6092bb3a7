"""The versions of a listing: a list of them, and below it the one under the cursor as it was."""

import json
from contextlib import suppress
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from betar_tui.choices import CURRENCY
from betar_tui.errors import ListingError
from betar_tui.market.history import VersionChange, version_changes
from betar_tui.market.json_values import number_of, whole_number_of
from betar_tui.market.marketplace import ListingDetail, Version
from betar_tui.market.prices import other_currency
from betar_tui.market.text import neutralise, neutralise_lines
from betar_tui.tui import format as fmt
from betar_tui.tui import provenance
from betar_tui.tui.context import ScreenContext
from betar_tui.tui.labelled_text import LabelledText
from betar_tui.tui.stored_value import stored_value
from betar_tui.tui.widgets.lines import LineList, Span
from betar_tui.tui.widgets.listlines import ListLines
from betar_tui.tui.widgets.page import Page

SHOWN_VERSIONS = 200
"""Maximum versions that can be opened."""
LINES = 6
"""Maximum versions in sight in the list."""
SHOWN_DESCRIPTION = 4000
"""Maximum characters of a version's description."""


class VersionsScreen(ModalScreen[None]):
    """The newest version first; Enter goes to its page, which Esc leaves for the list."""

    SCOPE = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Back", key_display="Esc", priority=True),
        Binding("q", "close", "Back", show=False, priority=True),
        Binding("tab", "other", "List or version", key_display="Tab", priority=True),
        Binding("shift+tab", "other", "List or version", show=False, priority=True),
    ]

    def __init__(self, context: ScreenContext, detail: ListingDetail) -> None:
        super().__init__()
        self._model, self._detail = context.model, detail
        self._versions = detail.history[:SHOWN_VERSIONS]
        self._changes = version_changes(detail.history[: SHOWN_VERSIONS + 1])[:SHOWN_VERSIONS]

    def compose(self) -> ComposeResult:
        name = neutralise(self._detail.listing.name, 60) or "(no name)"
        more = len(self._detail.history) - len(self._versions)
        older = f", the last {len(self._versions):,} of {len(self._detail.history):,}" if more else ""
        with Vertical(classes="dialogue", id="versions"):
            yield Static(Content.assemble(("Versions of ", "bold"), (name, "bold $accent"), (older, "dim")))
            yield ListLines()
            with Page(id="version"):
                yield Static("", id="version-text")
            yield Button("Close (Esc)", compact=True)

    def on_mount(self) -> None:
        lines = self.query_one(ListLines)
        lines.styles.height = max(1, min(LINES, len(self._versions)))
        lines.set_lines([_spans(change) for change in self._changes])
        lines.focus()
        self._draw()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def hint(self, action_id: str, label: str) -> str:
        """The label of a key in the footer."""
        return "Read it" if action_id == "open" else label

    def on_button_pressed(self) -> None:
        self.dismiss(None)

    def action_close(self) -> None:
        """Go back to the list, or from there to the listing."""
        if isinstance(self.focused, Page):
            self.query_one(ListLines).focus()
        else:
            self.dismiss(None)

    def action_other(self) -> None:
        self.query_one(ListLines if isinstance(self.focused, Page) else Page).focus()

    def on_line_list_moved(self, event: LineList.Moved) -> None:
        self._draw()
        self.query_one(Page).scroll_home(animate=False)

    def on_line_list_opened(self, event: LineList.Opened) -> None:
        event.stop()
        self.query_one(Page).focus()

    def _draw(self) -> None:
        row = self.query_one(ListLines).cursor
        if row < len(self._versions):
            page = self.query_one(Page)
            width = page.scrollable_content_region.width or 60
            text = version_text(self._versions[row], self._changes[row], self._model.clock(), width)
            self.query_one("#version-text", Static).update(text)


def version_text(version: Version, change: VersionChange, now: float, width: int) -> Content:
    """A version as it was: what it said, what it changed, and its value as it is stored."""
    if version.value is None:
        withdrawn = "Withdrawn by its seller in this delta: the listing was off the market."
        unsigned = (
            "Removed by a delta that is not known here, and nobody signed for that: a signed listing stays in sight."
        )
        return Content.assemble((withdrawn if version.cid else unsigned, ""), "\n", *_facts(version, width))
    try:
        value = json.loads(version.value)
    except (ValueError, RecursionError):
        value = None
    fields = value if isinstance(value, dict) else {}
    metadata = fields.get("metadata")
    description = metadata.get("description") if isinstance(metadata, dict) else None
    rows = LabelledText(width)
    # Anybody may have written it: what a listing cannot have stands below, as stored, and nowhere else.
    with suppress(ListingError):
        rows.add("Price", f"{fmt.price(number_of(fields, 'price'))} {CURRENCY}", "bold")
    if currency := other_currency(metadata):
        rows.add("", f"! {currency}", "$text-warning")
    with suppress(ListingError):
        rows.add("Put", f"{fmt.ago(max(0.0, now - whole_number_of(fields, 'timestamp')))} by its seller's clock")
    parts: list[Content | tuple[str, str]] = [*rows.parts, *_facts(version, width)]
    if isinstance(description, str) and description.strip():
        parts += [("\nDescription\n", "bold $accent"), (neutralise_lines(description[:SHOWN_DESCRIPTION]) + "\n", "")]
    if change.lines:
        parts += [("\nChanged\n", "bold $accent"), ("\n".join(change.lines) + "\n", "")]
    return Content.assemble(*parts, ("\nAs stored\n", "bold $accent"), *stored_value(version.value, width))


def _facts(version: Version, width: int) -> list[tuple[str, str]]:
    rows = LabelledText(width)
    words, style = provenance.voice(version.voice, version.value is None)
    if words:
        rows.add("By", words, style)
    if version.cid:
        rows.add("Height", f"{version.height:,}")
        rows.add("Block", neutralise(version.cid, 120), "dim")
    return rows.parts


def _spans(change: VersionChange) -> list[Span]:
    words, _ = provenance.voice(change.voice, change.removed)
    what = f"{change.summary}: {'; '.join(change.lines)}" if change.lines else change.summary
    height = f"{change.height:,}" if change.cid else ""
    return [(f" {height:>6}  ", "dim"), (what, "strong"), (f"  {words}" if words else "", "dim")]
