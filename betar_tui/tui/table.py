"""What the listings table shows, and what has happened since: the window of rows, the listings that are new, and those that
are gone. Pure, apart from the clock that it is given.

Changes are drawn in the rows at once, but never move them. Whether the rows may be others by now (`dirty`), or only their
number (`stale`), is noted; the window is asked for again when the person rests."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from betar_tui.market.filter import Filter, parse, search_text
from betar_tui.market.marketplace import Change, ChangeKind, Listing, ListingPage
from betar_tui.market.sorting import sort_key
from betar_tui.tui.window import Cause, Request, View, Window

MAX_KNOWN = 64
"""Maximum listings outside of the window that are kept because another screen or pane shows them."""
MAX_DELISTED = 4096
"""Maximum ids of delisted listings that are remembered."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The rows that an answer brought: all row numbers moved by `shift`, or all rows are others where that is None."""

    request: Request
    shift: int | None
    refiltered: bool = False


class MarketTable:
    """The rows and what is known beside them. `wanted` is the view that was asked for last, `window.view` the one shown.

    `total` counts the listings of the market, `muted_count` those of muted sellers among them. `new` are the ids of
    listings that came since the rows were asked for and meet the filter."""

    def __init__(self, clock: Callable[[], float], view: View) -> None:
        self._clock = clock
        self.wanted = view
        self.window = Window(view)
        self.total = self.muted_count = 0
        self.reload = False
        self.dirty = self.stale = False
        self.new: set[str] = set()
        self.gone: dict[str, Listing] = {}
        self._delisted: OrderedDict[str, None] = OrderedDict()
        self._known: OrderedDict[str, Listing] = OrderedDict()
        self._asked: Request | None = None
        self._since: dict[str, Change] = {}
        self._filter = Filter()
        self._filter_of: View | None = None

    # Reading

    @property
    def uncounted(self) -> bool:
        """Whether nobody knows how many listings match."""
        return self.window.loaded and not self.window.exact

    @property
    def timed(self) -> bool:
        """Whether other listings may match merely because time passes."""
        return self.window.loaded and self.filter.timed

    @property
    def filter(self) -> Filter:
        """The filter of the rows shown, with the muted sellers."""
        view = self.window.view
        if self._filter_of != view:
            self._filter, self._filter_of = parse(view.query).muting(frozenset(view.muted)), view
        return self._filter

    def get(self, listing_id: str) -> Listing | None:
        """A listing in the window or shown elsewhere, also one that was delisted."""
        return self.window.listings.get(listing_id) or self._known.get(listing_id) or self.gone.get(listing_id)

    def is_listed(self, listing_id: str) -> bool:
        """Whether the listing was not delisted, as far as this is known."""
        return listing_id not in self._delisted

    def stands(self, listing_id: str) -> bool:
        """Whether the listing is in the window and belongs there."""
        listing = self.window.listings.get(listing_id)
        return listing is not None and self.is_listed(listing_id) and self._matches(listing)

    # Updates

    def remember(self, listing: Listing) -> None:
        """Keep a listing that is shown somewhere, whether or not it is in the window."""
        self._delisted.pop(listing.id, None)
        self._known[listing.id] = listing
        self._known.move_to_end(listing.id)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def lost(self, listing_id: str) -> None:
        """The peer does not know a listing any more."""
        if (listing := self.get(listing_id)) is not None:
            self.gone[listing_id] = listing
        self._delisted[listing_id] = None
        if len(self._delisted) > MAX_DELISTED:
            self._delisted.popitem(last=False)
        if listing_id in self.window:
            self.dirty = True

    def forget_gone(self, keep: str = "") -> list[str]:
        """Drop the delisted listings that no row shows any more, except `keep`; returns their ids."""
        dropped = [each for each in self.gone if each != keep and each not in self.window]
        for each in dropped:
            del self.gone[each]
        return dropped

    def asked(self, request: Request) -> None:
        """A page was asked for. It may be older than the changes from now on."""
        self._asked, self._since = request, {}
        if not request.extends:
            self.dirty = self.stale = False
        if request.cause is Cause.LOAD:
            self.reload = False

    def failed(self, request: Request) -> None:
        """A page did not come, or came too late: what it was to show is still to be shown."""
        self._asked = None
        self.wanted = self.window.view if request.cause is Cause.PERSON and self.window.loaded else self.wanted
        self.dirty = self.dirty or not request.extends

    def take(self, request: Request, page: ListingPage, top: int, estimate: int | None) -> Taken | None:
        """Show a page, with the changes that came since it was asked for; None if it does not fit any more.

        `top` is the first row in sight, `estimate` about the number of the page's first row."""
        self._asked = None
        if request.view != self.wanted:
            return None
        page = replace(page, listings=tuple(self._current(each) for each in page.listings))
        self._known.update({each.id: each for each in page.listings if each.id in self._known})
        old, shift = self.window.view, None
        if request.extends:
            shift = self.window.extend(request, page, top)
            if shift is None:
                return None
            self.new -= self.new & self.window.listings.keys()
        else:
            self.window.replace(request, page, estimate)
            self.new.clear()
        self.total, self.muted_count = page.total, page.muted
        if any(not self.is_listed(each.id) for each in page.listings):
            self.dirty = True
        return Taken(request, shift, (old.query, old.muted) != (request.view.query, request.view.muted))

    def change(self, change: Change) -> tuple[Listing | None, bool]:
        """Follow a change; returns the listing as it was, if it is known, and whether it was not listed before."""
        old = self.get(change.id) if self.is_listed(change.id) else None
        if self._asked is not None:
            self._since[change.id] = change
            if not self._asked.extends and change.kind is not ChangeKind.REFRESH:
                self.dirty = True
        if change.kind is ChangeKind.DELIST or change.listing is None:
            self._remove(change.id, change.seller_id)
            return old, False
        added = change.kind is ChangeKind.PUT and old is None
        self.total += added
        self._delisted.pop(change.id, None)
        self.gone.pop(change.id, None)
        if change.id in self._known:
            self._known[change.id] = change.listing
        self._place(change, old, change.listing)
        return old, added

    # Internals

    def _matches(self, listing: Listing) -> bool:
        return self.filter.everything or self.filter.matches_text(listing, search_text(listing), self._clock())

    def _current(self, listing: Listing) -> Listing:
        """A listing of a page as the changes since then made it. One that was delisted stays, struck out."""
        change = self._since.get(listing.id)
        if change is None or change.height < listing.height:
            self._delisted.pop(listing.id, None)
            self.gone.pop(listing.id, None)
            return listing
        if change.listing is None:
            self.gone[listing.id] = listing
            return listing
        return change.listing

    def _remove(self, listing_id: str, seller_id: str) -> None:
        self.new.discard(listing_id)
        if not self.is_listed(listing_id):
            return
        shown = self.stands(listing_id)
        self.total = max(0, self.total - 1)
        self.lost(listing_id)
        if shown or (self.filter.everything and listing_id not in self.window):
            self.window.matches = max(0, self.window.matches - 1)
        self.stale = True

    def _place(self, change: Change, old: Listing | None, new: Listing) -> None:
        matches = self._matches(new)
        if new.id in self.window:
            before = self.window.listings[new.id]
            was = self._matches(before)
            self.window.put(new)
            self.window.matches += matches - was
            column = self.window.view.order[0]
            self.dirty = self.dirty or matches is not was or sort_key(column, before) != sort_key(column, new)
            return
        if not matches:
            self.new.discard(new.id)
            self.stale = self.stale or change.kind is not ChangeKind.REFRESH
            return
        if self._enters(change, old, new):
            self.new.add(new.id)
            self.window.matches += 1
            self.stale = True
        self.dirty = self.dirty or self._is_within(new)

    def _enters(self, change: Change, old: Listing | None, new: Listing) -> bool:
        """Whether a listing that meets the filter did not do so before."""
        if change.kind is ChangeKind.PUT:
            return old is None and new.id not in self.new
        if old is None and change.old_price is not None:
            old = replace(new, price=change.old_price)
        return old is not None and not self._matches(old)

    def _is_within(self, listing: Listing) -> bool:
        """Whether the place of a listing is among the rows of the window."""
        window = self.window
        if not window.ids:
            return True
        column, descending = window.view.order
        low, high = window.listings[window.ids[0]], window.listings[window.ids[-1]]
        below, above = window.at_start, window.at_end
        if descending:
            low, high, below, above = high, low, above, below
        key = sort_key(column, listing)
        return (below or key >= sort_key(column, low)) and (above or key <= sort_key(column, high))


def anchor(table: MarketTable, row: int) -> tuple[str, int]:
    """The listing that stays where it is when the rows are asked for again, and its row: that of `row`, or the next one that
    still belongs there, or the one before; empty if there is none."""
    window = table.window
    following = range(max(row, window.start), window.end)
    for each in (*following, *range(min(row, window.end) - 1, window.start - 1, -1)):
        if table.stands(listing_id := window.id_at(each)):
            return listing_id, each
    return "", row
