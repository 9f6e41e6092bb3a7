"""The index against the plain way: filter all, sort all."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from betar_tui.errors import FilterError
from betar_tui.market import index as index_module
from betar_tui.market import sorting
from betar_tui.market.filter import parse
from betar_tui.market.index import ListingIndex
from betar_tui.market.marketplace import Change, ChangeKind
from betar_tui.market.sorting import SORT_COLUMNS, sort_key
from tests.market.test_filter import NOW, listing
from tests.market.values import matches

NAMES = [f"{word}-{number}" for word in ("ocr", "chat", "geo") for number in range(4)]
FILTERS = [
    "",
    "name:oc",
    "tag:nlp !seen<10m",
    "ocr or price<0.2 or state:mine",
    "o",
    "seller:12D3",
    "!proto:x",
    "state:verified",
    "!state:unsigned",
    "state:stale",
    "seller:12d3…q",
    "proto:x",
    "!price>0.4",
    "oc",
    "ocr",
    "!ocr",
    "!oc",
    "price<1",
    "price<1 ocr",
    "state:mine",
    "chat price>=0.5",
    "state:new",
    "state:muted",
    "!state:muted oc",
]
SELLERS = {True: "12D3KooWmineQ1", False: "12D3KooWabcdefXYZ9"}


def item(name, price=0.5, mine=False, seen=NOW - 1000):
    return listing(
        id=f"x/{name}", name=name, price=price, mine=mine, seller_id=SELLERS[mine], seen_at=seen, description=""
    )


ITEMS = st.builds(item, st.sampled_from(NAMES), st.sampled_from([0.1, 0.5, 2.0]), st.booleans())


def change(new, kind=ChangeKind.UPDATE, at=NOW):
    return Change(kind, new.id, new.cid, 1, "local", at, None if kind is ChangeKind.DELIST else new)


class IndexMachine(RuleBasedStateMachine):
    @initialize(items=st.lists(ITEMS, max_size=10))
    def start(self, items):
        self.index = ListingIndex(lambda: NOW)
        self.plain = {one.id: one for one in items}
        self.index.replace(self.plain.values())
        self.filter, self.column, self.descending = "", "name", False
        self.muted = frozenset()
        self.preparing = iter(())

    @rule(new=ITEMS, seen=st.floats(NOW - 500, NOW))
    def put(self, new, seen):
        new = replace(new, seen_at=seen)
        self.plain[new.id] = new
        self.index.apply(change(new, at=seen))

    @rule(name=st.sampled_from(NAMES))
    def delist(self, name):
        self.plain.pop(f"x/{name}", None)
        self.index.apply(change(item(name), ChangeKind.DELIST))

    @rule(text=st.sampled_from(FILTERS))
    def set_filter(self, text):
        self.index.set_filter(text)
        self.filter = text

    @rule(sellers=st.sets(st.sampled_from([*SELLERS.values(), "12D3KooWnobody"])))
    def mute(self, sellers):
        self.muted = frozenset(sellers)
        self.index.set_muted(self.muted)

    @rule(text=st.sampled_from(["price<", "state:x", '"']))
    def bad_filter(self, text):
        with pytest.raises(FilterError):
            self.index.set_filter(text)

    @rule(column=st.sampled_from(SORT_COLUMNS), descending=st.booleans())
    def set_sort(self, column, descending):
        self.index.set_sort(column, descending)
        self.column, self.descending = column, descending

    @rule()
    def reload(self):
        self.index.replace(self.plain.values())
        self.preparing = iter(())

    @rule()
    def prepare(self):
        self.preparing = self.index.prepare()

    @rule(steps=st.integers(1, 8))
    def prepare_on(self, steps):
        for _ in range(steps):
            next(self.preparing, None)

    @rule()
    def reclaim(self):
        self.index.reclaim()

    @invariant()
    def agrees_with_the_plain_way(self):
        rest = self.filter.replace("!state:muted", "").replace("state:muted", "")
        parsed, only_muted = parse(rest), self.filter == "state:muted"
        shown = [one for one in self.plain.values() if matches(parsed, one, NOW, self.index.first_seen(one.id))]
        shown = [one for one in shown if (one.seller_id in self.muted) is only_muted]
        shown.sort(key=lambda one: sort_key(self.column, one), reverse=self.descending)
        assert list(self.index.rows) == [one.id for one in shown]
        assert [self.index.at(slot) for slot in self.index.slots()] == shown
        assert self.index.count == len(shown)
        assert len(self.index) == len(self.plain)
        for one in self.plain.values():
            assert self.index[one.id] == one
            assert self.index.shows(one.id) is (one in shown)
        for seller in SELLERS.values():
            assert self.index.listings_of(seller) == sum(one.seller_id == seller for one in self.plain.values())
        assert self.index.muted_count == sum(one.seller_id in self.muted for one in self.plain.values())


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(index_module, "SLICE", 2)
    monkeypatch.setattr(sorting, "SORT_SLICE", 3)


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_generation_changes_with_the_rows():
    index = ListingIndex(lambda: NOW)
    seen = {index.generation}
    index.replace([item("ocr-1"), item("geo-1")])
    seen.add(index.generation)
    index.set_filter("ocr")
    seen.add(index.generation)
    index.apply(change(item("ocr-2"), ChangeKind.PUT))
    seen.add(index.generation)
    index.set_sort("price", True)
    seen.add(index.generation)
    assert len(seen) == 5
    before = index.generation
    index.set_filter("ocr ")
    index.set_sort("price", True)
    assert index.generation == before


def test_new_listings_grow_old():
    now = NOW
    index = ListingIndex(lambda: now)
    index.apply(change(item("ocr-1", seen=NOW), ChangeKind.PUT))
    index.set_filter("state:new")
    assert list(index.rows) == ["x/ocr-1"]
    index.apply(change(item("ocr-1", seen=NOW + 290), ChangeKind.REFRESH, at=NOW + 290))
    now = NOW + 301
    index.reconsider()
    assert list(index.rows) == []


@pytest.mark.parametrize("steps", range(24))
def test_a_change_between_the_slices_of_one_sort_is_not_lost_to_another_sort(steps):
    index = ListingIndex(lambda: NOW)
    index.replace([item(f"ocr-{n}", price=n) for n in range(9)])
    preparing = index.prepare()
    for _ in range(steps):
        next(preparing, None)
    index.set_sort("seen", False)
    assert index.rows
    index.apply(change(item("ocr-0", price=100), ChangeKind.UPDATE))
    for _ in preparing:
        pass
    index.set_sort("price", False)
    assert index.rows[-1] == "x/ocr-0"


def test_unknown_column():
    with pytest.raises(ValueError, match="no column 'colour'"):
        ListingIndex().set_sort("colour", False)


@given(st.lists(ITEMS, max_size=30))
def test_get(items):
    index = ListingIndex(lambda: NOW)
    index.replace(items)
    assert index.get("nothing") is None
    for one in items:
        assert index.get(one.id) is not None
