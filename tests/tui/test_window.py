"""The window of rows against a plain sorted list: whatever is scrolled, and however late the answers, rows are those of the
list, and their numbers are right in the end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betar_tui.market.filter import parse, search_text
from betar_tui.market.marketplace import Change, ChangeKind, Listing, ListingPage, Place
from betar_tui.market.sorting import sort_key
from betar_tui.tui.table import MarketTable, anchor
from betar_tui.tui.window import Cause, Kind, Request, View, Window, page_size
from tests.tui.fake import NOW, Clock, listing, peer_id

LIMIT, HEIGHT = 12, 5


def place(column: str, item: Listing) -> Place:
    value, name, _ = sort_key(column, item)
    return Place(value, name, int(item.id.rpartition("-")[2]))


def items(count: int) -> list[Listing]:
    return [listing(f"agent-{n}", (n * 7 % 11) / 10, n % 4) for n in range(count)]


class Market:
    """A sorted list that answers as a marketplace does; `knows` says whether it tells numbers, or only what it must."""

    def __init__(self, listings: list[Listing], knows: bool = True) -> None:
        self.store = {each.id: each for each in listings}
        self.knows = knows

    def rows(self, view: View) -> list[Listing]:
        column, descending = view.order
        wanted = parse(view.query).muting(frozenset(view.muted))
        found = [each for each in self.store.values() if wanted.matches_text(each, search_text(each), NOW)]
        return sorted(
            found, key=lambda each: sort_key(column, each)[:2] + (place(column, each).number,), reverse=descending
        )

    def answer(self, request: Request) -> ListingPage:
        arguments = request.arguments()
        view = replace(request.view, sort=str(arguments["sort"]))
        rows = self.rows(view)
        places = [place(view.order[0], each) for each in rows]
        start, end = request.skip, request.skip + request.limit
        if request.kind is Kind.AFTER:
            start = self._beyond(request.place, places, view, after=True)
            end = start + request.limit
        elif request.kind is Kind.BEFORE:
            end = self._beyond(request.place, places, view, after=False)
            start = max(0, end - request.limit)
        elif request.around:
            ids = [each.id for each in rows]
            at = ids.index(request.around) if request.around in ids else 0
            start = max(0, at - request.limit // 2)
            end = start + request.limit
        found = rows[start:end]
        return ListingPage(
            tuple(found),
            len(self.store),
            matching=len(rows) if self.knows else min(len(rows), end),
            exact=self.knows,
            first=places[start] if found else None,
            last=places[start + len(found) - 1] if found else None,
            start=start if self.knows or not start else None,
        )

    @staticmethod
    def _beyond(border: Place | None, places: list[Place], view: View, *, after: bool) -> int:
        """The number of the first row after a place, or of the row that follows the last one before it."""
        assert border is not None
        key = (border.value, border.name, border.number)
        down = view.order[1]
        keys = [(each.value, each.name, each.number) for each in places]
        return sum((each > key if down else each < key) or (after and each == key) for each in keys)


def fill(window: Window, market: Market, top: int, height: int = HEIGHT, limit: int = LIMIT) -> int:
    """Ask until nothing is missing; returns the first row in sight, by its number now."""
    for _ in range(60):
        request = window.next_request(top, height, limit)
        if request is None:
            return top
        page = market.answer(request)
        if request.extends:
            shift = window.extend(request, page, top)
            assert shift is not None
            top += shift
        else:
            window.replace(request, page)
            top = max(0, min(top, window.count - height))
    raise AssertionError("it never has enough")


def check(window: Window, truth: list[Listing], top: int) -> None:
    """The rows are consecutive ones of the truth, and what is in sight is there."""
    ids = [each.id for each in truth]
    assert list(window.ids) == (ids[(at := ids.index(window.ids[0])) : at + len(window.ids)] if window.ids else [])
    assert set(window.ids) == set(window.listings)
    for row in range(top, min(top + HEIGHT, window.count)):
        assert window.id_at(row)
        assert window.row_of(window.id_at(row)) == row
    if window.start_exact and window.ids:
        assert window.start == ids.index(window.ids[0])
    assert window.at_start is (not ids or window.ids[0] == ids[0]) or window.start > 0 or not window.at_start
    if window.exact:
        assert window.matches == len(truth)
    else:
        assert window.matches <= len(truth) or not window.start_exact
    assert len(window.ids) <= 6 * LIMIT


SORTS = st.sampled_from(["name", "-name", "price", "-price", "seller", "seen", "-seen"])


@settings(deadline=None)
@given(
    st.integers(0, 150),
    st.booleans(),
    SORTS,
    st.lists(st.one_of(st.integers(-9, 9), st.sampled_from([-1000, 1000, 40, -40, 75, -75])), max_size=25),
)
def test_rows_in_sight_are_there_wherever_one_scrolls(count, knows, sort, moves):
    market, window = Market(items(count), knows), Window(View("", sort))
    truth = market.rows(window.view)
    top = fill(window, market, 0)
    for by in moves:
        top = fill(window, market, max(0, min(top + by, window.count - HEIGHT)))
        check(window, truth, top)


@settings(deadline=None)
@given(st.integers(0, 120), SORTS)
def test_one_comes_to_every_row_from_either_end(count, sort):
    """Also where the marketplace tells no numbers: the estimates give way at the ends."""
    market, window = Market(items(count), knows=False), Window(View("", sort))
    truth = [each.id for each in market.rows(window.view)]
    for step in (4, -4):
        seen, top = [], fill(window, market, 0 if step > 0 else max(0, window.count - HEIGHT))
        for _ in range(80):
            seen += [window.id_at(row) for row in range(top, min(top + HEIGHT, window.count))]
            if top + step < 0 or top + HEIGHT >= window.count and step > 0:
                break
            top = fill(window, market, top + step)
        if step < 0:
            seen += [window.id_at(row) for row in range(HEIGHT)]
        assert set(seen) - {""} == set(truth)
    assert (window.matches, window.exact) == (len(truth), True)


@settings(deadline=None)
@given(st.integers(30, 150), st.integers(0, 149), SORTS, st.booleans())
def test_a_listing_in_the_middle_and_the_ways_from_it(count, at, sort, knows):
    market = Market(items(count), knows)
    window = Window(View("", sort))
    truth = [each.id for each in market.rows(window.view)]
    wanted = truth[at % count]
    request = Request(window.view, Kind.AROUND, LIMIT, Cause.PERSON, around=wanted)
    window.replace(request, market.answer(request))
    row = window.row_of(wanted)
    assert row is not None
    if knows or window.start_exact:
        assert row == at % count
    in_sight = wanted
    for step in (-3, 3):
        top = row
        for _ in range(60):
            before = window.id_at(top)
            top = fill(window, market, top)
            assert window.id_at(top) == before or not before, "what is in sight stays there"
            if top + step < 0 or (step > 0 and top + step >= window.count - HEIGHT):
                break
            top += step
            in_sight = window.id_at(top)
        row = window.row_of(in_sight) or 0
    # The numbers are right once an end was reached from which they can be told.
    assert window.start_exact


def test_the_last_page_is_the_first_one_backwards():
    market, window = Market(items(100)), Window(View("", "price"))
    request = Request(window.view, Kind.LAST, LIMIT, Cause.PERSON)
    assert request.arguments()["sort"] == "-price"
    window.replace(request, market.answer(request))
    assert list(window.ids) == [each.id for each in market.rows(window.view)][-LIMIT:]
    assert (window.start, window.end, window.at_end, window.at_start) == (88, 100, True, False)


def test_a_count_that_comes_later_moves_the_numbers_of_an_estimate():
    market, window = Market(items(100), knows=False), Window(View("", "name"))
    request = Request(window.view, Kind.LAST, LIMIT, Cause.PERSON)
    window.replace(request, market.answer(request))
    before = list(window.ids)
    assert not window.exact
    start = window.start
    assert window.counted(100) == 88 - start
    assert (window.start, window.count, window.exact, list(window.ids)) == (88, 100, True, before)


def test_a_page_of_another_query_or_place_does_not_fit():
    market, window = Market(items(60)), Window(View("", "name"))
    fill(window, market, 0)
    after = window.next_request(30, HEIGHT, LIMIT)
    assert after is not None and after.kind is Kind.AFTER
    page = market.answer(after)
    other = replace(after, view=View("agent", "name"))
    assert window.extend(other, page, 30) is None
    assert window.extend(after, page, 30) is not None
    assert window.extend(after, page, 30) is None, "it comes twice"


@pytest.mark.parametrize(("height", "size"), [(5, 60), (40, 80), (150, 200)])
def test_the_size_of_a_page(height, size):
    assert page_size(height) == size


# The table: what changes do


def table_of(market: Market, view: View) -> MarketTable:
    table = MarketTable(Clock(), view)
    request = Request(view, Kind.FIRST, LIMIT, Cause.LOAD)
    table.asked(request)
    table.take(request, market.answer(request), 0, None)
    return table


def put(market: Market, item: Listing, height: int) -> Change:
    item = replace(item, height=height)
    old = market.store.get(item.id)
    market.store[item.id] = item
    kind = ChangeKind.UPDATE if old else ChangeKind.PUT
    price = old.price if old else None
    return Change(kind, item.id, "", height, "x", NOW, item, old_price=price, name=item.name, seller_id=item.seller_id)


def remove(market: Market, listing_id: str, height: int) -> Change:
    old = market.store.pop(listing_id)
    return Change(ChangeKind.DELIST, old.id, "", height, "x", NOW, name=old.name, seller_id=old.seller_id)


CHANGES = st.lists(st.tuples(st.sampled_from(["price", "new", "gone"]), st.integers(0, 99), st.booleans()), max_size=20)


@settings(deadline=None)
@given(st.integers(0, 40), SORTS, st.sampled_from(["", "price<0.5", "agent-1"]), CHANGES)
def test_after_changes_the_rows_are_right_with_the_next_answer_and_still_until_then(count, sort, query, changes):
    """An answer that is older than the changes (True: they come while it is on its way) does not undo them."""
    market, view = Market(items(count)), View(query, sort, (peer_id(3),))
    table = table_of(market, view)
    height, late = 10, None
    for what, number, meanwhile in changes:
        if late is None and meanwhile:
            request = Request(view, Kind.FIRST, LIMIT, Cause.EVENTS)
            table.asked(request)
            late = request, market.answer(request)
        rows, height = list(table.window.ids), height + 1
        known = list(market.store)
        if what == "new" or not known:
            change = put(market, listing(f"agent-{200 + height}", number / 100, number % 4), height)
        elif what == "price":
            change = put(market, replace(market.store[known[number % len(known)]], price=number / 100), height)
        else:
            change = remove(market, known[number % len(known)], height)
        table.change(change)
        assert list(table.window.ids) == rows, "nothing moves"
        for each in rows:
            assert table.is_listed(each) is (each in market.store)
        if late is not None and not meanwhile:
            table.take(*late, 0, None)
            late = None
    if late is not None:
        table.take(*late, 0, None)
    assert table.total == len(market.store) or table.dirty or table.stale
    wrong = list(table.window.ids) != [each.id for each in market.rows(view)][: len(table.window.ids)]
    short = len(table.window.ids) < min(LIMIT, len(market.rows(view)))
    assert table.dirty or table.stale or not (wrong or short)
    request = Request(view, Kind.FIRST, LIMIT, Cause.EVENTS)
    table.asked(request)
    table.take(request, market.answer(request), 0, None)
    truth = market.rows(view)
    assert [table.window.listings[each] for each in table.window.ids] == truth[:LIMIT]
    assert (table.total, table.window.matches) == (len(market.store), len(truth))
    assert not table.dirty and not table.stale and not table.new


def test_new_listings_are_counted_if_they_meet_the_filter():
    market = Market(items(30))
    table = table_of(market, View("price<0.5", "name", (peer_id(3),)))
    assert table.window.matches == len(market.rows(table.window.view))
    table.change(put(market, listing("zzz-900", 0.1, 1), 50))
    table.change(put(market, listing("zzz-901", 0.9, 1), 51))
    table.change(put(market, listing("zzz-902", 0.1, 3), 52))
    assert table.new == {f"{peer_id(1)}/zzz-900"}
    dear = next(each for each in market.store.values() if each.price > 0.5 and each.seller_id != peer_id(3))
    table.change(put(market, replace(dear, price=0.2), 53))
    assert table.new == {f"{peer_id(1)}/zzz-900", dear.id}
    assert table.window.matches == len(market.rows(table.window.view))
    table.change(remove(market, f"{peer_id(1)}/zzz-900", 54))
    assert table.new == {dear.id}
    assert table.total == 32


def test_the_anchor_is_the_row_itself_or_the_next_that_stays():
    market = Market(items(30))
    table = table_of(market, View("price<0.7", "name"))
    ids = list(table.window.ids)
    assert anchor(table, 3) == (ids[3], 3)
    table.change(remove(market, ids[3], 40))
    table.change(put(market, replace(market.store[ids[4]], price=5.0), 41))
    assert anchor(table, 3) == (ids[5], 5)
    for each in ids[5:]:
        table.change(remove(market, each, 42))
    assert anchor(table, 3) == (ids[2], 2)


def test_a_listing_that_is_listed_again_is_not_struck_out():
    market = Market(items(5))
    table = table_of(market, View("", "name"))
    first = next(iter(market.store.values()))
    table.change(remove(market, first.id, 40))
    assert not table.is_listed(first.id) and table.get(first.id) == first
    market.store[first.id] = replace(first, height=41)  # its change is missed
    request = Request(table.wanted, Kind.FIRST, LIMIT, Cause.LOAD)
    table.asked(request)
    table.take(request, market.answer(request), 0, None)
    assert table.is_listed(first.id)
