"""Writes rows of the catalogue in the caller's transaction: listings, their texts, the totals and the queues that follow."""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from betar_tui.catalogue.projecting import INVALID, Projected
from betar_tui.catalogue.quotas import Quotas, Withheld, count_name, read_withheld, share_of
from betar_tui.limits import Limits
from betar_tui.market.kinds import ChangeKind
from betar_tui.market.marketplace import Listing
from betar_tui.market.sorting import folded
from betar_tui.store.sql import in_list

_COLUMNS = ("id", "name", "price", "seller", "seen", "first_seen", "state", "timestamp", "content", "metadata", "share")
_READ = f"SELECT k, text, facts, {', '.join(_COLUMNS)} FROM listings JOIN listing_texts USING (k) WHERE k IN"
_INSERT = f"INSERT INTO listings VALUES (?{', ?' * len(_COLUMNS)})"
_APPEARED = "SELECT k, first_seen FROM unprojected WHERE first_seen IS NOT NULL AND k IN"
_NAME, _PRICE, _SELLER = (_COLUMNS.index(name) for name in ("name", "price", "seller"))
_FIRST_SEEN, _CONTENT = (_COLUMNS.index(name) for name in ("first_seen", "content"))
_METADATA, _SHARE = (_COLUMNS.index(name) for name in ("metadata", "share"))


class Outcome(NamedTuple):
    """What became of a key: the kind of change that people are told of, None for nothing, the listing's id, and the listing
    where it is shown now. `old_price` is the price before, None where it was not shown; of one that went `name` is
    folded. `old_content` is the hash of what it said, where it was shown.

    `again` says that the catalogue is being made afresh and the row was still to be made: people may know the listing, and
    only a reader of the version before can say what has changed. Its id is "" if it is gone."""

    kind: ChangeKind | None
    id: str
    listing: Listing | None
    name: str = ""
    seller: str = ""
    old_price: float | None = None
    again: bool = False
    old_content: int | None = None


class Written(NamedTuple):
    """What became of each key, how many rows more are to be indexed, and how many keys were queued to be placed again."""

    outcomes: dict[int, Outcome]
    texts: int
    queued: int = 0


class _Old(NamedTuple):
    """A row as it is: its columns, and its texts."""

    columns: tuple[Any, ...]
    text: str
    facts: str


_NOTHING = Outcome(None, "", None)


def write_rows(
    db: sqlite3.Connection,
    projected: Mapping[int, Projected | str | None],
    now: int,
    limits: Limits,
    first_new: int | None = None,
) -> Written:
    """Make the rows of keys what they are to be: shown, withheld, not a listing for a reason, or gone. Takes them out of the
    queue.

    `now` is in Unix ms; of keys from the number `first_new` on nothing is known yet."""
    known = [k for k in projected if first_new is None or k < first_new]
    old = _read(db, known) if known else {}
    others = [k for k in known if k not in old]
    reasons = dict(in_list(db, "SELECT k, reason FROM unlisted WHERE k IN", others)) if others else {}
    appeared = dict(in_list(db, _APPEARED, others)) if others else {}
    quotas = Quotas(db, limits)
    batch = _Batch(db, now, reasons, appeared, read_withheld(db, others) if others else {}, quotas)
    outcomes = {k: batch.place(k, each, old.get(k)) for k, each in projected.items()}
    texts = batch.write()
    if known:
        db.executemany("DELETE FROM unprojected WHERE k = ?", [(k,) for k in known])
    return Written(outcomes, texts, quotas.settle())


def _read(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, _Old]:
    return {row[0]: _Old(row[3:], row[1], row[2]) for row in in_list(db, _READ, numbers)}


class _Batch:
    """Gathers what is to be written, so that each kind of row is written at once. `reasons` are those of the keys without a
    row, why their values are not shown, `appeared` says when those first appeared whose row is made again, and `withheld`
    are those that are withheld."""

    def __init__(
        self,
        db: sqlite3.Connection,
        now: int,
        reasons: Mapping[int, str],
        appeared: Mapping[int, int],
        withheld: Mapping[int, Withheld],
        quotas: Quotas,
    ) -> None:
        self._db = db
        self._now = now
        self._reasons = reasons
        self._appeared = appeared
        self._withheld = withheld
        self._quotas = quotas
        self._counts: Counter[str] = Counter()
        self._rows: list[tuple[Any, ...]] = []
        self._texts: list[tuple[int, str, str]] = []
        self._unindexed: list[tuple[int, str | None, str | None]] = []
        self._undescribed: list[tuple[str, int]] = []

    def place(self, k: int, projected: Projected | str | None, old: _Old | None) -> Outcome:
        """Show, withhold or hide a key, and leave the place where it was."""
        share = share_of(projected) if isinstance(projected, Projected) else 0
        withheld = self._withheld.get(k)
        before = old.columns[_SHARE] if old is not None else withheld.share if withheld is not None else 0
        self._quotas.moved(before, share)
        if withheld is not None:
            self._counts[count_name(withheld.share)] -= 1
            self._db.execute("DELETE FROM withheld WHERE k = ?", (k,))
        if not isinstance(projected, Projected):
            return self._hide(k, projected, old)
        if self._quotas.allows(k, share):
            return self._show(k, projected, share, old)
        return self._withhold(k, projected, share, old)

    def _show(self, k: int, projected: Projected, share: int, old: _Old | None) -> Outcome:
        listing = projected.listing
        seen = int(listing.seen_at * 1000)
        row = (
            listing.id,
            folded(listing.name),
            float(listing.price),
            listing.seller_id,
            seen,
            self._first_seen(k, seen, old),
            projected.state,
            listing.timestamp,
            projected.content,
            projected.metadata,
            share,
        )
        texts = projected.text, projected.facts
        if old is None:
            self._forget_reason(k)
            self._counts["listings"] += 1
            self._rows.append((k, *row))
            self._texts.append((k, *texts))
            self._unindexed.append((k, None, None))
        else:
            self._update(k, row, old.columns)
            if texts != (old.text, old.facts):
                self._texts.append((k, *texts))
                self._unindexed.append((k, old.text, old.facts))
        known = old is not None and old.columns[_METADATA] == projected.metadata
        if projected.metadata is not None and not projected.described and not known:
            self._undescribed.append((projected.metadata, self._now))
        old_price, old_content = (old.columns[_PRICE], old.columns[_CONTENT]) if old is not None else (None, None)
        again = k in self._appeared
        kind = ChangeKind.UPDATE if again else _kind(projected, old)
        return Outcome(kind, listing.id, listing, listing.name, listing.seller_id, old_price, again, old_content)

    def _first_seen(self, k: int, seen: int, old: _Old | None) -> int:
        if old is not None:
            return int(old.columns[_FIRST_SEEN])
        if k in self._withheld:
            return self._withheld[k].first_seen
        return min(self._appeared.get(k, seen), seen)

    def _withhold(self, k: int, projected: Projected, share: int, old: _Old | None) -> Outcome:
        """Count a listing that is beyond a quota. Nobody is told of it: it has not been delisted."""
        first_seen = self._first_seen(k, int(projected.listing.seen_at * 1000), old)
        self._take_out(k, old)
        self._counts[count_name(share)] += 1
        self._db.execute("INSERT INTO withheld VALUES (?, ?, ?)", (k, share, first_seen))
        return _NOTHING

    def _take_out(self, k: int, old: _Old | None) -> None:
        if old is None:
            self._forget_reason(k)
            return
        self._counts["listings"] -= 1
        self._db.execute("DELETE FROM listings WHERE k = ?", (k,))
        self._db.execute("DELETE FROM listing_texts WHERE k = ?", (k,))
        self._unindexed.append((k, old.text, old.facts))

    def _hide(self, k: int, reason: str | None, old: _Old | None) -> Outcome:
        """Take a row out; `reason` is why its value is not shown, None where it has none."""
        self._take_out(k, old)
        if reason is not None:
            self._counts["invalid" if reason == INVALID else "unreadable"] += 1
            self._db.execute("INSERT INTO unlisted VALUES (?, ?)", (k, reason))
        if old is None:
            return Outcome(ChangeKind.DELIST, "", None, again=True) if k in self._appeared else _NOTHING
        columns = old.columns
        return Outcome(ChangeKind.DELIST, columns[0], None, columns[_NAME], columns[_SELLER], columns[_PRICE])

    def write(self) -> int:
        """Write what was gathered; returns how many rows `unindexed` has more. One that stands there already keeps the texts
        that the index has."""
        many, texts = self._db.executemany, 0
        if self._rows:
            many(_INSERT, self._rows)
        if self._texts:
            many("INSERT OR REPLACE INTO listing_texts VALUES (?, ?, ?)", self._texts)
        if self._unindexed:
            texts = many("INSERT OR IGNORE INTO unindexed VALUES (?, ?, ?)", self._unindexed).rowcount
        if self._undescribed:
            many("INSERT OR IGNORE INTO undescribed VALUES (?, ?)", self._undescribed)
        for name, change in self._counts.items():
            if change:
                self._db.execute("UPDATE catalogue_counts SET n = n + ? WHERE name = ?", (change, name))
        return texts

    def _update(self, k: int, row: tuple[Any, ...], old: tuple[Any, ...]) -> None:
        """Set the columns that have changed: SQLite touches the indexes of those alone."""
        changed = [i for i, value in enumerate(row) if value != old[i]]
        if changed:
            columns = ", ".join(f"{_COLUMNS[i]} = ?" for i in changed)
            self._db.execute(f"UPDATE listings SET {columns} WHERE k = ?", (*(row[i] for i in changed), k))

    def _forget_reason(self, k: int) -> None:
        reason = self._reasons.get(k)
        if reason is not None:
            self._counts["invalid" if reason == INVALID else "unreadable"] -= 1
            self._db.execute("DELETE FROM unlisted WHERE k = ?", (k,))


def _kind(projected: Projected, old: _Old | None) -> ChangeKind:
    if old is None:
        return ChangeKind.PUT
    return ChangeKind.REFRESH if projected.content == old.columns[_CONTENT] else ChangeKind.UPDATE
