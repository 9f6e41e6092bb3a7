"""The order in which rows are made of what came in bulk."""

from pathlib import Path

import pytest

from betar_tui.catalogue import backlog, projection, schema
from betar_tui.replica import keys
from tests.catalogue.books import Book, many, stray, unsigned
from tests.market.values import SIGNER, key, value


@pytest.fixture
def book(tmp_path: Path):
    found = Book(tmp_path / "db")
    yield found
    found.close()


@pytest.fixture
def known(book, monkeypatch):
    """A book with a verified listing, in which merges of more than 32 keys are queued and a slice makes 40 rows."""
    monkeypatch.setattr(backlog, "ROWS", 40)
    monkeypatch.setattr(projection, "SMALL", 32)
    book.put({key("known"): value("known")})
    return book


def first_slice(book: Book) -> list[str]:
    """The names of the listings whose rows are made first."""
    return [each.listing.name for each in book.catalogue.backlog.write(book.catalogue.backlog.prepare(), 9.0)]


def test_every_key_has_its_turn_however_many_higher_ones_come(book, monkeypatch):
    monkeypatch.setattr(backlog, "ROWS", 40)
    monkeypatch.setattr(projection, "SMALL", 32)
    names = [f"low-{n:03}" for n in range(100)]
    book.put(many(names))
    slices, left = 0, set(names)
    while left:
        slices += 1
        assert slices <= 4 * backlog.ROUND
        book.put(many([f"high-{slices}-{n}" for n in range(80)]))
        for change in book.catalogue.backlog.write(book.catalogue.backlog.prepare(), 9.0):
            left.discard(change.listing.name)
    assert slices > backlog.ROUND, "the highest come first all the same"
    book.work_off()
    assert book.is_right()


def test_a_seller_with_a_verified_listing_waits_for_no_flood(known):
    height = known.height = 1 << 63  # of the strays: the highest, and higher than any that goes first
    known.put(stray(range(100)))
    known.height = 1
    known.put({key("new"): value("new"), **stray(range(100, 140))})
    known.height = height
    known.put(stray(range(140, 240)))
    names = first_slice(known)
    assert len(names) == 40
    assert "new" in names
    known.work_off()
    assert known.is_right()


def test_a_flood_in_the_name_space_of_a_seller_goes_before_nobody_for_long(known):
    known.put({key(f"flood-{n}"): unsigned(f"flood-{n}") for n in range(200)})
    known.put(stray(range(200)))
    kinds = [name.partition("-")[0] for name in first_slice(known)]
    assert kinds.count("flood") == projection.FIRST_OF_EACH
    assert kinds.count("stray") == 40 - projection.FIRST_OF_EACH


def test_a_name_space_with_a_nul_is_nobodys(known):
    """SQLite ends texts at a NUL in places."""
    odd = f"{SIGNER.peer_id}\0/x"
    known.put({keys.of_agent(odd): unsigned("x", id=odd), **stray(range(50))})
    (height,) = known.store._db.execute("SELECT max(height) FROM unprojected").fetchone()
    assert height < schema.FIRST
    known.work_off()
    assert known.is_right()
