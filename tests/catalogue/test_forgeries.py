"""Nothing is shown as verified that its seller did not sign, and nothing verified is hidden, whatever a stranger puts."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betar_tui.catalogue import backlog, checking, projection
from betar_tui.market.marketplace import Provenance
from betar_tui.market.names import is_peer_id
from betar_tui.market.withdrawal import withdrawal
from betar_tui.replica import DagNode, keys
from tests.catalogue.books import Book, afresh, contents
from tests.catalogue.forgeries import (
    FORGER,
    FORGERIES,
    GENUINE,
    GONE,
    NOW,
    SHOWN,
    VICTIM,
    Forgery,
    fields,
    raw,
    signed,
)
from tests.market.values import SIGNER
from tests.simulation.lab import node


def genuine() -> list[DagNode]:
    return [node((), puts.items(), (), height) for height, puts in enumerate(GENUINE, 1)]


def forged(forgery: Forgery, height: int, of: list[DagNode]) -> DagNode:
    """The forger's delta: it removes all that the seller has put, wherever that is."""
    removed = [
        (key, each.cid)
        for key in forgery.removes
        for each in of
        if any(key == span.key for span in each.delta.elements)
    ]
    return node((), forgery.puts.items(), removed, height)


def judge(book: Book) -> None:
    """What the seller has signed last is shown as verified, and nothing else."""
    for query in ("", "state:verified"):
        page = book.catalogue.page(query, "", 0, 10.0).listings
        assert {each.id: each.price for each in page if each.provenance is Provenance.VERIFIED} == SHOWN
        assert all(each.seller_is_peer for each in page if each.provenance is Provenance.VERIFIED)
        assert all(is_peer_id(each.seller_id) == each.seller_is_peer for each in page)
        assert GONE not in {each.id for each in page}
    for listing_id, price in SHOWN.items():
        listing = book.catalogue.get(listing_id)
        assert listing is not None
        assert (listing.provenance, listing.price) == (Provenance.VERIFIED, price)
    assert book.catalogue.get(GONE) is None


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    found = Book(tmp_path / "db")
    yield found
    found.close()


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_a_forgery_deceives_nobody(book: Book, forgery: Forgery) -> None:
    """As it comes, made afresh, and again and again."""
    puts = genuine()
    for each in puts:
        book.merge([each])
    judge(book)
    for height in (1000, 1001):
        book.merge([forged(forgery, height, puts)])
        judge(book)
    book.work_off()
    judge(book)
    assert book.is_right()


@pytest.mark.parametrize(("small", "slice_"), [(0, 1), (0, 3), (0, 2_000), (32, 3), (32, 2_000), (999, 1)])
def test_all_forgeries_in_one_merge_and_before_what_is_genuine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: int, slice_: int
) -> None:
    """Queued or not, in slices of any size, in any order: it makes no difference."""
    monkeypatch.setattr(projection, "SMALL", small)
    monkeypatch.setattr(backlog, "VERSIONS", slice_)
    puts = genuine()
    forgeries = [forged(each, 1000 + n, puts) for n, each in enumerate(FORGERIES)]
    for name, merges in {
        "together": [[*puts, *forgeries]],
        "after": [puts, forgeries],
        "before": [forgeries, puts],
        "one by one": [[each] for each in (*forgeries, *puts)],
        "between": [[puts[0]], forgeries[::2], [puts[1]], forgeries[1::2], [puts[2]]],
    }.items():
        book = Book(tmp_path / f"{name}.db")
        for each in merges:
            book.merge(each)
        book.work_off()
        judge(book)
        assert checking.compare(book.store, SIGNER.peer_id).right, (name, checking.compare(book.store, SIGNER.peer_id))
        found = contents(book.store._db)
        book.close()
        assert afresh(tmp_path / f"{name}.db") == found


def test_the_table_names_the_forgeries_of_the_issue() -> None:
    names = {forgery.name for forgery in FORGERIES}
    assert len(names) == len(FORGERIES) >= 25
    assert all(key == keys.clean(key) or "//" in key for forgery in FORGERIES for key in forgery.puts)


def _op(draw: st.DrawFn, height: int, before: list[DagNode]) -> DagNode:
    """Somebody's delta: a version of any time, a withdrawal of any time, or a removal of what was put before."""
    kind = draw(st.sampled_from(("signed", "signed", "unsigned", "forged", "withdrawn", "removal")))
    name = draw(st.sampled_from(("a", "b")))
    at = NOW + draw(st.integers(0, 3))
    listing_id = f"{VICTIM.peer_id}/{name}"
    document = fields(listing_id, timestamp=at, price=draw(st.integers(1, 3)))
    if kind == "removal":
        spans = [(span.key, each.cid) for each in before for span in each.delta.elements]
        return node((), {"/other": b"x"}.items(), draw(st.lists(st.sampled_from(spans))) if spans else (), height)
    if kind == "withdrawn":
        return node((), {keys.of_withdrawal(listing_id): withdrawal(listing_id, VICTIM, at)}.items(), (), height)
    value = raw(document) if kind == "unsigned" else signed(document, VICTIM if kind == "signed" else FORGER)
    return node((), {keys.of_agent(listing_id): value}.items(), (), height)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_what_is_shown_does_not_depend_on_the_order_in_which_it_came(data: st.DataObject) -> None:
    """Two replicas get the same deltas, each in an order and in pieces of its own, some pieces large and some small."""
    deltas: list[DagNode] = []
    for number in range(data.draw(st.integers(1, 10))):
        height = data.draw(st.integers(1, 5)) * 10 + number
        deltas.append(_op(data.draw, height, deltas))
    shown = []
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(projection, "SMALL", data.draw(st.sampled_from((0, 2, 256))))
        patch.setattr(backlog, "VERSIONS", data.draw(st.sampled_from((1, 2_000))))
        for number in range(2):
            book = Book(Path(directory) / f"{number}.db")
            left = data.draw(st.permutations(deltas))
            while left:
                count = data.draw(st.integers(1, len(left)))
                book.merge(left[:count])
                left = left[count:]
                if data.draw(st.booleans()):
                    book.work_off(index=False)
            book.work_off()
            assert book.is_right()
            shown.append({each.id: each for each in book.catalogue.page("", "", 0, 10.0).listings})
            book.close()
    assert shown[0] == shown[1]
    withdrawn: dict[str, int] = {}
    words: dict[str, int] = {}
    for each in deltas:
        for key, start, length in each.delta.elements:
            content = each.data[start : start + length]
            listing_id = keys.withdrawn_id(key)
            if listing_id is not None:
                withdrawn[listing_id] = max(withdrawn.get(listing_id, 0), json.loads(content)["timestamp"])
            elif (listing_id := keys.agent_id(key)) is not None and victim_signed(content):
                words[listing_id] = max(words.get(listing_id, 0), json.loads(content)["timestamp"])
    for listing_id in withdrawn | words:
        last = words.get(listing_id, -1)
        listing = shown[0].get(listing_id)
        if last > withdrawn.get(listing_id, -1):
            assert listing is not None
            assert (listing.provenance, listing.timestamp) == (Provenance.VERIFIED, last)
        elif listing_id in withdrawn:
            assert listing is None


def victim_signed(content: bytes) -> bool:
    document = json.loads(content)
    return "signature" in document and document["signature"] == VICTIM.sign(document)
