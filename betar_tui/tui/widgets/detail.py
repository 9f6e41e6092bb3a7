"""One listing in full, in the order in which a buyer asks: what it does and costs, who offers it, how fresh it is; then all
the rest. The buttons for its actions stay at the bottom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from betar_tui.choices import CURRENCY
from betar_tui.market.fields import STORED, are_texts
from betar_tui.market.history import VersionChange, version_changes
from betar_tui.market.marketplace import Listing, ListingDetail
from betar_tui.market.prices import other_currency
from betar_tui.market.text import neutralise, neutralise_lines
from betar_tui.tui import format as fmt
from betar_tui.tui import provenance
from betar_tui.tui.keybindings import bindings
from betar_tui.tui.labelled_text import LABEL_WIDTH, LabelledText
from betar_tui.tui.model import MarketModel
from betar_tui.tui.stored_value import stored_value
from betar_tui.tui.widgets.page import Page

if TYPE_CHECKING:
    from textual.widgets import Markdown

    from betar_tui.tui.widgets.safemarkdown import SafeMarkdown

SHOWN_DESCRIPTION = 6000
"""Maximum characters of a description: to lay out megabytes of Markdown would stop the interface."""
SHOWN_VERSIONS = 30
"""Maximum versions in the history."""
NEXT_LINE = "\n" + " " * 8
"""What begins a further line of a version, below the first one's words."""


class DetailView(Page):
    """Shows a `Listing` of the model at once, and its `ListingDetail` when the peer has answered."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("view", first=True)]

    class Wanted(Message):
        """The detail of this listing is missing or outdated; the screen loads it and answers with `Loaded`."""

        def __init__(self, view: DetailView, listing_id: str) -> None:
            super().__init__()
            self.view = view
            self.listing_id = listing_id

    class Loaded(Message):
        """The detail of a listing, or the error that prevented its load."""

        def __init__(self, listing_id: str, detail: ListingDetail | None, error: str = "") -> None:
            super().__init__()
            self.listing_id, self.detail, self.error = listing_id, detail, error

    class Turned(Message):
        """The value is shown as it is stored, or as a page again."""

    class VersionsWanted(Message):
        """The person wants to look at the versions of a listing."""

        def __init__(self, detail: ListingDetail) -> None:
            super().__init__()
            self.detail = detail

    def __init__(self, model: MarketModel) -> None:
        super().__init__(classes="detail")
        self._model = model
        self.listing_id = ""
        self._detail: ListingDetail | None = None
        self._error = ""
        self._last: Listing | None = None
        self._described: str | None = None
        self._markdown: SafeMarkdown | None = None
        self.is_raw = False
        self._parts: dict[str, Content] = {}

    def compose(self) -> ComposeResult:
        yield Static("", classes="detail-title")
        yield Vertical(classes="detail-description")
        yield Static("", classes="detail-facts")
        yield Static("", classes="detail-why")
        yield Static("", classes="detail-more")
        yield Static("", classes="detail-metadata")
        yield Static("", classes="detail-story")
        yield Static("", classes="detail-history")
        yield Static("", classes="detail-raw")
        with Horizontal(classes="detail-buttons"):
            yield Button("Edit", compact=True, classes="edit")
            yield Button("Delist", compact=True, classes="delist")
            yield Button("Copy", compact=True, classes="copy")
            yield Button("JSON", compact=True, classes="raw")

    def show(self, listing_id: str) -> None:
        """Show a listing, or draw the same one again after a change."""
        if listing_id != self.listing_id:
            self._detail, self._error, self._last = None, "", None
            self._turn(raw=False)
            self.scroll_home(animate=False)
        self.listing_id = listing_id
        self.draw()
        listing = self._model.listing(listing_id)
        if listing is None or not self._model.table.is_listed(listing_id):
            return
        if self._detail is None or self._detail.listing != listing:
            self.post_message(self.Wanted(self, listing_id))

    def on_detail_view_loaded(self, event: Loaded) -> None:
        """Show the detail; after an error the facts known from the table stay."""
        event.stop()
        if event.listing_id == self.listing_id:
            self._detail, self._error = event.detail or self._detail, event.error
            self.draw()

    def on_resize(self) -> None:
        self.draw()

    def draw(self) -> None:
        """Fill in all parts."""
        # A removed listing stays in sight in its last version.
        listing = self._last = self._model.listing(self.listing_id) or self._last
        for widget in self.children:
            both = widget.has_class("detail-title") or widget.has_class("detail-buttons")
            widget.display = listing is not None and (both or widget.has_class("detail-raw") is self.is_raw)
        if listing is None:
            return
        gone, width, keys = not self._model.table.is_listed(listing.id), self._width, self._model.keys
        if self.is_raw:
            self._put("raw", _raw(self._detail, self._error, keys.name("copy_menu"), keys.name("retry"), width))
        self._put("title", _title(listing, gone))
        self._draw_buttons(listing)
        self._put("facts", _facts(listing, self._detail, self._model, width))
        self._draw_description(listing)
        self._put("more", _more(listing, width))
        metadata = _metadata(listing, self._detail, width)
        self._put("metadata", metadata)
        self._static("metadata").display = bool(metadata.plain) and not self.is_raw
        self._put("story", _story(self._detail))
        self._static("story").display = bool(self._detail and self._detail.story) and not self.is_raw
        open_old = keys.name("versions") if self._detail else ""
        self._put("history", _history(self._detail, self._error, gone, keys.name("retry"), open_old, width))

    def tick(self) -> None:
        """Draw the ages again."""
        if self._last is not None and not self.is_raw:
            self._put("facts", _facts(self._last, self._detail, self._model, self._width))

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width or 60

    def _static(self, part: str) -> Static:
        return self.query_one(f".detail-{part}", Static)

    def _put(self, part: str, content: Content) -> None:
        """Draw a part, unless it is as it was: to draw it lays out the page."""
        before = self._parts.get(part)
        if before is None or not before.is_same(content):
            self._parts[part] = content
            self._static(part).update(content)

    def _draw_buttons(self, listing: Listing) -> None:
        reason = self._model.own_disabled_reason(listing)
        for name in ("edit", "delist"):
            self.query_one(f".{name}", Button).disabled = bool(reason)
        self._put("why", Content(f"(Edit and delist: {reason})"))
        self._static("why").display = bool(reason) and not self.is_raw

    def _draw_description(self, listing: Listing) -> None:
        # Deferred: Markdown takes 50 ms to import, and the first frame does not need it.
        from betar_tui.tui.widgets.safemarkdown import SafeMarkdown, shortened

        text = listing.description
        if self._detail and self._detail.document and not text:
            text = str(self._detail.document.get("description", ""))
        whole = neutralise_lines(text[:SHOWN_DESCRIPTION])
        safe = shortened(whole[:SHOWN_DESCRIPTION])
        if more := len(whole) - len(safe) + max(0, len(text) - SHOWN_DESCRIPTION):
            safe += f"\n\n*… {fmt.plural(more, 'more character')}*"
        safe = safe or "*No description.*"
        if safe != self._described:
            self._described = safe
            if self._markdown is None:
                self._markdown = SafeMarkdown(safe)
                self.query_one(".detail-description", Vertical).mount(self._markdown)
            else:
                # In the queue of the widget, which may not be mounted yet.
                self._markdown.call_later(self._markdown.update, safe)

    def action_raw(self) -> None:
        """Show the value as it is stored, or the page again: of this listing, the next one begins with its page."""
        self._turn(raw=not self.is_raw)
        self.scroll_home(animate=False)
        self.draw()

    def _turn(self, *, raw: bool) -> None:
        if raw != self.is_raw:
            self.is_raw = raw
            self.query_one(".raw", Button).label = "Page" if raw else "JSON"
            self.post_message(self.Turned())

    def action_versions(self) -> None:
        """Have the versions shown, if they have come."""
        if self._detail is not None:
            self.post_message(self.VersionsWanted(self._detail))
        else:
            self.app.notify("The versions have not come yet", markup=False)

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.has_class("raw"):
            self.action_raw()
        for name, action in (("edit", "edit"), ("delist", "delist"), ("copy", "copy_menu")):
            if event.button.has_class(name):
                await self.screen.run_action(action)

    def on_markdown_link_clicked(self, event: Markdown.LinkClicked) -> None:
        """Show the address of a link from the network; it is never followed."""
        event.stop()
        self.app.notify(neutralise(event.href, 200), title="Link in the description", markup=False)


def _title(listing: Listing, gone: bool) -> Content:
    name = neutralise(listing.name, 200) or "(no name)"
    cost = f"{fmt.price(listing.price)} {CURRENCY}" if listing.price else "free"
    return Content.assemble((name, "bold"), f"  {cost}", ("  × no longer listed", "bold $text-error") if gone else "")


def _facts(listing: Listing, detail: ListingDetail | None, model: MarketModel, width: int) -> Content:
    now = model.clock()
    rows = LabelledText(width)
    named = detail.document if detail and detail.document is not None else listing.metadata
    if currency := other_currency(named):
        rows.add("Price", f"! {currency}", "$text-warning")
    rows.add("Seller", *provenance.seller(listing, width - LABEL_WIDTH))
    rows.add("Provenance", *provenance.PROVENANCE[listing.provenance])
    if listing.difference:
        rows.add("", f"! {listing.difference}", "$text-warning")
    renewed, seen = now - listing.timestamp, now - listing.seen_at
    if listing.mine and (delivery := model.receipts.get(listing.id)):
        rows.add("Network", f"{delivery.sign} {delivery.text}")
    if listing.seller_id in model.muted:
        rows.add("", f"‖ muted: {model.keys.name('mute')} hears it again", "$text-warning")
    rows.add("Renewed", f"{fmt.ago(renewed)}, seen here {fmt.ago(seen)}")
    return Content.assemble(*rows.parts)


def _more(listing: Listing, width: int) -> Content:
    rows = LabelledText(width)
    rows.add_list("Protocols", listing.protocols, 8)
    rows.add_list("Addresses", listing.addrs, 8)
    for field in STORED:
        if field.detail and (value := getattr(listing, field.name)) not in (None, ""):
            rows.add(field.detail, neutralise(str(value), 100))
    rows.add("Id", neutralise(listing.id, 200))
    rows.add("Block", neutralise(listing.cid, 120), "dim")
    return Content.assemble(*rows.parts)


def _metadata(listing: Listing, detail: ListingDetail | None, width: int) -> Content:
    pairs: dict[str, object] = {}
    rows = LabelledText(width)
    if isinstance(listing.metadata, Mapping):
        pairs.update(listing.metadata)
    elif listing.metadata:
        rows.add("File", neutralise(listing.metadata, 120))
        if detail and detail.document:
            pairs.update(detail.document)
        elif detail:
            rows.add("", "not fetched yet", "dim")
    pairs.update(listing.extra)
    for key in ("description", "signature"):
        pairs.pop(key, None)
    for key, value in list(pairs.items())[:40]:
        text = ", ".join(value) if are_texts(value) else value
        text = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False, default=str)
        rows.add(neutralise(str(key), 24), neutralise(text, 300))
    return Content.assemble(("Metadata\n", "bold $accent"), *rows.parts) if rows.parts else Content("")


def _story(detail: ListingDetail | None) -> Content:
    sentences = provenance.story(detail.story) if detail else []
    return Content.assemble(("Story\n", "bold $accent"), *(f"{each}\n" for each in sentences))


def _history(detail: ListingDetail | None, error: str, gone: bool, retry: str, versions: str, width: int) -> Content:
    head = Content.assemble(
        ("History", "bold $accent"), (f"  {versions} opens a version" if versions else "", "dim"), "\n"
    )
    if error:
        return Content.assemble(head, (f"✗ {error}", "$text-error"), (f"  ({retry} tries again)", "dim"))
    if detail is None:
        return Content("") if gone else Content.assemble(head, ("◌ asking the peer…", "dim"))
    rows: list[tuple[str, str]] = []
    for change in version_changes(detail.history[: SHOWN_VERSIONS + 1])[:SHOWN_VERSIONS]:
        rows += _version(change, width)
    if len(detail.history) > SHOWN_VERSIONS:
        rows.append((f"… and {fmt.plural(len(detail.history) - SHOWN_VERSIONS, 'older version')}\n", "dim"))
    return Content.assemble(head, *rows)


def _version(change: VersionChange, width: int) -> list[tuple[str, str]]:
    """The lines of a version; who put it stands on the first one if there is room."""
    height = f"{change.height:,}" if change.cid else ""
    head = [(f"{height:>6}  ", "dim"), (change.summary, "bold"), (f"  {fmt.short_cid(change.cid)}", "dim")]
    words, style = provenance.voice(change.voice, change.removed)
    if words:
        fits = sum(cell_len(text) for text, _ in head) + 2 + cell_len(words) <= width
        head.append((f"{'  ' if fits else NEXT_LINE}{words}", style))
    return [*head, *((f"{NEXT_LINE}{line}", "") for line in change.lines), ("\n", "")]


def _raw(detail: ListingDetail | None, error: str, copy: str, retry: str, width: int) -> Content:
    if detail is None and error:
        return Content.assemble((f"✗ {error}", "$text-error"), (f"  ({retry} tries again)", "dim"))
    if detail is None:
        return Content.assemble(("◌ asking the peer…", "dim"))
    head = f"As stored, {fmt.size(len(detail.raw.encode(errors='surrogatepass')))}; {copy} j copies it\n\n"
    return Content.assemble((head, "dim"), *stored_value(detail.raw, width))
