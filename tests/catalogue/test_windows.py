"""Windows of the market, and counts, against the plain way: look at every listing, sort all, cut a piece out."""

import sqlite3
import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from betar_tui.catalogue import counting, query, sources, windows
from betar_tui.catalogue.interrupting import Interruptible
from betar_tui.catalogue.windows import Asked, Window, read_window
from betar_tui.errors import FilterError
from betar_tui.market.filter import Filter, parse
from betar_tui.market.marketplace import Place
from tests.catalogue.tables import add, create
from tests.catalogue.test_query import FILTERS, MUTED, NOW, SLICES, SORTS, STAGES, STALE, expected, rows
from tests.market.test_filter import listing


def read(db: sqlite3.Connection, asked: Asked) -> Window:
    with Interruptible(db) as reading:
        return read_window(reading, asked, NOW)


def around(right: list[Place], number: int, limit: int) -> tuple[int, list[Place]]:
    """The rows about one of them, and where they begin; the first ones where it is not among them."""
    at = next((i for i, place in enumerate(right) if place.number == number), None)
    if at is None or not limit:
        return 0, right[: limit or None]
    start = max(0, min(at - limit // 2, len(right) - limit))
    return start, right[start : start + limit]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    rows(),
    FILTERS | st.sampled_from(["", "state:muted"]),
    MUTED,
    STALE,
    SORTS,
    st.integers(0, 7),
    STAGES,
    SLICES,
    st.sampled_from([1, windows.STEPS]),
)
@example([], "", frozenset(), {}, "", 1, query.STAGES, query.SLICES, windows.STEPS)
def test_windows_are_pieces_of_what_looking_at_every_listing_finds(
    market, text, muted, stale, sort, limit, stages, slices, steps
):
    db = create()
    add(db, market, stale)
    wanted = parse(text)
    right = expected(market, wanted.muting(muted), sort)

    def check(window: Window, start: int, places: list[Place]) -> None:
        assert list(window.places) == places
        assert window.muted == sum(each.seller_id in muted for _, each, _ in market)
        assert window.matching == len(right) if window.exact else len(places) <= window.matching <= len(right)
        assert window.start in (start, None)
        if not text:
            assert window.exact
            assert window.start == start or not places

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(query, "STAGES", stages)
        patch.setattr(query, "SLICES", slices)
        patch.setattr(query, "GATHERED", limit)
        patch.setattr(sources, "ENOUGH", limit)
        patch.setattr(windows, "STEPS", steps)
        patch.setattr(counting, "NEAR", limit)
        asked = Asked(wanted, sort, limit, muted=muted)
        check(read(db, asked), 0, right[: limit or None])
        assert read(db, asked).start == 0
        for number in range(14):
            window = read(db, Asked(wanted, sort, limit, around=number, muted=muted))
            check(window, *around(right, number, limit))
        for skip in range(1, len(right) + 2):
            window = read(db, Asked(wanted, sort, limit, skip=skip, muted=muted))
            check(window, skip, right[skip:][: limit or None])
        for at, place in enumerate(right):
            window = read(db, Asked(wanted, sort, limit, after=place, muted=muted))
            check(window, at + 1, right[at + 1 :][: limit or None])
            window = read(db, Asked(wanted, sort, limit, before=place, muted=muted))
            start = max(0, at - limit) if limit else 0
            check(window, start, right[start:at])
        assert counting.count(db, wanted.muting(muted), NOW) == (len(right), True)
    db.close()


def test_more_muted_listings_than_are_counted(monkeypatch):
    """Then a page does not say how many there are without them."""
    db = create()
    add(db, [(k, listing(name=f"n{k}", seller_id="loud" if k < 5 else "quiet"), 0) for k in range(1, 9)])
    asked = Asked(Filter(), "", 2, muted=frozenset(["loud"]))
    window = read(db, asked)
    assert (window.muted, window.matching, window.exact) == (4, 4, True)
    monkeypatch.setattr(windows, "MAX_MUTED", 3)
    window = read(db, asked)
    assert (window.muted, window.matching, window.exact) == (3, 4, True)
    assert [place.number for place in window.places] == [5, 6]


@pytest.mark.parametrize("most_counted", [10_000, 100])
@pytest.mark.parametrize("sort", ["", "-price"])
def test_a_page_far_behind_many_muted_listings_begins_near_its_place(monkeypatch, most_counted, sort):
    """To leave each of them out takes long; the page says where it begins if that is known."""
    db = create()
    sellers = ["loud" if k % 2 else "quiet" for k in range(4_000)]
    add(db, [(k, listing(name=f"n{k:04}", price=k, seller_id=each), 0) for k, each in enumerate(sellers, 1)])
    monkeypatch.setattr(windows, "MAX_MUTED", most_counted)
    asked = Asked(Filter(), sort, 10, skip=1_200, muted=frozenset(["loud"]))
    exact = read(db, asked)
    monkeypatch.setattr(windows, "MUTED_STEPS", 1)
    near = read(db, asked)
    assert exact.start == 1_200
    assert len(near.places) == 10
    assert all(place.number % 2 for place in near.places), "those of the quiet, and no others"
    if most_counted > 2_000:
        assert abs(near.places[0].number - exact.places[0].number) <= 10
        assert (near.matching, near.exact) == (2_000, True)
        assert near.start is None if sort else abs(near.start - 1_200) < 5, "counting by price is what takes long"
    else:
        assert near.start is None
        assert 10 <= near.matching <= 2_000
    for skip in (1_990, 2_500, 10_000):
        last = read(db, replace(asked, skip=skip))
        assert bool(last.places) is (skip < 2_000 or most_counted < 2_000), (
            "nothing is behind the last, where that is known"
        )


def test_counting_muted_listings_ends_in_time(monkeypatch):
    db = create()
    add(db, [(k, listing(name=f"n{k}", seller_id="loud" if k < 500 else "quiet"), 0) for k in range(1, 600)])
    asked = Asked(Filter(), "", 2, muted=frozenset(["loud"]))
    assert read(db, asked).muted == 499
    monkeypatch.setattr(windows, "COVERED_STEPS", 1)
    window = read(db, asked)
    assert window.muted == windows.MAX_MUTED
    assert [place.number for place in window.places] == [500, 501]


def test_listings_of_each_seller_are_counted_up_to_a_number():
    db = create()
    add(db, [(k, listing(seller_id="loud" if k < 5 else "quiet"), 0) for k in range(1, 7)])
    assert counting.count_of_each(db, ["loud", "quiet", "none"], 3) == {"loud": 3, "quiet": 2, "none": 0}
    assert counting.count_of_each(db, [], 3) == {}


def test_a_statement_ends_when_nobody_waits_for_it():
    """In its thread, wherever it is; the connection can be used again."""
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    db = create()
    asked = threading.Event()

    def go_on() -> bool:
        asked.set()
        return False

    with pytest.raises(sqlite3.OperationalError, match="interrupted"), Interruptible(db, go_on):
        db.execute(endless).fetchone()
    assert asked.is_set()
    with Interruptible(db) as reading:
        assert reading.within(1000, lambda: db.execute(endless).fetchone()) is None
        assert reading.within(1000, lambda: db.execute("SELECT 1").fetchone()) == (1,)
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            reading.within(1000, lambda: db.execute("SELECT * FROM nowhere").fetchone())


@pytest.mark.parametrize("asked", [{"skip": 1}, {"around": 1}, {}])
def test_only_columns_are_sorted_by(asked):
    db = create()
    add(db, [(1, listing(), 0)])
    with pytest.raises(FilterError, match="cannot be sorted by 'colour'"):
        read(db, Asked(Filter(), "colour", 2, **asked))
