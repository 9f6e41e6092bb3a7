"""Works off what merges leave: the rows of keys that changed in bulk, and then the search index. In slices, each a
transaction of its own, so that a crash loses none and a merge waits for one at most."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from betar_tui.catalogue import queue, search_index
from betar_tui.catalogue.elements import Unseen, portions
from betar_tui.catalogue.files import stored_file
from betar_tui.catalogue.origins import origins
from betar_tui.catalogue.progress import Progress
from betar_tui.catalogue.projecting import (
    Projected,
    brought_by,
    differing,
    name_as_written,
    project,
    project_spoken,
    reader_of,
)
from betar_tui.catalogue.projection import Removal
from betar_tui.catalogue.queue import LookedAt
from betar_tui.catalogue.rows import Outcome, write_rows
from betar_tui.catalogue.versions import (
    Basis,
    Version,
    judged,
    read_bases,
    read_last,
    version_at_hand,
    versions_of,
    write_signed,
    write_withdrawals,
)
from betar_tui.ipld import cid as cids
from betar_tui.limits import Limits
from betar_tui.market.kinds import ChangeKind
from betar_tui.market.marketplace import Change, Provenance
from betar_tui.market.origin import LOCAL
from betar_tui.market.withdrawal import newest_withdrawal
from betar_tui.market.words import Spoken
from betar_tui.replica import keys
from betar_tui.store.database import Store
from betar_tui.store.merging import key_numbers
from betar_tui.store.readers import Reader
from betar_tui.store.sql import in_list

ROWS = 400
"""Maximum rows of one slice."""
VERSIONS = 2_000
"""Maximum versions that are looked at for one slice: a key may have tens of thousands."""
ROW_BYTES = 512 << 10
"""Number of bytes of versions at which a slice takes no further one."""
ROUND = 8
"""One in this many slices goes on with a round through the whole queue, however many higher keys come."""
TEXTS = 200
"""Maximum rows that one slice puts into the search index."""
TEXT_BYTES = 64 << 10
"""Number of bytes of texts at which such a slice takes no further row."""


class Prepared(NamedTuple):
    """A key of a slice, not yet written: what was looked at of it, and what was found, a new signed version or the timestamp
    of a withdrawal.

    Unless there are `more` versions to look at, also the row that is shown, when, by whom and in how many bytes its version
    came, the metadata file that was not here, and of a key that shows none the value that came last."""

    key: str
    looked_at: LookedAt
    signed: Basis | None = None
    withdrawn: int | None = None
    more: bool = False
    projected: Projected | str | None = None
    at: int = 0
    via: str = ""
    size: int = 0
    absent: bytes | None = None
    last: bytes | None = None


class Backlog:
    """The queues `unprojected` and `unindexed`. `removal_of` names the delta that removed a key, where it is known."""

    def __init__(
        self,
        store: Store,
        own_peer_id: str,
        is_own_value: Callable[[bytes], bool],
        removal_of: Callable[[str], Removal | None],
        opened: float,
        limits: Limits,
    ) -> None:
        self._store = store
        self._limits = limits
        self._own_peer_id = own_peer_id
        self._is_own_value = is_own_value
        self._removal_of = removal_of
        self._opened = int(opened * 1000)
        self._turn, self._passed = 0, 0
        with store.readers.reading() as (db, _):
            self._checked_before = db.execute("SELECT 1 FROM verdicts LIMIT 1").fetchone() is not None
            left = db.execute("SELECT (SELECT count(*) FROM unprojected), (SELECT count(*) FROM unindexed)").fetchone()
        self.progress = Progress(*left)

    def prepare(self) -> dict[int, Prepared]:
        """Read and decode the next slice of keys, mostly the foremost, and check their signatures. Locks nothing."""
        mark = self.progress.mark
        with self._store.readers.reading() as reader:
            numbers = self._next(reader.db)
            prepared = self._decoded(reader, numbers) if numbers else {}
        if not numbers:
            self.progress.rows_found_empty(mark)
        return prepared

    def write(self, prepared: Mapping[int, Prepared], now: float) -> list[Change]:
        """Write the rows of a slice; returns the changes, of which people are told. Not while a merge runs.

        A key that has changed since it was read stays in the queue, and one whose metadata file has come since."""
        at = int(now * 1000)
        with self._store.transaction() as db:
            queued = queue.read(db, prepared)
            there = {k: each for k, each in prepared.items() if k in queued}
            write_signed(db, [each.signed for each in there.values() if each.signed is not None])
            queue.looked_at(db, [each.looked_at for each in there.values()])
            withdrawn = {k: each.withdrawn for k, each in there.items() if each.withdrawn is not None}
            affected = self._withdraw(db, withdrawn)
            if affected:  # perhaps of listings in this slice, whose rows were made without knowing
                queued = queue.read(db, there)
            still = {
                k: each.projected
                for k, each in there.items()
                if not each.more and each.looked_at.turn == queued[k].turn and not _has_come(db, each.absent)
            }
            outcomes, texts, again = write_rows(db, still, at, self._limits)
        self.progress.add(affected + again, 0)
        self.progress.made_rows(len(outcomes), texts)
        kinds = ((k, each, self._kind(prepared[k], each)) for k, each in outcomes.items())
        return [self._change(prepared[k], each, kind, now) for k, each, kind in kinds if kind is not None]

    def _withdraw(self, db: sqlite3.Connection, withdrawn: Mapping[int, int]) -> int:
        """Keep withdrawals and queue the listings that they are of; returns how many."""
        if not withdrawn:
            return 0
        write_withdrawals(db, withdrawn)
        names = [key for (key,) in in_list(db, "SELECT key FROM keys WHERE k IN", list(withdrawn))]
        listings = [keys.of_agent(each) for each in map(keys.withdrawn_id, names) if each is not None]
        return queue.add_again(db, [k for k, _ in key_numbers(db, listings).values()])

    def work_off(self, now: float, step: Callable[[], object] = lambda: None) -> None:
        """Make all rows that wait, without events. Not while a merge runs. `step` is called after each slice."""
        while self.progress.rows and (prepared := self.prepare()):
            self.write(prepared, now)
            step()
        self.forget_verdicts()

    def index_all_but(self, most: int, step: Callable[[], object] = lambda: None) -> None:
        """Index texts until at most `most` of them wait. `step` is called after each slice."""
        while self.progress.texts > most and self.index():
            step()

    def index(self) -> int:
        """Put a slice of texts into the search indexes, and take old ones out; returns how many rows are done."""
        mark = self.progress.mark
        with self._store.transaction() as db:
            rows = self._next_texts(db)
            gone = [(k, text, facts) for k, text, facts, _, _ in rows if text is not None and facts is not None]
            new = [(k, text, facts) for k, _, _, text, facts in rows if text is not None and facts is not None]
            search_index.take_out(db, gone)
            search_index.put_in(db, new)
            db.executemany("DELETE FROM unindexed WHERE k = ?", [(row[0],) for row in rows])
        if rows:
            self.progress.made_texts(len(rows))
        else:
            self.progress.texts_found_empty(mark)
        return len(rows)

    def forget_verdicts(self) -> None:
        """All rows are made: the verdicts on signatures of an older version have done their work."""
        if self._checked_before:
            with self._store.transaction() as db:
                db.execute("DELETE FROM verdicts")
            self._checked_before = False

    def _next(self, db: sqlite3.Connection) -> list[int]:
        """The numbers of the next keys."""
        self._turn = (self._turn + 1) % ROUND
        if self._turn:
            return self._first(db, "ORDER BY height DESC")
        numbers = self._first(db, f"WHERE k > {self._passed} ORDER BY k") or self._first(db, "ORDER BY k")
        self._passed = max(numbers, default=0)
        return numbers

    @staticmethod
    def _first(db: sqlite3.Connection, order: str) -> list[int]:
        return [k for (k,) in db.execute(f"SELECT k FROM unprojected {order} LIMIT ?", (ROWS,))]

    @staticmethod
    def _next_texts(db: sqlite3.Connection) -> Sequence[tuple[int, str | None, str | None, str | None, str | None]]:
        sql = (
            "SELECT k, coalesce(length(CAST(old.text AS BLOB)), 0) + coalesce(length(CAST(new.text AS BLOB)), 0)"
            " FROM unindexed AS old LEFT JOIN listing_texts AS new USING (k) LIMIT ?"
        )
        numbers = _within(db.execute(sql, (TEXTS,)).fetchall(), TEXT_BYTES)
        sql = (
            "SELECT k, old.text, old.facts, new.text, new.facts"
            " FROM unindexed AS old LEFT JOIN listing_texts AS new USING (k) WHERE k IN"
        )
        return in_list(db, sql, numbers)

    def _decoded(self, reader: Reader, numbers: Sequence[int]) -> dict[int, Prepared]:
        db = reader.db
        queued, bases = queue.read(db, numbers), read_bases(db, numbers)
        unseen = [Unseen(k, bases[k].key, queued[k].since) for k in numbers]
        found: dict[int, Prepared] = {}
        complete: list[Basis] = []
        at_hand: dict[int, tuple[Spoken, Version]] = {}
        for k, portion in portions(db, reader.history, unseen, VERSIONS, ROW_BYTES).items():
            key = bases[k].key
            seen = LookedAt(k, queued[k].turn, queued[k].since, portion.since, len(portion.versions))
            if keys.agent_id(key) is None:
                withdrawn = newest_withdrawal(key, [each.value for each in portion.versions.values()])
                found[k] = Prepared(key, seen, withdrawn=withdrawn, more=not portion.complete)
                continue
            read = reader_of(key, self._own_peer_id, portion.applied.__getitem__, self._is_own_value)
            basis, spoken = judged(db, reader.history, bases[k], portion.versions, read)
            found[k] = Prepared(key, seen, basis if spoken else None, more=not portion.complete)
            if not portion.complete:
                continue
            complete.append(basis)
            if spoken is not None and basis.signed == basis.in_map == basis.shown:
                at_hand[k] = spoken, version_at_hand(basis, spoken, portion.applied)
        versions = [version for _, version in at_hand.values()]
        versions += versions_of(db, reader.history, [basis for basis in complete if basis.k not in at_hand])
        found_in = origins(db, reader.history, {each.n for each in versions})
        for version in versions:
            via, size = found_in[version.n]
            absent: list[bytes] = []
            known = at_hand[version.k][0] if version.k in at_hand else None
            projected = brought_by(self._project(db, version, known, absent.append), via)
            found[version.k] = found[version.k]._replace(
                projected=projected, at=version.at, via=via, size=size, absent=absent[0] if absent else None
            )
        hidden = [basis.k for basis in complete if found[basis.k].projected is None]
        for k, last in read_last(db, reader.history, hidden).items():
            found[k] = found[k]._replace(last=last)
        return found

    def _project(
        self, db: sqlite3.Connection, version: Version, spoken: Spoken | None, lack: Callable[[bytes], None]
    ) -> Projected | str:
        """The row of a version, which is decoded already where it is `spoken`."""

        def file(cid: bytes) -> bytes | None:
            found = stored_file(db, cid)
            if found is None:
                lack(cid)
            return found

        if spoken is not None:
            return project_spoken(version.key, spoken, file)
        known = Provenance.VERIFIED if version.signed else None
        row = project(version.key, version.winner, version.at / 1000, self._own_peer_id, file, known)
        return differing(row, version.difference)

    def _kind(self, prepared: Prepared, outcome: Outcome) -> ChangeKind | None:
        """What people are told. A version that was applied before this peer was opened is not new to them."""
        known = prepared.at < self._opened
        if outcome.listing is not None:
            is_news = outcome.kind is ChangeKind.PUT or outcome.again
            return ChangeKind.REFRESH if is_news and known else outcome.kind
        hidden = prepared.projected is not None
        return None if outcome.again and hidden and known else outcome.kind

    def _change(self, prepared: Prepared, outcome: Outcome, kind: ChangeKind, now: float) -> Change:
        if outcome.listing is not None:
            listing, via, at = outcome.listing, prepared.via or LOCAL, prepared.at / 1000
            about = outcome.name, outcome.seller, outcome.old_price
            return Change(kind, outcome.id, listing.cid, listing.height, via, at, listing, prepared.size, 0.0, *about)
        listing_id = outcome.id or keys.agent_id(prepared.key) or ""
        about = name_as_written(outcome.name, prepared.last), outcome.seller, outcome.old_price
        removal = self._removal_of(prepared.key)
        if removal is not None:
            cid, height, via = cids.to_str(removal.cid), removal.height, removal.via or LOCAL
        else:  # removed before this peer was opened, or with too many others
            cid, height, via = "", 0, "" if prepared.projected is None else prepared.via or LOCAL
        return Change(kind, listing_id, cid, height, via, now, None, 0, 0.0, *about)


def _has_come(db: sqlite3.Connection, absent: bytes | None) -> bool:
    """Whether a metadata file has come that was not here when the row was made."""
    return absent is not None and stored_file(db, absent) is not None


def _within(rows: Sequence[tuple[int, int]], most: int) -> list[int]:
    """The first numbers whose sizes are together at most this, one at least."""
    numbers: list[int] = []
    total = 0
    for number, size in rows:
        total += size
        if numbers and total > most:
            break
        numbers.append(number)
    return numbers
