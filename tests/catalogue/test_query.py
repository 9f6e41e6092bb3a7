"""Filters and pages in SQL against the plain way: look at every listing, sort all."""

import random
import sqlite3

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from betar_tui.catalogue import counting, query, sources
from betar_tui.catalogue.orders import parse_order
from betar_tui.errors import FilterError
from betar_tui.market.filter import Filter, parse, search_text
from betar_tui.market.marketplace import Place, Provenance
from betar_tui.market.sorting import KEYS, SORT_COLUMNS, folded
from tests.catalogue.tables import Row, add, create
from tests.market.test_filter import listing

NOW = 1_000_000.0
SELLERS = ("12D3KooWabcXYZ", "12D3KooWdefXYZ", "ΣΟΦΟΣ\n1", "me")
NAMES = st.sampled_from(
    [
        "Swift-OCR",
        "swift-ocr",
        "STRASSE",
        "Straße",
        "ΟΔΟΣ",
        "οδοσ",
        "İstanbul",
        "a",
        "ab",
        "or",
        "two\nlines",
        "x\0y",
        "𝔸bc",
    ]
)
DESCRIPTIONS = st.sampled_from(["", "reads scans", "Reads\nlines ocr", 'abc "quoted" ab', "ΟΔΟΣ ab", "ocr ocr"])
SCALARS = st.sampled_from(["gold", "Very Good", "a\nb", 5, 5.0, True, "İ", "", "x\x1fy", None])
METADATA = (
    st.none()
    | st.just("bafyx")
    | st.fixed_dictionaries(
        {},
        optional={
            "tier": SCALARS,
            "Tags": SCALARS,
            "tags": st.lists(SCALARS, max_size=3),
            "a": st.fixed_dictionaries({"b": SCALARS}),
        },
    )
)
NUMBERS = st.integers(1, 12)
AGES = st.sampled_from([0, 1, 299_999, 300_000, 300_001, 7_200_000, 7_200_001])


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    numbers = draw(st.lists(NUMBERS, unique=True, max_size=12))
    return [draw(row(k)) for k in numbers]


@st.composite
def row(draw: st.DrawFn, k: int) -> Row:
    seen, before = draw(AGES), draw(AGES)
    verified = draw(st.booleans())
    each = listing(
        id=draw(st.sampled_from([f"did:key:{k}", f"12D3KooWabcXYZ/Σ{k}"])),
        name=draw(NAMES),
        description=draw(DESCRIPTIONS),
        price=draw(st.sampled_from([0.0, 0.5, 0.5, 2.0, 1e300])),
        seller_id=draw(st.sampled_from(SELLERS)),
        protocols=tuple(draw(st.lists(st.sampled_from(["/x402/1", "/MCP/2\n", "tag\x1fgold"]), max_size=2))),
        token_id=draw(st.sampled_from([None, "42", "Token-42"])),
        metadata=draw(METADATA),
        timestamp=draw(st.sampled_from([0, int(NOW) - 7200, int(NOW) - 7201, int(NOW), (1 << 63) - 1, -(1 << 63)])),
        provenance=Provenance.VERIFIED if verified else Provenance.UNSIGNED,
        mine=verified and draw(st.booleans()),
        seen_at=(NOW * 1000 - seen) / 1000,
    )
    return k, each, round(NOW * 1000) - seen - before


WORDS = "a ab abc ocr swift-ocr straße strasse οδος οδοσ i̇ 12d3koow xyz 𝔸 zzz wift \ud800abc"
PLAIN = """
name:ab name:strasse name:swift description:ocr description:ab
price<0.5 price<=0.5 price>0.5 price>=2 price=0.5 price!=0.5 seen<5m seen<=5m age>5m seen>=2h seen<1s
seller:you seller:12d3 seller:σοφος seller:12d3…xyz seller:…z seller:me id:did:key:1 id:σ id:12D3KooWabc
id:xyz/σ1 id:key:2/ id:/
proto:x402 proto:mc proto:gold proto:tag tag:gold tag:5 tag:true tag:İ
meta.tier:gold meta.a.b:5 meta.TAGS:gold meta.tier:None token:42 token:to
state:new state:stale state:mine state:verified state:unsigned state:muted
"""
QUOTED = [
    *('"x y"', '"or"', '"ds\nli"', '"\n"', '"abc \'qu"', '"x\0y"', 'name:"two\nl"', 'description:"s\nl"'),
    *('description:"\n1"', 'tag:"very good"', 'tag:"a b"', 'meta.tier:"very good"', 'meta.tier:"a\nb"'),
]
PLAIN_TERMS = st.sampled_from([*WORDS.split(), *PLAIN.split(), *QUOTED])
TERMS = PLAIN_TERMS | PLAIN_TERMS.map(lambda term: f"!{term}")
FILTERS = st.lists(st.lists(TERMS, min_size=1, max_size=3).map(" ".join), max_size=3).map(" or ".join)
MUTED = st.sets(st.sampled_from([SELLERS[0], SELLERS[2]])).map(frozenset)
STALE = st.dictionaries(
    NUMBERS,
    st.none() | st.tuples(st.sampled_from(["ocr abc", "zzz xyz"]), st.sampled_from(["", "\ntag\x1fgold\n"])),
    max_size=8,
)
SORTS = st.sampled_from(["", *SORT_COLUMNS, *(f"-{column}" for column in SORT_COLUMNS)])
STAGES = st.sampled_from(
    [((0, 1 << 30),), ((0, 0),), ((0, 1), (2, 3), (4, 100)), ((3, 5), (9, 30)), query.STAGES],
)
SLICES = st.sampled_from([(1,), (1, 3), (2, 5), query.SLICES])


@pytest.fixture(scope="module")
def varied():
    """A market with every value of every field, whose index knows a part of it, and another part as it was."""
    market = [find_row(k) for k in range(1, 80)]
    db = create()
    old = {k: ("ocr abc zzz 12d3koow", "\ntag\x1fgold\n") if k % 2 else None for k in range(60, 90)}
    add(db, market, old)
    yield db, market
    db.close()


def find_row(k: int) -> Row:
    """A row that is as good as random, always the same."""
    rng = random.Random(k)
    names = ["Swift-OCR", "STRASSE", "Straße", "ΟΔΟΣ", "οδοσ", "İstanbul", "ab", "or", "two\nlines", "x\0y"]
    scalars = ["gold", "Very Good", "a\nb", 5, 5.0, True, "İ", ""]
    age, before = (rng.choice([0, 999, 1000, 299_999, 300_000, 300_001, 7_200_000, 7_200_001]) for _ in range(2))
    mine, verified = rng.choice([(True, True), (False, True), (False, False)])
    each = listing(
        id=rng.choice([f"did:key:{k}", f"12D3KooWabcXYZ/Σ{k}"]),
        name=rng.choice(names),
        description=rng.choice(["", "reads scans", "Reads\nlines ocr", "abc 'quoted ab", "ΟΔΟΣ ab"]),
        price=rng.choice([0.0, 0.25, 0.5, 2.0]),
        seller_id=rng.choice(SELLERS),
        protocols=tuple(rng.choices(["/x402/1", "/MCP/2\n", "tag\x1fgold"], k=rng.randrange(3))),
        token_id=rng.choice([None, "42", "Token-42"]),
        metadata={"tier": rng.choice(scalars), "tags": rng.choices(scalars, k=2), "a": {"b": rng.choice(scalars)}},
        timestamp=rng.choice([0, int(NOW) - 7200, int(NOW) - 7201, int(NOW)]),
        provenance=Provenance.VERIFIED if verified else Provenance.UNSIGNED,
        mine=mine,
        seen_at=(NOW * 1000 - age) / 1000,
    )
    return k, each, round(NOW * 1000) - age - before


@pytest.mark.parametrize("stages", [(), ((0, 1 << 30),)], ids=["scanned", "gathered"])
@pytest.mark.parametrize("term", [*WORDS.split(), *PLAIN.split(), *QUOTED])
def test_each_term_alone_and_beside_another(monkeypatch, varied, term, stages):
    db, market = varied
    monkeypatch.setattr(query, "STAGES", stages)
    monkeypatch.setattr(query, "SLICES", (7,))
    for text in (
        term,
        f"!{term}",
        f"{term} ocr",
        f"{term} price<1",
        f"{term} or tag:gold price>=0.5",
        f"{term} seen<5m",
    ):
        for sort in ("name", "-price", "seen", "-state"):
            page = query.read_page(db, parse(text), sort, 200, None, None, NOW)
            assert list(page.places) == expected(market, parse(text), sort), (text, sort)
        assert counting.count(db, parse(text), NOW) == (len(page.places), True)


def expected(market: list[Row], wanted: Filter, sort: str) -> list[Place]:
    """The places of all that meet a filter, in order."""
    column = sort.removeprefix("-") or "name"
    key = {**KEYS, "seen": lambda each: -round(each.seen_at * 1000), "state": state}[column]
    found = [
        (key(each), folded(each.name), k)
        for k, each, first_seen in market
        if wanted.matches_text(each, search_text(each), NOW, first_seen / 1000)
    ]
    found.sort(reverse=sort.startswith("-"))
    return [Place(-value if column == "seen" else value, name, k) for value, name, k in found]


def state(each):
    return 0 if each.mine else 1 if each.provenance is Provenance.VERIFIED else 2


def walk(db: sqlite3.Connection, wanted: Filter, sort: str, limit: int, backwards: bool) -> list[Place]:
    """All pages, one after the other."""
    found: list[Place] = []
    while True:
        after, before = (None, found[0] if found else None) if backwards else (found[-1] if found else None, None)
        if backwards and not found:
            # The end is before a place beyond all.
            page = query.read_page(db, wanted, reverse_of(sort), limit, None, None, NOW).places[::-1]
        else:
            page = query.read_page(db, wanted, sort, limit, after, before, NOW).places
        assert len(page) <= limit
        if not page:
            return found
        found = [*page, *found] if backwards else [*found, *page]


def reverse_of(sort: str) -> str:
    return sort[1:] if sort.startswith("-") else f"-{sort or 'name'}"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rows(), FILTERS, MUTED, STALE, SORTS, st.integers(1, 7), STAGES, SLICES, st.booleans())
@example([], "", frozenset(), {}, "", 1, query.STAGES, query.SLICES, True)
def test_pages_are_what_looking_at_every_listing_finds(
    market, text, muted, stale, sort, limit, stages, slices, backwards
):
    wanted = parse(text).muting(muted)
    db = create()
    add(db, market, stale)
    right = expected(market, wanted, sort)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(query, "STAGES", stages)
        patch.setattr(query, "SLICES", slices)
        patch.setattr(sources, "FEW", limit)
        patch.setattr(sources, "ENOUGH", limit - 1)
        assert walk(db, wanted, sort, limit, backwards) == right
        assert list(query.read_page(db, wanted, sort, 0, None, None, NOW).places) == right
        for at in range(0, len(right), 3):
            between = query.read_page(db, wanted, sort, limit, right[at], right[-1], NOW).places
            assert list(between) == right[at + 1 : -1][:limit]
        assert counting.count(db, wanted, NOW) == (len(right), True)
        number, exact = counting.count(db, wanted, NOW, limit)
        assert number == (len(right) if exact else limit)
        assert exact or len(right) >= limit
    db.close()


def test_places_need_not_be_of_rows_that_are_there():
    db = create()
    add(db, [(k, listing(name=name), 0) for k, name in enumerate("bdfh", 1)])
    page = query.read_page(db, Filter(), "", 2, Place("c", "c", 9), None, NOW)
    assert page.numbers == (2, 3)
    page = query.read_page(db, Filter(), "", 2, None, Place("g", "g", 0), NOW)
    assert page.numbers == (2, 3)


def test_more_rows_outside_the_index_than_are_looked_at(monkeypatch):
    """Then the result says that it is not complete, and has the newest."""
    monkeypatch.setattr(sources, "MAX_UNINDEXED", 3)
    monkeypatch.setattr(query, "STAGES", ((0, 100),))
    db = create()
    add(db, [(k, listing(name="ocr"), 0) for k in range(1, 9)], dict.fromkeys(range(3, 9)))
    page = query.read_page(db, parse("ocr"), "", 60, None, None, NOW)
    assert page.numbers == (1, 2, 6, 7, 8)
    assert not page.complete
    assert counting.count(db, parse("ocr"), NOW) == (5, False)


def test_only_columns_are_sorted_by():
    with pytest.raises(FilterError, match="cannot be sorted by 'colour'"):
        parse_order("-colour")


def test_a_filter_of_many_words_and_a_very_long_one():
    db = create()
    add(db, [(1, listing(name="abc" * 40, description="def" * 5000), 0), (2, listing(), 0)])
    for text in (" ".join(f"{'abcabc'[: 4 + n % 3]}" for n in range(64)), "def" * 4000, "def" * 5000):
        assert query.read_page(db, parse(text), "", 60, None, None, NOW).numbers == (1,)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(query, "STAGES", ((0, 100),))
            assert query.read_page(db, parse(text), "", 60, None, None, NOW).numbers == (1,)
    db.close()
