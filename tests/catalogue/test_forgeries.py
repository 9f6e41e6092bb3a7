"""Nothing is shown as verified that its seller did not sign, and nothing verified is hidden, whatever a stranger puts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from betar_tui.catalogue import backlog, checking, projection
from betar_tui.market.marketplace import Provenance
from betar_tui.market.names import is_peer_id
from betar_tui.replica import DagNode, keys
from tests.catalogue.books import Book, afresh, contents
from tests.catalogue.forgeries import FORGERIES, GENUINE, GONE, SHOWN, Forgery
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
