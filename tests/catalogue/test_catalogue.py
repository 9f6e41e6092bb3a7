"""The catalogue: what merges make of the market, and how its listings are read."""

import json
import sqlite3
from pathlib import Path

import pytest

from betar_tui.catalogue import backlog, projection, schema
from betar_tui.catalogue.projecting import MAX_REASON
from betar_tui.errors import FilterError, StoreError
from betar_tui.ipld import cid, unixfs
from betar_tui.market.marketplace import Change, ChangeKind, ListingPage, Provenance
from betar_tui.store.database import open_store
from tests.catalogue.books import Book, afresh, contents, forged, many, unsigned
from tests.market.values import NOW, SIGNER, key, value

FILE, BLOCK = unixfs.encode_file(b'{"description":"reads scans","more":[1],"tier":"gold"}')
POINTING = cid.to_str(FILE)


@pytest.fixture
def book(tmp_path: Path):
    found = Book(tmp_path / "db")
    yield found
    found.close()


def test_put_update_refresh_and_delist_are_told_apart(book):
    kinds = []
    for content in (value(), value(price=9), value(price=9, timestamp=NOW + 9)):
        kinds += [each.kind for each in book.put({key(): content})]
    kinds += [each.kind for each in book.delist(key())]
    # The version before shows again, which differs in time alone.
    assert kinds == [ChangeKind.PUT, ChangeKind.UPDATE, ChangeKind.REFRESH, ChangeKind.REFRESH]


def test_a_listing_whose_versions_are_all_removed_is_delisted(book):
    book.put({key(): value()})
    (change,) = book.delist(key())
    assert (change.kind, change.id, change.listing) == (ChangeKind.DELIST, f"{SIGNER.peer_id}/swift-ocr", None)
    assert change.height == 2
    assert book.counts() == (0, 0, 0)
    assert book.get() is None


def test_a_hidden_listing_is_counted_and_reported_only_when_it_was_shown(book):
    changes = book.put({key(): value()})
    changes += book.put({key(): b"junk"})
    assert book.counts() == (0, 0, 1)
    changes += book.put({key(): forged()})
    changes += book.put({"/other": value()})
    assert [each.kind for each in changes] == [ChangeKind.PUT, ChangeKind.DELIST]
    assert book.counts() == (0, 1, 0)
    assert book.get().provenance is Provenance.INVALID, "who asks for it by its id sees it"
    assert book.names() == []
    assert changes[1].height == 1, "no delta removed it: the version that was shown"


def test_an_own_value_is_not_checked_and_all_others_are(tmp_path):
    book = Book(tmp_path / "db", own_value=forged(price=1))
    book.put({key(): forged(price=1)})
    assert book.counts() == (1, 0, 0)
    book.put({key(): forged(price=2)})
    assert book.counts() == (0, 1, 0)
    book.close()


@pytest.mark.parametrize(
    ("query", "sort", "message"),
    [
        ("state:muted", "", "who is muted is a setting of the interface: state:muted works only there"),
        ("", "-x", "listings cannot be sorted by 'x', only by name, price, seller, seen, state"),
    ],
)
def test_a_page_that_cannot_be_made(book, query, sort, message):
    with pytest.raises(FilterError) as caught:
        book.catalogue.page(query, sort, 0, 0.0)
    assert (str(caught.value), caught.value.position) == (message, 0)


def test_each_number_of_a_page(book):
    values = {"a": value("a"), "b": value("b"), "f": forged("f"), "x": b"[", "y": b"[", "z": b"["}
    book.put({key(name): raw for name, raw in values.items()}, at=1.0)
    a, b = book.get("a"), book.get("b")

    def page(*args):
        return book.catalogue.page(*args, 0, 1.0)

    assert page("", "-name").listings == (b, a)
    found = page("", "name")
    assert (found.total, found.invalid, found.unreadable, found.matching) == (2, 1, 3, 2)
    assert book.catalogue.page("", "name", 1, 1.0).listings == (a,)
    nothing = page("zebra", "")
    assert nothing == ListingPage((), 2, 1, 3)


def test_each_field_of_a_reported_change(book):
    (put,) = book.put({key(): value()}, via="somebody", at=9.0)
    listing = book.get()
    size = len(book.nodes[key()].data)
    assert put == Change(ChangeKind.PUT, listing.id, listing.cid, 1, "somebody", 9.0, listing, size)
    removed = book.delist(key(), via="", at=10.0)
    (row,) = book.store.log(1)
    assert removed == [Change(ChangeKind.DELIST, listing.id, cid.to_str(row.cid), 2, "local", 10.0, None, row.size)]


def test_what_changes_while_its_slice_is_read_is_not_taken_for_done(book):
    names = [f"agent-{n:03}" for n in range(projection.SMALL + 20)]
    book.put(many(names))
    prepared = book.catalogue.backlog.prepare()
    book.put(many(names, price=2.5))
    assert book.catalogue.backlog.write(prepared, 9.0) == []
    assert book.catalogue.backlog.progress.rows
    assert {each.listing.price for each in book.work_off()} == {2.5}
    assert book.catalogue.backlog.progress.rows == book.catalogue.backlog.progress.texts == 0
    assert book.is_right()


def test_a_refresh_leaves_nothing_to_be_indexed(book):
    book.put({key(): value()})
    book.work_off()
    book.put({key(): value(timestamp=99)})
    assert book.catalogue.backlog.progress.texts == 0


def test_a_reason_is_short_whatever_the_value_says(book):
    book.put({key(): unsigned("swift-ocr", id="\U000e0001" * 1000)})
    with book.store.readers.reading() as (db, _):
        ((reason,),) = db.execute("SELECT reason FROM unlisted").fetchall()
    assert 0 < len(reason) <= MAX_REASON


def test_a_large_merge_is_queued_and_reported_slice_by_slice(book, monkeypatch):
    monkeypatch.setattr(backlog, "ROWS", 16)
    names = [f"agent-{n:03}" for n in range(projection.SMALL + 20)]
    assert book.put(many(names), at=5.0) == []
    assert book.counts() == (0, 0, 0)
    assert book.get(names[3]).name == names[3], "by its id it is there"
    assert book.catalogue.backlog.progress.rows == len(names)
    changes = book.work_off(index=False)
    assert {each.kind for each in changes} == {ChangeKind.PUT}
    assert sorted(each.listing.name for each in changes) == names
    assert {(each.via, each.at) for each in changes} == {("peer", 5.0)}
    assert book.names() == names
    assert book.catalogue.backlog.progress.rows == 0
    changes = book.put(many(names, price=2.5)) + book.work_off()
    assert {each.kind for each in changes} == {ChangeKind.UPDATE}
    gone = book.delist(*map(key, names)) + book.work_off()
    assert {each.kind for each in gone} == {ChangeKind.UPDATE}, "the version before shows again"
    assert book.is_right()


def test_a_listing_that_goes_in_a_large_merge_names_the_delta_that_removed_it(book):
    names = [f"agent-{n:03}" for n in range(projection.SMALL + 1)]
    book.put(many(names))
    book.work_off()
    assert book.delist(*map(key, names)) == []
    gone = book.work_off(now=12.0)
    (row,) = book.store.log(1)
    assert {(each.kind, each.cid, each.height, each.at) for each in gone} == {
        (ChangeKind.DELIST, cid.to_str(row.cid), 2, 12.0)
    }
    assert len(gone) == len(names)
    assert contents(book.store._db)["index"] == []


def test_own_rows_are_written_at_once_unless_they_are_very_many(book):
    names = [f"agent-{n:03}" for n in range(projection.SMALL + 1)]
    assert len(book.put(many(names[1:]), via="")) == projection.SMALL
    assert book.counts() == (projection.SMALL, 0, 0)
    assert book.put(many(names, price=2), via="") == []
    assert {each.via for each in book.work_off()} == {"local"}


def test_a_small_merge_takes_its_keys_out_of_the_queue(book):
    names = [f"agent-{n:03}" for n in range(projection.SMALL + 1)]
    book.put(many(names))
    (change,) = book.put({key(names[0]): unsigned(names[0], price=7)})
    assert change.kind is ChangeKind.PUT
    assert book.counts() == (1, 0, 0)
    assert names[0] not in {each.listing.name for each in book.work_off()}
    assert book.get(names[0]).price == 7
    assert book.is_right()


def test_a_value_that_changes_while_its_slice_is_read_stays_in_the_queue(book):
    names = [f"agent-{n:03}" for n in range(projection.SMALL + 20)]
    book.put(many(names))
    prepared = book.catalogue.backlog.prepare()
    book.put(many(names, price=8))
    assert book.catalogue.backlog.write(prepared, 9.0) == []
    assert {each.listing.price for each in book.work_off()} == {8}
    assert book.is_right()


def test_a_row_that_is_out_of_date_says_nothing_of_a_signature(book):
    """Between a large merge and its rows, the row of an older version must not vouch for the newer one."""
    names = [f"agent-{n:03}" for n in range(projection.SMALL + 20)]
    book.put({key(name): value(name) for name in names})
    book.work_off()
    assert len(book.names("state:verified")) == len(names)
    book.put({key(name): forged(name) for name in names})
    assert book.names("state:verified") == []
    book.work_off()
    assert book.counts() == (0, len(names), 0)


def test_a_price_touches_neither_text_nor_index(book):
    book.put({key(): value()})
    book.work_off()
    book.put({key(): value(price=3)})
    assert book.store._db.execute("SELECT count(*) FROM unindexed").fetchone() == (0,)
    book.put({key(): unsigned("swift-ocr", metadata={"description": "something else"})})
    book.work_off()
    assert book.is_right()
    hits = "SELECT rowid FROM listing_search WHERE listing_search MATCH ?"
    assert len(book.store._db.execute(hits, ('"something"',)).fetchall()) == 1
    assert book.store._db.execute(hits, ('"scans"',)).fetchall() == []


def test_a_metadata_file_describes_every_listing_that_points_at_it(book):
    for name in "ab":
        book.put({key(name): unsigned(name, metadata=POINTING)})
    book.put({key("c"): unsigned("c", metadata=f"f{FILE.hex()}")})
    missing = book.catalogue.files
    assert missing.due(100.0, 200.0, 10) == [FILE]
    assert missing.lacks(FILE)
    assert missing.pointed_at([FILE, cid.of(b"other")]) == {FILE}
    assert book.catalogue.document(book.get("a")) is None
    missing.put({FILE: BLOCK})
    assert not missing.lacks(FILE)
    assert missing.due(100.0, 200.0, 10) == []
    changes = book.work_off()
    assert [(each.kind, each.listing.description) for each in changes] == [(ChangeKind.REFRESH, "reads scans")] * 3
    assert book.names("scans") == ["a", "b", "c"]
    for name in "abc":
        assert book.catalogue.document(book.get(name)) == {"description": "reads scans", "more": [1], "tier": "gold"}
    (change,) = book.put({key("d"): unsigned("d", metadata=POINTING)})
    assert change.listing.description == "reads scans", "a later one has it at once"
    facts = book.store._db.execute("SELECT facts FROM listing_texts").fetchall()
    assert all("\nmeta.tier\x1fgold\n" in each for (each,) in facts)
    assert book.is_right()


def test_missing_files_have_their_turns(book):
    files = [unixfs.encode_file(b'{"description":"%d"}' % n)[0] for n in range(5)]
    for n, each in enumerate(files):
        book.put({key(f"a{n}"): unsigned(f"a{n}", metadata=cid.to_str(each))}, at=100.0 + n)
    missing = book.catalogue.files
    assert missing.due(200.0, 900.0, 3) == files[:3]
    missing.postpone(files[:3], 800.0)
    assert missing.due(200.0, 900.0, 3) == files[3:]
    assert missing.due(800.0, 1500.0, 10) == [*files[3:], *sorted(files[:3], key=cid.to_str)]
    assert set(missing.due(10.0, 700.0, 10)) == set(files[:3]), "a clock was set back"
    missing.give_up(files[4:])
    book.put({key("a4"): unsigned("a4", metadata=cid.to_str(files[4]), price=9)})
    assert not missing.lacks(files[4]), "a new version does not ask again for what is none"
    book.delist(key("a3"))
    assert missing.forget_unused(files[:4]) == {files[3]}
    assert files[3] not in missing.due(900.0, 900.0, 10)


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{", b"\xff", b'{"a":NaN}', b'{"description":"\\ud800"}', b'{"a":[%s]}' % b",".join([b"[]"] * 5000)],
)
def test_a_metadata_file_is_read_as_strictly_as_a_listing(book, content):
    name, block = unixfs.encode_file(content)
    book.store.put_files({name: block})
    book.put({key(): unsigned("swift-ocr", metadata=cid.to_str(name))})
    assert book.get().description == ""
    assert book.catalogue.document(book.get()) is None
    assert book.is_right()


def test_a_packed_value_that_shows_again_is_read(tmp_path):
    """It was superseded and packed; then the newer version was removed."""
    book = Book(tmp_path / "db")
    book.put({key(): value()})
    old = book.nodes[key()]
    book.put({key(): value(price=9)})
    for n in range(600):
        book.put({f"/filler/{n % 3}": b"%d" % n})
    while book.store.pack(1000, keep=2):
        pass
    assert book.store.blocks([old.cid]) == {old.cid: old.data}
    assert book.store._db.execute("SELECT count(*) FROM blocks WHERE digest = ?", (old.cid[4:],)).fetchone() == (0,)
    (change,) = book.delist(key())
    assert change.kind is ChangeKind.UPDATE
    assert book.get().price == 0.05
    assert [each.price for each in book.catalogue.page("", "", 0, 9.0).listings] == [0.05]
    assert book.is_right()
    book.close()


def test_another_version_and_another_peer_make_it_afresh(tmp_path):
    book = Book(tmp_path / "db")
    book.put({key(name): value(name) for name in "ab"})
    book.work_off()
    before = contents(book.store._db)
    book.close()
    for setting in (f"0 {SIGNER.peer_id}", f"{schema.VERSION} another"):
        store = open_store(tmp_path / "db")
        store.put_setting(schema.SETTING, setting)
        book = Book(tmp_path / "db", store=store)
        assert book.counts() == (0, 0, 0)
        assert [each.kind for each in book.work_off()] == [ChangeKind.PUT] * 2
        assert contents(store._db) == before
        book.close()
    assert afresh(tmp_path / "db") == before


def test_a_store_without_a_catalogue_gets_one_and_checks_no_signature_again(tmp_path, monkeypatch):
    """As those of schema 4 and older: with the verdicts on signatures that they kept."""
    from betar_tui.market import listing

    path = tmp_path / "db"
    book = Book(path)
    book.put({key("good"): value("good"), key("forged"): forged("forged"), key("junk"): b"[", "/other": b"x"})
    expected = contents_of_rows(book.store._db)
    verdicts = [(token(book, "good"), "verified"), (token(book, "forged"), "invalid")]
    for table in schema.TABLES:
        book.store._db.execute(f"DROP TABLE {table}")
    book.store._db.execute("DELETE FROM settings")
    book.store._db.executemany("INSERT INTO verdicts VALUES (?, ?)", verdicts)
    book.close()

    def verify(*_):
        raise AssertionError("it was checked before")

    monkeypatch.setattr(listing, "verify", verify)
    book = Book(path)
    assert book.catalogue.backlog.progress.rows == 3
    assert len(book.work_off()) == 1
    assert contents_of_rows(book.store._db) == expected
    assert book.counts() == (1, 1, 1)
    book.catalogue.backlog.forget_verdicts()
    assert book.store._db.execute("SELECT count(*) FROM verdicts").fetchone() == (0,)
    book.close()


def test_what_was_here_before_is_no_news(tmp_path):
    book = Book(tmp_path / "db")
    book.put(many([f"agent-{n}" for n in range(projection.SMALL + 20)]), at=5.0)
    book.catalogue.backlog._opened = 6_000
    assert {each.kind for each in book.work_off()} == {ChangeKind.REFRESH}
    book.close()


def test_a_reader_of_a_closed_store_is_told_so(tmp_path):
    book = Book(tmp_path / "db")
    book.close()
    with pytest.raises(StoreError, match="stopped"):
        book.get()


def test_readers_wait_for_no_transaction(book):
    book.put({key(): value()})
    with book.store.transaction() as db:
        db.execute("DELETE FROM listings")
        assert book.names() == ["swift-ocr"]
        db.execute("ROLLBACK")
        db.execute("BEGIN")


def token(book: Book, name: str) -> bytes:
    import hashlib

    return hashlib.sha256(f"{cid.to_str(book.nodes[key(name)].cid)}{key(name)}".encode()).digest()


def contents_of_rows(db: sqlite3.Connection) -> list[object]:
    return [
        db.execute("SELECT id, name, price, state, content FROM listings ORDER BY id").fetchall(),
        db.execute("SELECT reason FROM unlisted ORDER BY reason").fetchall(),
        json.dumps(db.execute("SELECT * FROM catalogue_counts ORDER BY name").fetchall()),
    ]
