"""Writes the rows of a small merge, in its transaction, and judges each version that it brought."""

import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from betar_tui.catalogue import queue
from betar_tui.catalogue.elements import Portion, Unseen, has_few, portions
from betar_tui.catalogue.files import stored_file
from betar_tui.catalogue.origins import origins
from betar_tui.catalogue.projecting import Projected, brought_by, differing, project, project_spoken, reader_of
from betar_tui.catalogue.rows import Outcome, write_rows
from betar_tui.catalogue.versions import (
    Basis,
    Location,
    judged,
    read_bases,
    versions_of,
    write_signed,
    write_withdrawals,
)
from betar_tui.limits import Limits
from betar_tui.market.kinds import Difference, Provenance
from betar_tui.market.withdrawal import newest_withdrawal
from betar_tui.market.words import Source, Spoken
from betar_tui.replica import keys
from betar_tui.replica.facts import Changes, Winner
from betar_tui.store.history import History
from betar_tui.store.merging import WrittenMerge, key_numbers

FEW, FEW_BYTES = 32, 128 << 10
"""Maximum versions of a queued key, and bytes of them, that are looked at when a small merge touches it; a key with more
stays in the queue."""

Versions = dict[str, dict[Location, Winner]]
"""What a merge brought: by the key, its versions by where they are; none where one was only removed."""


class Again(NamedTuple):
    """What people knew of a key whose row is made again: the version `before`, if that is `decided` by a signature and not
    by the map, and the content `after` it, None where nothing is shown."""

    decided: bool
    before: Winner | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Followed:
    """What a merge did to the catalogue: what became of each key and how many rows more are to be indexed, or how many keys
    were queued."""

    outcomes: Mapping[str, Outcome]
    queued: int = 0
    texts: int = 0
    again: Mapping[str, Again] = field(default_factory=dict)


class Follower:
    """Writes rows for one replica. Used in the merging thread alone."""

    def __init__(self, own_peer_id: str, is_own_value: Callable[[bytes], bool], limits: Limits) -> None:
        self._own_peer_id = own_peer_id
        self._limits = limits
        self._is_own_value = is_own_value
        self._history = History()

    def write(self, db: sqlite3.Connection, changes: Changes, written: WrittenMerge, brought: Versions) -> Followed:
        """Write the rows of the keys that a merge touched."""
        now = int(changes.at * 1000)
        numbers, withdrawn = _numbers(db, written.numbers, brought)
        bases = read_bases(db, list(numbers.values()))
        write_withdrawals(db, {written.numbers[_withdrawal(key)]: at for key, at in withdrawn.items()})
        known = [bases[k] for k in numbers.values() if k < written.first_new]
        waiting, later = self._waiting(db, known, brought)
        files = _files(db)
        made: dict[int, Projected | str | None] = {}
        again: dict[str, Again] = {}
        signed: list[Basis] = []
        elsewhere: list[Basis] = []
        for key, k in numbers.items():
            if k in later:
                continue
            if k in waiting:
                before, basis, spoken = self._caught_up(db, bases[k], waiting[k], brought.get(key, {}))
                again[key] = before
            else:
                read = reader_of(key, self._own_peer_id, lambda cid: now, self._is_own_value)
                basis, spoken = judged(db, self._history, bases[k], brought.get(key, {}), read)
                if spoken is None and key not in changes.winners and key not in withdrawn:
                    continue  # versions that count for nothing
            if spoken is not None:
                signed.append(basis)
            basis = basis.withdrawn_by(withdrawn.get(key))
            difference = basis.decision.difference
            if basis.shown is None:
                made[k] = None
            elif spoken is not None and difference is not Difference.REPLACED:
                made[k] = differing(project_spoken(key, spoken, files), difference)
            else:
                elsewhere.append(basis)
        write_signed(db, signed)
        made.update(self._read(db, elsewhere))
        outcomes, texts, queued = write_rows(db, made, now, self._limits, written.first_new)
        after = {key: _content(made[numbers[key]]) for key in again}
        return Followed(
            {key: outcomes[k] for key, k in numbers.items() if k in outcomes},
            len(later) + queued,
            texts,
            {key: each._replace(after=after[key]) for key, each in again.items()},
        )

    def _caught_up(
        self, db: sqlite3.Connection, basis: Basis, portion: Portion, brought: Mapping[Location, Winner]
    ) -> tuple[Again, Basis, Spoken | None]:
        """A key that was queued: what people knew of it before this merge, what is known now, and the newest verified
        version where that is among those that were not looked at."""
        read = reader_of(basis.key, self._own_peer_id, portion.applied.__getitem__, self._is_own_value)
        old = {location: each for location, each in portion.versions.items() if location not in brought}
        new = {location: each for location, each in portion.versions.items() if location in brought}
        basis, spoken = judged(db, self._history, basis, old, read)
        before = Again(False, None, None)
        if basis.decision.source is Source.SIGNED:
            winner = spoken.winner if spoken is not None else next(versions_of(db, self._history, [basis])).winner
            before = Again(True, winner, None)
        elif basis.withdrawn is not None:
            before = Again(True, None, None)
        basis, newer = judged(db, self._history, basis, new, read)
        return before, basis, newer or spoken

    def _read(self, db: sqlite3.Connection, bases: Collection[Basis]) -> dict[int, Projected | str | None]:
        """The rows of keys that show a version which is not at hand."""
        made: dict[int, Projected | str | None] = {}
        versions = list(versions_of(db, self._history, bases))
        found = origins(db, self._history, {each.n for each in versions if not each.signed})
        for version in versions:
            known = Provenance.VERIFIED if version.signed else None
            row = project(
                version.key,
                version.winner,
                version.at / 1000,
                self._own_peer_id,
                lambda cid: stored_file(db, cid),
                known,
            )
            row = brought_by(row, found[version.n].via if version.n in found else "")
            made[version.k] = differing(row, version.difference)
        return made

    def _waiting(
        self, db: sqlite3.Connection, bases: Collection[Basis], brought: Versions
    ) -> tuple[dict[int, Portion], set[int]]:
        """Of the keys that are queued those with few versions, with these, and those that stay in the queue."""
        found: dict[int, Portion] = {}
        later: dict[int, int] = {}
        for basis in bases:
            if basis.since is None:
                continue
            # All may have been looked at but what has just come, perhaps a slice of an old block.
            since = min([basis.since, *(location.n for location in brought.get(basis.key, ()))])
            if has_few(db, basis.k, since, FEW):
                portion = portions(db, self._history, [Unseen(basis.k, basis.key, since)], FEW, FEW_BYTES)[basis.k]
                if portion.complete:
                    found[basis.k] = portion
                    continue
            later[basis.k] = since
        queue.add_at_top(db, later)
        return found, set(later)


def _files(db: sqlite3.Connection) -> Callable[[bytes], bytes | None]:
    return lambda cid: stored_file(db, cid)


def _content(made: Projected | str | None) -> int | None:
    return made.content if isinstance(made, Projected) else None


def _withdrawal(key: str) -> str:
    """The key of the withdrawal of the listing with this key."""
    return keys.of_withdrawal(keys.agent_id(key) or "")


def _numbers(
    db: sqlite3.Connection, written: Mapping[str, int], brought: Versions
) -> tuple[dict[str, int], dict[str, int]]:
    """The numbers of the listings' keys that a merge touched, and the timestamps of its verified withdrawals by the
    listings' keys."""
    numbers: dict[str, int] = {}
    withdrawn: dict[str, int] = {}
    for key, versions in brought.items():
        listing_id = keys.withdrawn_id(key)
        if listing_id is None:
            numbers[key] = written[key]
            continue
        at = newest_withdrawal(key, [winner.value for winner in versions.values()])
        if at is not None:
            withdrawn[keys.of_agent(listing_id)] = at
    others = [key for key in withdrawn if key not in numbers]
    if others:
        numbers.update((key, k) for key, (k, _) in key_numbers(db, others).items())
    return numbers, withdrawn
