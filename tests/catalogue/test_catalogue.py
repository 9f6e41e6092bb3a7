"""The catalogue: what merges make of the market, and how its listings are read."""

import json
import sqlite3
from pathlib import Path

import pytest

from betar_tui.catalogue import backlog, interrupting, projection, queue, schema
from betar_tui.catalogue.catalogue import MAX_FOUND
from betar_tui.catalogue.projecting import MAX_REASON
from betar_tui.errors import FilterError, StoreError
from betar_tui.ipld import cid, unixfs
from betar_tui.market.marketplace import Change, ChangeKind, Difference, ListingPage, Provenance
from betar_tui.market.sorting import MAX_COMPARED
from betar_tui.replica import keys
from betar_tui.store.database import open_store
from tests.catalogue.books import Book, afresh, contents, first_seen, forged, many, unsigned
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
    for content in (unsigned(), unsigned(price=9), unsigned(price=9, timestamp=NOW + 9)):
        kinds += [each.kind for each in book.put({key(): content})]
    kinds += [each.kind for each in book.delist(key())]
    # The version before shows again, which differs in time alone.
    assert kinds == [ChangeKind.PUT, ChangeKind.UPDATE, ChangeKind.REFRESH, ChangeKind.REFRESH]


def test_a_listing_whose_versions_are_all_removed_is_delisted(book):
    book.put({key(): unsigned()})
    (change,) = book.delist(key())
    assert (change.kind, change.id, change.listing) == (ChangeKind.DELIST, f"{SIGNER.peer_id}/swift-ocr", None)
    assert change.height == 2
    assert book.counts() == (0, 0, 0)
    assert book.get() is None


def test_a_hidden_listing_is_counted_and_reported_only_when_it_was_shown(book):
    changes = book.put({key(): unsigned()})
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
    book.put({key("other"): forged("other", price=2)})
    assert book.counts() == (1, 1, 0)
    book.close()


@pytest.mark.parametrize(
    ("query", "sort", "message"),
    [
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
    assert nothing == ListingPage((), 2, 1, 3, start=0)


def test_each_field_of_a_reported_change(book):
    (put,) = book.put({key(): unsigned()}, via="somebody", at=9.0)
    listing = book.get()
    size = len(book.nodes[key()].data)
    about = "swift-ocr", SIGNER.peer_id
    assert put == Change(ChangeKind.PUT, listing.id, listing.cid, 1, "somebody", 9.0, listing, size, 0.0, *about)
    removed = book.delist(key(), via="", at=10.0)
    (row,) = book.store.log(1)
    gone = Change(
        ChangeKind.DELIST, listing.id, cid.to_str(row.cid), 2, "local", 10.0, None, row.size, 0.0, *about, 0.05
    )
    assert removed == [gone]


@pytest.mark.parametrize("number", [1, projection.SMALL + 1])
def test_a_change_says_what_was_there_before(book, number):
    """Of listings in a small merge, and in a large one; a name as it was written."""

    def told(changes):
        return {(each.kind, each.name, each.seller_id, each.old_price) for each in changes}

    def titled(name, **fields):
        return json.dumps({**json.loads(unsigned(name, **fields)), "name": name.title()}).encode()

    names = [f"agent-{n:03}" for n in range(number)]

    def values(**fields):
        return {key(name): titled(name, **fields) for name in names}

    titles = {name.title() for name in names}
    for changes, kind, old in (
        (book.put(values(price=2)) + book.work_off(), ChangeKind.PUT, None),
        (book.put(values(price=3)) + book.work_off(), ChangeKind.UPDATE, 2.0),
        (book.put(values(price=3, timestamp=99)) + book.work_off(), ChangeKind.REFRESH, 3.0),
        (book.put(dict.fromkeys(values(), b"junk")) + book.work_off(), ChangeKind.DELIST, 3.0),
    ):
        shown = titles if kind is not ChangeKind.DELIST or number == 1 else set(names)
        assert told(changes) == {(kind, name, SIGNER.peer_id, old) for name in shown}
    book.put(
        {key("Other-1"): unsigned("Other-1"), **{key(f"Other-{n}"): unsigned(f"Other-{n}") for n in range(1, number)}}
    )
    book.work_off()
    gone = book.delist(*(key(f"Other-{n}") for n in range(1, max(number, 2)))) + book.work_off()
    others = {f"Other-{n}" for n in range(1, max(number, 2))}
    assert told(gone) == {(ChangeKind.DELIST, name, SIGNER.peer_id, 0.05) for name in others}
    assert {each.listing for each in gone} == {None}


@pytest.mark.parametrize("number", [1, projection.SMALL + 1])
def test_an_update_names_the_fields_that_it_changed(book, number):
    """Of listings in a small merge; in a large one the versions of before are not read."""
    names = [f"agent-{n:03}" for n in range(number)]

    def told(**fields):
        changes = book.put({key(name): unsigned(name, **fields) for name in names}) + book.work_off()
        assert len(changes) == number
        return changes[0].kind, changes[0].changed

    assert told(price=2) == (ChangeKind.PUT, None)
    assert told(price=3, addrs=["/ip4/1.2.3.4/tcp/5"])[1] == (
        {"price": 2.0, "addrs": list(json.loads(unsigned("x"))["addrs"])} if number == 1 else None
    )
    assert told(price=3, addrs=["/ip4/1.2.3.4/tcp/5"], timestamp=99) == (ChangeKind.REFRESH, None)


def test_listings_are_found_by_their_ids(book):
    book.put({key(name): value(name) for name in "abc"})
    book.put({key("forged"): forged("forged"), key("junk"): b"["})
    ids = [f"{SIGNER.peer_id}/{name}" for name in ("c", "a", "forged", "junk", "nobody")]
    assert [each.name for each in book.catalogue.find([*ids, ids[0], "\ud800"])] == ["c", "a"]
    assert book.catalogue.find(["x"] * MAX_FOUND + [ids[0]]) == ()
    assert book.catalogue.find([]) == ()


def test_a_page_about_a_listing_and_without_sellers(book):
    book.put({key(name): value(name) for name in "abcde"})

    def names(**asked):
        page = book.catalogue.page("", "name", 2, 9.0, **asked)
        return [each.name for each in page.listings], page.start

    assert names(around=f"{SIGNER.peer_id}/d") == (["c", "d"], 2)
    for nobody in (f"{SIGNER.peer_id}/x", "x", "\ud800"):
        assert names(around=nobody) == (["a", "b"], 0)
    assert names(skip=3) == (["d", "e"], 3)
    muted = {SIGNER.peer_id}
    page = book.catalogue.page("", "", 2, 9.0, muted=muted)
    assert (page.listings, page.total, page.matching, page.muted) == ((), 5, 0, 5)
    page = book.catalogue.page("state:muted !name:a", "", 2, 9.0, muted=muted)
    assert ([each.name for each in page.listings], page.matching) == (["b", "c"], 4)
    assert book.catalogue.page("state:muted", "", 2, 9.0).listings == ()
    assert book.catalogue.count("", 9.0, muted) == 0
    assert book.catalogue.count("!name:a", 9.0) == 4
    assert book.catalogue.counts_of_sellers(["x", SIGNER.peer_id], 3) == {"x": 0, SIGNER.peer_id: 3}


def test_reading_ends_when_nobody_waits_for_it(book, monkeypatch):
    book.put({key(name): value(name) for name in "abcde"})
    monkeypatch.setattr(interrupting, "EVERY", 1)
    with pytest.raises(StoreError):
        book.catalogue.count("scans", 9.0, go_on=lambda: False)
    with pytest.raises(StoreError):
        book.catalogue.page("scans", "", 9, 9.0, go_on=lambda: False)
    assert book.catalogue.count("scans", 9.0) == 5


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


@pytest.mark.parametrize("how", ["small", "large", "large while the slice is read"])
def test_a_key_that_is_queued_though_all_of_it_was_looked_at_misses_no_newer_word(book, how):
    """A withdrawal or a metadata file queues a key of which there is nothing to look at; then a merge brings a version."""
    book.put({key(): value()})
    book.work_off()
    with book.store.transaction() as db:
        (k,) = db.execute("SELECT k FROM keys WHERE key = ?", (key(),)).fetchone()
        assert queue.add_again(db, [k]) == 1
    book.catalogue.backlog.progress.add(1, 0)
    prepared = book.catalogue.backlog.prepare() if how == "large while the slice is read" else {}
    assert all(each.looked_at.since == schema.ALL_LOOKED_AT for each in prepared.values())
    others = {} if how == "small" else many(f"agent-{n:03}" for n in range(projection.SMALL))
    book.put({**others, key(): value(price=2.0, timestamp=NOW + 1)})
    book.catalogue.backlog.write(prepared, 9.0)
    book.work_off()
    assert (book.get().price, book.get().difference) == (2.0, Difference.NONE)
    assert book.is_right()


def test_a_row_that_is_out_of_date_says_nothing_of_a_signature(book):
    """Between a large merge and its rows, the row of an older version must not vouch for the newer one."""
    names = [f"agent-{n:03}" for n in range(projection.SMALL + 20)]
    book.put({key(name): value(name) for name in names})
    book.work_off()
    assert len(book.names("state:verified")) == len(names)
    book.put({key(name): forged(name, price=9) for name in names})
    for _ in range(2):
        page = book.catalogue.page("state:verified", "", 0, 10.0).listings
        assert len(page) == len(names)
        assert {each.price for each in page} == {0.05}, "what its seller signed, and not the forgery"
        book.work_off()
    assert book.counts() == (len(names), 0, 0)


def test_a_price_touches_neither_text_nor_index(book):
    book.put({key(): unsigned()})
    book.work_off()
    book.put({key(): unsigned(price=3)})
    assert book.store._db.execute("SELECT count(*) FROM unindexed").fetchone() == (0,)
    book.put({key(): unsigned(metadata={"description": "something else"})})
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
    book.put({key(): unsigned()})
    old = book.nodes[key()]
    book.put({key(): unsigned(price=9)})
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
        book = Book(tmp_path / "db", store=store, opened=10.0)
        assert book.counts() == (0, 0, 0)
        assert [each.kind for each in book.work_off()] == [ChangeKind.REFRESH] * 2
        assert contents(store._db) == before
        book.close()
    assert afresh(tmp_path / "db") == before


def test_a_store_without_a_catalogue_gets_one_by_the_rules_of_today(tmp_path):
    """As those of schema 4 and older, whose verdicts on signatures did not ask whose the id is."""
    path = tmp_path / "db"
    book = Book(path)
    book.put({key("good"): value("good"), key("forged"): forged("forged"), key("junk"): b"[", "/other": b"x"})
    expected = contents_of_rows(book.store._db)
    verdicts = [(token(book, "good"), "invalid"), (token(book, "forged"), "verified")]
    for table in schema.TABLES:
        book.store._db.execute(f"DROP TABLE {table}")
    book.store._db.execute("DELETE FROM settings")
    book.store._db.executemany("INSERT INTO verdicts VALUES (?, ?)", verdicts)
    book.close()

    book = Book(path, opened=10.0)
    assert book.catalogue.backlog.progress.rows == 3
    assert len(book.work_off()) == 1
    assert contents_of_rows(book.store._db) == expected
    assert book.counts() == (1, 1, 1)
    book.catalogue.backlog.forget_verdicts()
    assert book.store._db.execute("SELECT count(*) FROM verdicts").fetchone() == (0,)
    book.close()


NAMES = ["refreshed", "changed", "delisted", "forged", "bulk", "still"]


def opened_again(book: Book, path: Path, opened: float) -> Book:
    """The same store with a catalogue that is being made afresh."""
    book.close()
    store = open_store(path)
    store.put_setting(schema.SETTING, "of another version")
    return Book(path, store=store, opened=opened)


@pytest.mark.parametrize("times", [1, 2], ids=["once", "again before it was done"])
@pytest.mark.parametrize("kept", [True, False], ids=["tables", "no tables"])
def test_what_changes_while_the_catalogue_is_made_afresh_is_told_as_ever(tmp_path, times, kept, monkeypatch):
    monkeypatch.setattr(projection, "SMALL", 32)
    path = tmp_path / "db"
    book = Book(path)
    for name in NAMES:
        book.put({key(name): unsigned(name)}, at=5.0)
    book.put({key("hidden"): forged("hidden")}, at=5.0)
    nodes = book.nodes
    if not kept:
        for table in schema.TABLES:
            book.store._db.execute(f"DROP TABLE {table}")
    for _ in range(times):
        book = opened_again(book, path, 3_000.0)
    book.nodes = nodes
    told = {
        name: [each.kind for each in book.put({key(name): content}, at=4_000.0)]
        for name, content in (
            ("refreshed", unsigned("refreshed", timestamp=NOW + 9)),
            ("changed", unsigned("changed", price=9)),
            ("forged", forged("forged", price=9)),
            ("hidden", forged("hidden", price=9)),
            ("hidden", unsigned("hidden")),
            ("brand-new", unsigned("brand-new")),
        )
    }
    (gone,) = book.delist(key("delisted"), at=4_000.0)
    assert (gone.kind, gone.id, gone.listing) == (ChangeKind.DELIST, f"{SIGNER.peer_id}/delisted", None)
    assert told == {
        "refreshed": [ChangeKind.REFRESH],
        "changed": [ChangeKind.UPDATE],
        "forged": [ChangeKind.DELIST],
        "hidden": [ChangeKind.PUT],
        "brand-new": [ChangeKind.PUT],
    }
    book.put({**many([f"agent-{n}" for n in range(50)]), key("bulk"): unsigned("bulk", price=9)}, at=4_000.0)
    kinds = {each.id.rpartition("/")[2]: each.kind for each in book.work_off(now=4_001.0)}
    assert (kinds.pop("still"), kinds.pop("bulk")) == (ChangeKind.REFRESH, ChangeKind.UPDATE)
    assert kinds == {f"agent-{n}": ChangeKind.PUT for n in range(50)}
    known = {"refreshed", "changed", "bulk", "still"}
    assert {name: at for name, at in first_seen(book).items() if name in known} == dict.fromkeys(known, 5_000)
    new = {each.name for each in book.catalogue.page("state:new", "", 0, 4_002.0).listings}
    assert new == {"hidden", "brand-new", *(f"agent-{n}" for n in range(50))}
    assert book.is_right()
    book.close()


def test_a_version_that_shows_again_appeared_when_its_listing_did(tmp_path):
    path = tmp_path / "db"
    book = Book(path)
    book.put({key(): value()}, at=5.0)
    book.put({key(): value(price=2)}, at=4_000.0)
    book = opened_again(book, path, 5_000.0)
    book.work_off()
    assert first_seen(book) == {"swift-ocr": 5_000}
    book.close()


def test_a_queued_version_in_a_packed_block_is_told_with_the_peer_that_sent_it(book, monkeypatch):
    monkeypatch.setattr(projection, "SMALL", 0)
    book.put({key("theirs"): unsigned("theirs")}, via="neighbour")
    book.put({key("ours"): unsigned("ours")}, via="")
    old = {name: book.nodes[key(name)] for name in ("theirs", "ours")}
    for name in old:
        book.put({key(name): unsigned(name, price=9)})
    for n in range(600):
        book.put({f"/filler/{n % 3}": b"%d" % n})
    while book.store.pack(1000, keep=2):
        pass
    book.delist(*map(key, old))
    assert book.store._db.execute(
        "SELECT count(*) FROM blocks WHERE digest = ?", (old["ours"].cid[4:],)
    ).fetchone() == (0,)
    told = {each.listing.name: (each.via, each.bytes) for each in book.work_off()}
    assert told == {"theirs": ("neighbour", len(old["theirs"].data)), "ours": ("local", len(old["ours"].data))}


@pytest.mark.parametrize(("via", "told"), [("neighbour", "neighbour"), ("", "local")])
def test_a_removal_in_bulk_is_told_with_the_peer_that_sent_it(book, monkeypatch, via, told):
    monkeypatch.setattr(projection, "SMALL", 10)
    names = [f"agent-{n:03}" for n in range(50)]
    book.put(many(names), via="another")
    book.work_off()
    book.delist(*map(key, names), via=via)
    gone = book.work_off()
    assert [(each.kind, each.via) for each in gone] == [(ChangeKind.DELIST, told)] * 50
    book.put(many(names), via="another")
    book.work_off()
    book.delist(*map(key, names), via=via)
    while book.catalogue.backlog._removal_of(key(names[0])) is not None:
        pass
    (forgotten,) = [each for each in book.work_off() if each.id.endswith(names[0])]
    assert (forgotten.kind, forgotten.via, forgotten.height) == (ChangeKind.DELIST, "", 0), "better nothing than wrong"


@pytest.mark.parametrize("via", ["peer", ""])
def test_a_merge_with_long_values_is_queued(book, via):
    """The store is locked while the values of a small one are decoded."""
    most = projection.SMALL_BYTES
    long = 60 << 10
    names = [f"agent-{n:03}" for n in range(most // long + 1)]
    fields = {"metadata": {"text": "x" * (most // len(names) - 400)}}
    fitting = many(names, **fields)
    assert most * 0.95 < sum(map(len, fitting.values())) <= most
    assert len(book.put(fitting, via=via)) == len(names)
    assert book.put(many(names, metadata={"text": "y" * long}), via=via) == []
    assert len(book.work_off()) == len(names)
    assert book.is_right()


def test_a_file_that_comes_while_its_slice_is_read_is_not_missed(book, monkeypatch):
    monkeypatch.setattr(projection, "SMALL", 0)
    book.put({key("a"): unsigned("a", metadata=POINTING)})
    prepared = book.catalogue.backlog.prepare()
    (each,) = prepared.values()
    assert each.absent == FILE
    book.store.put_files({FILE: BLOCK})  # as dagsync stores it, which queues nothing
    assert book.catalogue.backlog.write(prepared, 9.0) == []
    (change,) = book.work_off()
    assert change.listing.description == "reads scans"
    assert not book.catalogue.files.lacks(FILE)
    assert book.is_right()


def test_files_that_nothing_points_at_are_forgotten_and_no_others(book):
    files = [unixfs.encode_file(b'{"description":"%d"}' % n)[0] for n in range(3)]
    for n, each in enumerate(files):
        book.put({key(f"a{n}"): unsigned(f"a{n}", metadata=cid.to_str(each))})
    book.put({key("b0"): unsigned("b0", metadata=cid.to_str(files[0]))})
    book.delist(key("a0"), key("a1"))
    assert book.catalogue.files.forget_unused([*files, cid.of(b"other")]) == {files[1], cid.of(b"other")}
    assert set(book.catalogue.files.due(100.0, 200.0, 10)) == {files[0], files[2]}
    book.put({key("c1"): unsigned("c1", metadata=cid.to_str(files[1]))}, at=7.0)
    assert set(book.catalogue.files.due(100.0, 200.0, 10)) == set(files), "it is asked for again"


def test_names_are_compared_by_their_first_128_letters(book):
    same = "ß" * MAX_COMPARED
    names = [f"{same}{rest}" for rest in ("b", "a", "")]
    for n, name in enumerate(names):
        book.put({key(f"k{n}"): unsigned(f"k{n}", name=name)})
    book.put({key("k3"): unsigned("k3", name=f"{'ß' * (MAX_COMPARED - 1)}a{'b' * 90}")})
    with book.store.readers.reading() as (db, _):
        stored = {name for (name,) in db.execute("SELECT name FROM listings")}
    assert stored == {"ss" * MAX_COMPARED, "ss" * (MAX_COMPARED - 1) + "a"}
    assert book.names("", "name")[1:] == names, "those are equal, and in the order in which they came"
    assert book.names("", "-name")[:3] == names[::-1]
    assert book.names(f"name:{same}a") == [names[1]], "all of it is searched"


@pytest.mark.parametrize("limit", [-1, -(1 << 40), -(1 << 70), (1 << 63) - 1, 1 << 63, 1 << 70])
def test_a_limit_below_zero_or_beyond_everything_is_none(book, limit):
    book.put({key(name): value(name) for name in "ab"})
    page = book.catalogue.page("", "", limit, 1.0)
    assert [each.name for each in page.listings] == ["a", "b"]


def test_what_was_here_before_is_no_news(tmp_path):
    book = Book(tmp_path / "db", opened=6.0)
    book.put(many([f"agent-{n}" for n in range(projection.SMALL + 20)]), at=5.0)
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


def test_muting_a_seller_with_a_nul_mutes_nobody_else(book):
    odd = f"{SIGNER.peer_id}\0"
    book.put({key("known"): value("known"), keys.of_agent("odd"): unsigned("odd", id="odd", seller_id=odd)})
    book.work_off()
    for muted, left in (
        ([odd], ["known"]),
        ([SIGNER.peer_id], ["odd"]),
        ([odd, SIGNER.peer_id], []),
        ([], ["known", "odd"]),
    ):
        page = book.catalogue.page("", "name", 0, 10.0, muted=muted)
        assert [each.name for each in page.listings] == left
    assert book.catalogue.count("state:muted", 10.0, [odd]) == 1
