"""What becomes of a catalogue of the version before: its rows stay, and its search indexes are made anew."""

import pytest

from betar_tui.catalogue import projection, schema, search_index
from betar_tui.store.database import Store
from tests.catalogue.books import Book, afresh, contents, first_seen, unsigned
from tests.market.values import SIGNER, key, value


def test_the_version_with_one_index_has_its_listings_at_once_and_its_words_soon(tmp_path):
    path = tmp_path / "db"
    book = Book(path)
    book.put({key(name): value(name) for name in "ab"})
    book.put({key("c"): unsigned("c", metadata={"tier": "gold", "description": "sings"})})
    book.work_off()
    seen = first_seen(book)
    with_one_index(book.store)
    book.close()

    book = Book(path, opened=10.0)
    assert first_seen(book) == seen
    for _ in range(2):
        for pattern, found in ("meta.tier:gold", ["c"]), ("sings", ["c"]), ("", ["a", "b", "c"]):
            assert [each.name for each in book.catalogue.page(pattern, "name", 0, 10.0).listings] == found
        assert book.work_off() == [], "no listing is new"
    assert book.is_right()
    assert contents(book.store._db) == afresh(path)
    book.close()


@pytest.mark.parametrize("peer_id", [SIGNER.peer_id, "another"])
def test_what_the_version_with_one_index_had_left_to_do_is_done(tmp_path, monkeypatch, peer_id):
    monkeypatch.setattr(projection, "SMALL", 2)
    path = tmp_path / "db"
    book = Book(path)
    book.put({key(name): unsigned(name) for name in "ab"})
    book.put({key("c"): unsigned("c")})
    book.work_off()
    book.put({key("a"): unsigned("a", metadata={"description": "sings"})})
    book.delist(key("b"))
    book.height = 1 << 63
    book.put({key(name): unsigned(name) for name in "def"})
    left = "SELECT (SELECT count(*) FROM unindexed), (SELECT count(*) FROM unprojected)"
    assert book.store._db.execute(left).fetchone() == (2, 3)
    with_one_index(book.store, peer_id)
    book.close()

    book = Book(path, opened=10.0)
    assert book.store._db.execute("SELECT max(height) FROM unprojected").fetchone() == (schema.TOP,)
    book.work_off()
    assert book.is_right()
    assert [each.name for each in book.catalogue.page("sings", "name", 0, 10.0).listings] == ["a"]
    assert contents(book.store._db) == afresh(path)
    book.close()


def test_a_program_of_the_version_with_one_index_may_use_the_database_between(tmp_path):
    path = tmp_path / "db"
    book = Book(path)
    book.put({key(): value()})
    book.work_off()
    before = contents(book.store._db)
    with_one_index(book.store)
    for sql in (*search_index.CREATE[1:], schema.VERIFIED_SELLERS):  # it knows of none of these
        book.store._db.execute(sql)
    book.close()
    book = Book(path)
    book.work_off()
    assert contents(book.store._db) == before
    book.close()


def with_one_index(store: Store, peer_id: str = SIGNER.peer_id) -> None:
    """Make the tables those of the version before the one that has two indexes."""
    db = store._db
    for index in search_index.INDEXES:
        db.execute(f"DROP TABLE {index}")
    db.execute("DROP INDEX listings_verified")
    db.execute("UPDATE unprojected SET height = ? WHERE height > ?", (schema.MAX_HEIGHT, schema.TOP))
    db.execute(
        "CREATE VIRTUAL TABLE listing_search USING fts5(text, facts, content='', tokenize='trigram case_sensitive 1')"
    )
    db.execute("INSERT INTO listing_search (rowid, text, facts) SELECT k, text, facts FROM listing_texts")
    store.put_setting(schema.SETTING, f"{schema.WITH_ONE_INDEX} {peer_id}")
