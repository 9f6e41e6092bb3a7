"""Quotas: of a seller, and of a peer that brings unsigned listings, those are shown that came first; the others are counted,
and shown when there is room."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from betar_tui.catalogue import checking
from betar_tui.limits import Limits
from betar_tui.market.compose import new_document, render
from betar_tui.market.fields import DOCUMENTS
from betar_tui.market.marketplace import ChangeKind, ListingDraft
from betar_tui.market.provenance import Signer
from betar_tui.market.withdrawal import withdrawal
from betar_tui.replica import keys
from tests.catalogue.books import Book
from tests.market.values import ADDRS, NOW, SIGNER, key, value
from tests.simulation.lab import node

SELLERS = [Signer(bytes([n]) * 32) for n in (1, 2)]
FEW = Limits(listings_per_seller=2, unsigned_per_peer=3)


def key_of(seller: Signer, name: str) -> str:
    return keys.of_agent(f"{seller.peer_id}/{name}")


def value_of(seller: Signer, name: str, price: float = 1, signed: bool = True, at: int = NOW) -> bytes:
    document = new_document(ListingDraft(name, price), seller.peer_id, ADDRS)
    rendered = render(document, DOCUMENTS, seller, at, ADDRS).value
    if signed:
        return rendered
    plain = json.loads(rendered)
    del plain["signature"]
    return json.dumps(plain).encode()


def put(book: Book, seller: Signer, *names: str) -> None:
    for name in names:
        book.put({key_of(seller, name): value_of(seller, name)})


def withheld(book: Book) -> tuple[int, int]:
    counts = book.catalogue.counts()
    return counts.withheld, counts.withheld_unsigned


def test_a_seller_is_shown_with_what_came_first_and_the_rest_is_counted(tmp_path: Path) -> None:
    book = Book(tmp_path / "db", limits=FEW)
    put(book, SELLERS[0], "c", "b", "a")
    put(book, SELLERS[1], "d")
    assert book.names() == ["b", "c", "d"]
    assert book.counts() == (3, 0, 0)
    assert withheld(book) == (1, 0)
    assert book.catalogue.page("", "", 0, 10.0).withheld == 1
    listing_id = f"{SELLERS[0].peer_id}/a"
    assert book.catalogue.find([listing_id]) == ()
    assert book.catalogue.get(listing_id) is not None, "who asks for it by its id is shown it"
    book.work_off()
    assert book.is_right()
    book.close()


def test_what_is_beyond_a_quota_is_no_news_and_comes_back_when_there_is_room(tmp_path: Path) -> None:
    book = Book(tmp_path / "db", limits=FEW)
    put(book, SELLERS[0], "a", "b")
    assert book.put({key_of(SELLERS[0], "c"): value_of(SELLERS[0], "c")}) == []
    assert book.put({key_of(SELLERS[0], "c"): value_of(SELLERS[0], "c", 2, at=NOW + 1)}) == []
    removed = node((), (), [(key_of(SELLERS[0], "a"), book.nodes[key_of(SELLERS[0], "a")])], 9)
    withdrawn = keys.of_withdrawal(f"{SELLERS[0].peer_id}/a")
    book.merge([removed])
    assert book.names() == ["a", "b"], "another peer's tombstone hides nothing"
    book.put({withdrawn: withdrawal(f"{SELLERS[0].peer_id}/a", SELLERS[0], NOW + 2)})
    (change,) = book.work_off()
    assert (change.kind, change.name) == (ChangeKind.PUT, "c")
    assert book.names() == ["b", "c"]
    assert withheld(book) == (0, 0)
    assert book.is_right()
    book.close()


def test_unsigned_listings_count_against_the_peer_that_brought_them(tmp_path: Path) -> None:
    book = Book(tmp_path / "db", limits=FEW)
    for name in "abcde":
        book.put({key_of(SELLERS[0], name): value_of(SELLERS[0], name, signed=False)}, via="liar")
    book.put({key_of(SELLERS[0], "f"): value_of(SELLERS[0], "f", signed=False)}, via="honest")
    assert book.names() == ["a", "b", "c", "f"]
    assert withheld(book) == (0, 2)
    # The same listing, signed by its seller, counts against the seller alone.
    put(book, SELLERS[0], "g")
    assert book.names() == ["a", "b", "c", "f", "g"]
    book.work_off()
    assert book.is_right()
    book.close()


def test_own_listings_and_what_this_peer_put_itself_are_not_limited(tmp_path: Path) -> None:
    book = Book(tmp_path / "db", limits=Limits(1, 1))
    book.put({key(name): value(name) for name in "abc"})
    book.put({key_of(SELLERS[0], name): value_of(SELLERS[0], name, signed=False) for name in "def"}, via="")
    assert len(book.names()) == 6
    assert SIGNER.peer_id == book.catalogue._own_peer_id
    book.close()


def test_other_limits_place_the_rows_again_at_the_next_start(tmp_path: Path) -> None:
    names = [f"n{n}" for n in range(9)]
    book = Book(tmp_path / "db", limits=Limits(4, 0))
    put(book, SELLERS[0], *names)
    assert (len(book.names()), withheld(book)) == (4, (5, 0))
    book.close()
    for limit, shown in ((2, 2), (7, 7), (0, 9), (3, 3)):
        book = Book(tmp_path / "db", limits=Limits(limit, 0))
        book.work_off()
        assert book.names() == names[:shown]
        assert withheld(book) == (9 - shown, 0)
        assert book.is_right()
        book.close()


def test_a_listing_that_was_withheld_keeps_the_time_at_which_it_first_appeared(tmp_path: Path) -> None:
    book = Book(tmp_path / "db", limits=Limits(1, 0))
    for at, name in ((5.0, "a"), (6.0, "b")):
        book.put({key_of(SELLERS[0], name): value_of(SELLERS[0], name)}, at=at)
    book.put({key_of(SELLERS[0], "b"): value_of(SELLERS[0], "b", 2, at=NOW + 1)}, at=20.0)
    checking.make_afresh(book.store, SIGNER.peer_id)
    book.close()
    book = Book(tmp_path / "db", limits=Limits(0, 0))
    book.work_off()
    rows = book.store._db.execute("SELECT name, first_seen FROM listings ORDER BY name").fetchall()
    assert [tuple(row) for row in rows] == [("a", 5000), ("b", 6000)]
    book.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["signed", "unsigned", "remove"]), st.integers(0, 1), st.integers(0, 5)),
        st.tuples(st.just("many"), st.integers(0, 1), st.integers(0, 5)),
        st.tuples(st.just("work"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@given(STEPS, st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_what_is_shown_follows_from_the_members_of_each_share_alone(steps, seller_limit, source_limit):
    limits = Limits(seller_limit, source_limit)
    with tempfile.TemporaryDirectory() as folder:
        book = Book(Path(folder) / "db", limits=limits)
        for step, who, name in steps:
            seller, via = SELLERS[who], f"peer-{(who + name) % 2}"
            if step == "signed":
                put(book, seller, f"s{name}")
            elif step == "unsigned":
                book.put({key_of(seller, f"u{name}"): value_of(seller, f"u{name}", signed=False)}, via=via)
            elif step == "many":
                some = range(name + 1)
                book.put({key_of(seller, f"u{n}"): value_of(seller, f"u{n}", 3, signed=False) for n in some}, via=via)
            elif step == "remove" and key_of(seller, f"u{name}") in book.nodes:
                book.delist(key_of(seller, f"u{name}"))
            else:
                book.work_off()
        book.work_off()
        assert book.is_right()
        db = book.store._db
        members = db.execute("SELECT k, share, 1 FROM listings UNION SELECT k, share, 0 FROM withheld").fetchall()
        for share in {each[1] for each in members} - {0}:
            shown = [bool(each[2]) for each in sorted(members) if each[1] == share]
            limit = source_limit if share & 1 else seller_limit
            assert shown == [place < limit or not limit for place in range(len(shown))]
        book.close()
