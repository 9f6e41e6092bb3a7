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


def test_a_seller_with_a_verified_listing_waits_for_no_flood(book, monkeypatch):
    monkeypatch.setattr(backlog, "ROWS", 40)
    monkeypatch.setattr(projection, "SMALL", 32)
    book.put({key("known"): value("known")})
    height = book.height = 1 << 63  # theirs is the highest, and higher than what goes first
    book.put(stray(range(100)))
    book.height = 1
    book.put({key("new"): value("new"), **stray(range(100, 140))})
    book.height = height
    book.put(stray(range(140, 240)))
    slice_ = book.catalogue.backlog.write(book.catalogue.backlog.prepare(), 9.0)
    assert len(slice_) == 40
    assert "new" in {each.listing.name for each in slice_}
    book.work_off()
    assert book.is_right()


def test_a_flood_in_the_name_space_of_a_seller_goes_before_nobody_for_long(book, monkeypatch):
    monkeypatch.setattr(backlog, "ROWS", 100)
    monkeypatch.setattr(projection, "SMALL", 32)
    book.put({key("known"): value("known")})
    book.put({f"{key(f'flood-{n}')}": unsigned(f"flood-{n}") for n in range(200)})
    book.put(stray(range(200)))
    names = {each.listing.name for each in book.catalogue.backlog.write(book.catalogue.backlog.prepare(), 9.0)}
    assert sum(name.startswith("flood") for name in names) == projection.FIRST_OF_EACH
    assert sum(name.startswith("stray") for name in names) == 100 - projection.FIRST_OF_EACH


def test_a_name_space_with_a_nul_is_nobodys(book, monkeypatch):
    """SQLite ends texts at a NUL in places."""
    monkeypatch.setattr(projection, "SMALL", 2)
    book.put({key("known"): value("known")})
    odd = f"{SIGNER.peer_id}\0/x"
    book.put({keys.of_agent(odd): unsigned("x", id=odd), **stray(range(5))})
    (height,) = book.store._db.execute("SELECT max(height) FROM unprojected").fetchone()
    assert height < schema.FIRST
    book.work_off()
    assert book.is_right()
