"""The window of rows: the listings about those on the screen, of one query in one order. Pure.

A market may have a million listings; the interface holds a few pages of them. The window knows where its rows are in the
order and how many rows there are, exactly or by estimate, and which page to ask for next. Rows outside of it are drawn as
"…". A page that shows that an estimate was wrong moves all row numbers by the same amount (`shift`), so that the table can
move its scroll position with them, and nothing moves on the screen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from betar_tui.market.marketplace import Listing, ListingPage, Place

MIN_PAGE, MAX_PAGE = 60, 200
"""Number of rows of the smallest and of the largest page."""


def page_size(height: int) -> int:
    """Number of rows of a page for a table of `height` lines."""
    return min(max(2 * height, MIN_PAGE), MAX_PAGE)


@dataclass(frozen=True, slots=True)
class View:
    """Which listings a table shows: a filter, a column with "-" before it for the descending order, and the sellers that
    are left out."""

    query: str = ""
    sort: str = "name"
    muted: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[str, bool]:
        """The column, and whether the order descends."""
        return self.sort.removeprefix("-"), self.sort.startswith("-")


class Kind(StrEnum):
    """Which page is asked for."""

    FIRST = "first"
    LAST = "last"
    AROUND = "around"
    AFTER = "after"
    BEFORE = "before"
    SKIP = "skip"


class Cause(StrEnum):
    """Why a page is asked for, and so what it may do to the rows.

    What a person or a load asks for is shown at once. An answer because of events is not shown while the person moves.
    Scrolling asks for more rows and leaves the others in their places."""

    PERSON = "person"
    LOAD = "load"
    EVENTS = "events"
    SCROLL = "scroll"


@dataclass(frozen=True, slots=True)
class Request:
    """A page to ask for. The cursor goes to the listing `target`, if it is there, or to the first row with `top`; with
    `may_miss` the filter may hide the target."""

    view: View
    kind: Kind
    limit: int
    cause: Cause = Cause.SCROLL
    place: Place | None = None
    around: str = ""
    skip: int = 0
    target: str = ""
    top: bool = False
    may_miss: bool = False

    @property
    def extends(self) -> bool:
        """Whether its rows are added to those of the window."""
        return self.kind in (Kind.AFTER, Kind.BEFORE)

    def arguments(self) -> dict[str, object]:
        """The arguments of `Marketplace.listings`. The last page is the first one of the reversed order."""
        column, descending = self.view.order
        backwards = descending is not (self.kind is Kind.LAST)
        return {
            "query": self.view.query,
            "sort": f"-{column}" if backwards else column,
            "limit": self.limit,
            "after": self.place if self.kind is Kind.AFTER else None,
            "before": self.place if self.kind is Kind.BEFORE else None,
            "around": self.around,
            "skip": self.skip,
            "muted": self.view.muted,
        }

    def in_order(self, page: ListingPage) -> ListingPage:
        """The page in the order of the view."""
        if self.kind is not Kind.LAST:
            return page
        return replace(page, listings=page.listings[::-1], first=page.last, last=page.first, start=None)


@dataclass(slots=True)
class _Piece:
    """The ids of one page, and the places of its first and last row."""

    ids: list[str]
    first: Place | None
    last: Place | None


class Window:
    """Consecutive rows of a view. `start` is the number of the first one, exact if `start_exact`.

    `matches` listings match the view's filter, or more where that is not `exact`; it counts changes that the rows do not
    show yet. `at_start` and `at_end` say whether nothing comes before or after the rows."""

    def __init__(self, view: View | None = None) -> None:
        self.view = view or View()
        self.listings: dict[str, Listing] = {}
        self.loaded = False
        self.start, self.start_exact = 0, True
        self.at_start = self.at_end = True
        self.matches, self.exact = 0, True
        self._pieces: list[_Piece] = []
        self._ids: list[str] = []
        self._numbers: dict[str, int] | None = None

    # Reading

    def __contains__(self, listing_id: object) -> bool:
        return listing_id in self.listings

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the rows, in order. Not to be changed."""
        return self._ids

    @property
    def end(self) -> int:
        """The number after that of the last row."""
        return self.start + len(self._ids)

    @property
    def count(self) -> int:
        """Number of rows, those included that are not in the window."""
        return self.end if self.at_end else max(self.matches, self.end)

    def id_at(self, row: int) -> str:
        """The id of a row; empty outside of the window."""
        return self._ids[row - self.start] if self.start <= row < self.end else ""

    def row_of(self, listing_id: str) -> int | None:
        """The number of a listing's row, None outside of the window."""
        if listing_id not in self.listings:
            return None
        if self._numbers is None:
            self._numbers = {each: at for at, each in enumerate(self._ids)}
        return self.start + self._numbers[listing_id]

    def next_request(self, top: int, height: int, limit: int) -> Request | None:
        """The page that is missing while `height` rows from `top` on are in sight; None if there is none."""
        bottom = top + height
        if not self.loaded:
            return Request(self.view, Kind.FIRST, limit)
        if not self._ids:
            return None if self.at_start and self.at_end else Request(self.view, Kind.LAST, limit)
        if top >= self.end + limit - height and not self.at_end:
            return self._far(top, height, limit)
        if bottom <= self.start - limit + height and not self.at_start:
            return self._far(top, height, limit)
        after = Request(self.view, Kind.AFTER, limit, place=self._pieces[-1].last)
        before = Request(self.view, Kind.BEFORE, limit, place=self._pieces[0].first)
        missing_before = not self.at_start and top - limit < self.start
        if missing_before and top < self.start:
            return before
        if not self.at_end and bottom + limit > self.end:
            return after
        return before if missing_before else None

    def _far(self, top: int, height: int, limit: int) -> Request:
        if top <= limit // 2:
            return Request(self.view, Kind.FIRST, limit)
        if top + height >= self.count - 1:
            return Request(self.view, Kind.LAST, limit)
        return Request(self.view, Kind.SKIP, limit, skip=max(0, top - (limit - height) // 2))

    # Pages

    def replace(self, request: Request, page: ListingPage, estimate: int | None = None) -> None:
        """Show a page alone. Its first row has about the number `estimate` if nobody knows better."""
        page = request.in_order(page)
        same = self.loaded and request.view == self.view
        self.view, self.loaded = request.view, True
        self.listings = {each.id: each for each in page.listings}
        self._pieces = [_Piece(list(self.listings), page.first, page.last)] if page.listings else []
        self._counted_by(page, keep=same)
        self.at_start, self.at_end = self._borders(request, page)
        self.start, self.start_exact = self._start(request, page, estimate)
        self._arrange()

    def extend(self, request: Request, page: ListingPage, top: int) -> int | None:
        """Add the rows of a page at one end; returns the shift, None where it does not fit to the rows.

        `top` is the first row in sight: what is far from it at the other end is dropped."""
        if request.view != self.view or not self._pieces or request.place != self._border(request.kind):
            return None
        fresh = {each.id: each for each in page.listings if each.id not in self.listings}
        after = request.kind is Kind.AFTER
        self.listings.update(fresh)
        self._counted_by(page, keep=True)
        old = self.start
        piece = _Piece(list(fresh), page.first, page.last)
        short = self._is_short(request, page)
        if after:
            self.at_end = short
            if page.start is not None and not self.at_start:
                self.start, self.start_exact = max(page.start - len(self._ids), 0), True
            shift = self.start - old
            self._append(piece)
        else:
            self.at_start = short
            self.start, known = (
                (max(old - len(fresh), 0), self.start_exact) if page.start is None else (page.start, True)
            )
            self.start_exact = known and old >= len(fresh)
            shift = self.start + len(fresh) - old
            self._prepend(piece)
        shift += self._arrange()
        self._drop(request, top + shift)
        return shift

    def counted(self, matches: int) -> int:
        """Take the exact number of matches; returns the shift."""
        old = self.start
        self.matches, self.exact = matches, True
        if not self.start_exact and not self.at_end:
            self.start = max(min(self.start, matches - len(self._ids) - 1), 1)
        self._arrange()
        return self.start - old

    def put(self, listing: Listing) -> None:
        """A listing has changed; its row stays where it is."""
        self.listings[listing.id] = listing

    # Internals

    def _border(self, kind: Kind) -> Place | None:
        return self._pieces[-1].last if kind is Kind.AFTER else self._pieces[0].first

    def _counted_by(self, page: ListingPage, *, keep: bool) -> None:
        if page.exact or not (keep and self.exact):
            self.matches, self.exact = page.matching, page.exact
        else:
            self.matches = max(self.matches, page.matching)

    def _is_short(self, request: Request, page: ListingPage) -> bool:
        """Whether nothing comes after the last row of a page, in the direction in which it was asked for."""
        if len(page.listings) >= request.limit:
            return False
        # Fewer than asked for is the end, unless it is known that there are more: a value may not be a listing.
        known = page.exact and page.start is not None and request.kind is not Kind.BEFORE
        return not page.listings or not known or (page.start or 0) + len(page.listings) >= page.matching

    def _borders(self, request: Request, page: ListingPage) -> tuple[bool, bool]:
        """Whether nothing comes before, and after, the rows of a page that stands alone."""
        short = self._is_short(request, page)
        if request.kind is Kind.LAST:
            return short, True
        if request.kind is Kind.SKIP:
            return request.skip == 0, short
        if request.kind is Kind.FIRST or request.around not in self.listings:
            return True, short
        ids = self._pieces[0].ids
        before = ids.index(request.around)
        after, half = len(ids) - before - 1, request.limit // 2
        # One fewer than half on either side, to be sure; a border that is not seen here shows with the next page.
        at_start = page.start == 0 if page.start is not None else before < half - 1
        at_end = page.start + len(ids) >= page.matching if page.start is not None and page.exact else after < half - 2
        return at_start, at_end

    def _start(self, request: Request, page: ListingPage, estimate: int | None) -> tuple[int, bool]:
        if self.at_start:
            return 0, True
        if page.start is not None:
            return page.start, True
        if request.kind is Kind.SKIP:
            return request.skip, not page.listings  # near it where sellers with very many listings are muted
        if request.kind is Kind.LAST:
            return max(self.matches - len(page.listings), 1), self.exact
        guess = estimate if estimate is not None else (self.matches - len(page.listings)) // 2
        if self.exact and not self.at_end:
            guess = min(guess, self.matches - len(page.listings) - 1)
        return max(guess, 1), False

    def _append(self, piece: _Piece) -> None:
        if piece.ids:
            self._pieces.append(piece)
        elif piece.last is not None:
            self._pieces[-1].last = piece.last

    def _prepend(self, piece: _Piece) -> None:
        if piece.ids:
            self._pieces.insert(0, piece)
        elif piece.first is not None:
            self._pieces[0].first = piece.first

    def _arrange(self) -> int:
        """Take over the rows of the pieces, and what the ends of the order tell; returns the shift."""
        self._ids = [each for piece in self._pieces for each in piece.ids]
        self._numbers = None
        old, rows = self.start, len(self._ids)
        if self.at_start:
            self.start, self.start_exact = 0, True
        elif self.at_end and self.exact and not self.start_exact:
            self.start, self.start_exact = max(self.matches - rows, 1), True
        if self.at_end and self.start_exact:
            # Of rows that are struck out, or not taken in, only the next page of this kind can tell.
            self.matches, self.exact = (self.matches, True) if self.exact else (self.end, True)
        elif not self.exact:
            self.matches = max(self.matches, self.end)
        return self.start - old

    def _drop(self, request: Request, top: int) -> None:
        """Drop pages from the end that was not extended, as long as a page of rows is left on that side of `top`."""
        if request.kind is Kind.AFTER:
            while len(self._pieces) > 1 and top - (self.start + len(self._pieces[0].ids)) >= request.limit:
                piece = self._pieces.pop(0)
                self.start += len(piece.ids)
                self.at_start = False
                self._forget(piece)
        else:
            while len(self._pieces) > 1 and self.end - len(self._pieces[-1].ids) - top >= 2 * request.limit:
                piece = self._pieces.pop()
                self.at_end = False
                self._forget(piece)

    def _forget(self, piece: _Piece) -> None:
        for each in piece.ids:
            del self.listings[each]
        self._ids = [each for kept in self._pieces for each in kept.ids]
        self._numbers = None
