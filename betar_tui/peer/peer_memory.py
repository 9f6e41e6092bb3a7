"""The peers of earlier runs: which are dialled, which are forgotten.

Every peer that was on the topic is stored, whichever side dialled, with the addresses that it listens on, and so is one
that the user connected to. Peers that only a discovery found are not. A peer that dialled us may have invented its
addresses: such peers have fewer places, and are forgotten sooner unless a dial reaches them. Failures are counted only
while another peer is connected, and a peer must have failed often as well as been away for long: neither a machine that was
switched off for a month nor a night without a network makes it forget anybody."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import trio

from betar_tui.replica.facts import PeerRow
from betar_tui.store.database import Store

if TYPE_CHECKING:
    from betar_tui.p2p.network import Network

log = logging.getLogger(__name__)

MAX_STORED = 200
"""Maximum stored peers."""
MAX_CLAIMED = 64
"""Maximum of them that no dial has reached."""
BATCH = 16
"""Number of stored peers that are dialled at the start, and that are added at a time while too few answer."""
CLAIMED_IN_BATCH = 4
"""Number of places in a batch for peers that no dial has reached."""
ENOUGH = 6
"""Number of peers on the topic from which on no more stored ones are dialled; gossip has as many in its mesh."""
INTERVAL = 10.0
"""Seconds between two looks at the failures and at whether more peers must be dialled."""
FRESH = 600.0
"""Seconds after which a stored time is brought up to date."""
MANY_FAILURES = 20
"""Number of failures below which no peer is forgotten."""
DAY = 86_400.0
FORGET_AFTER, FORGET_CLAIMED_AFTER = 14 * DAY, 2 * DAY
"""Seconds since a peer was last seen after which it is forgotten; the same for one that no dial has reached."""


class PeerMemory:
    """The stored peers of one network session. `clock` is in Unix seconds."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._rows: dict[str, PeerRow] = {}
        self._waiting: list[PeerRow] = []

    async def load(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The peers to dial at the start, with their addresses; `run` adds more as long as too few answer."""
        rows = await trio.to_thread.run_sync(self._store.peers)
        self._rows = {row.peer_id: row for row in rows}
        self._waiting = in_order(rows)
        return tuple((row.peer_id, row.addrs) for row in self._next_batch())

    async def note(self, network: "Network", peer: str) -> None:
        """A peer is on the topic, or the user connected to it: remember it."""
        row = self._row(network, peer)
        if row is not None and row != self._rows.get(peer):
            await self._change([row])

    async def run(self, network: "Network") -> None:
        """A service: keeps the stored peers up to date, and dials more of them while too few are on the topic."""
        while True:
            await trio.sleep(INTERVAL)
            await self._change(self._changes(network), network)
            if network.audience < ENOUGH:
                for row in self._next_batch():
                    network.remember(row.peer_id, row.addrs, "remembered")

    def _next_batch(self) -> list[PeerRow]:
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        return batch

    def _row(self, network: "Network", peer: str) -> PeerRow | None:
        book = network.address_book
        addrs = book.addrs(peer)
        if not addrs:
            return None
        known = self._rows.get(peer)
        return PeerRow(peer, addrs, self._clock(), book.reached(peer) or (known is not None and known.reached))

    def _changes(self, network: "Network") -> list[PeerRow]:
        """The rows that have changed: by failures, or for members by their addresses and the time."""
        changed = {}
        for peer, failures in network.address_book.take_failures().items():
            if (row := self._rows.get(peer)) is not None:
                changed[peer] = replace(row, failures=row.failures + failures)
        for peer in network.topic_peers():
            new, old = self._row(network, peer), self._rows.get(peer)
            if new is None:
                continue
            if old is None or replace(new, last_seen=old.last_seen) != old or new.last_seen - old.last_seen > FRESH:
                changed[peer] = new
        return list(changed.values())

    async def _change(self, changed: list[PeerRow], network: "Network | None" = None) -> None:
        if not changed:
            return
        rows = {**self._rows, **{row.peer_id: row for row in changed}}
        kept = worth_keeping(rows, self._clock())
        forgotten = rows.keys() - kept.keys()
        for peer in forgotten:
            log.info("%s is forgotten", peer)
            if network is not None:
                network.address_book.forget(peer)
        self._rows = kept
        stored = [row for row in changed if row.peer_id in kept]
        await trio.to_thread.run_sync(self._store.change_peers, stored, forgotten)


def in_order(rows: Iterable[PeerRow]) -> list[PeerRow]:
    """Rows in the order to dial them: those that failed least, and of them those seen last, come first.

    Of each batch, a few places are for peers that were never reached: anybody can get remembered by dialling us, and must
    not keep the others away."""
    ranked = sorted(rows, key=lambda row: (row.failures, -row.last_seen))
    reached = [row for row in ranked if row.reached]
    claimed = [row for row in ranked if not row.reached]
    size = BATCH - CLAIMED_IN_BATCH
    batches = max(-(-len(reached) // size), -(-len(claimed) // CLAIMED_IN_BATCH))
    return list(
        chain.from_iterable(
            reached[n * size : (n + 1) * size] + claimed[n * CLAIMED_IN_BATCH : (n + 1) * CLAIMED_IN_BATCH]
            for n in range(batches)
        )
    )


def is_useless(row: PeerRow, now: float) -> bool:
    """Whether a peer has failed often and been away for long."""
    return row.failures >= MANY_FAILURES and now - row.last_seen > (
        FORGET_AFTER if row.reached else FORGET_CLAIMED_AFTER
    )


def worth_keeping(rows: Mapping[str, PeerRow], now: float) -> dict[str, PeerRow]:
    """The rows without the useless ones, and of the others those that there are places for, the last seen first."""
    useful = sorted((row for row in rows.values() if not is_useless(row, now)), key=lambda row: -row.last_seen)
    claimed = [row for row in useful if not row.reached][:MAX_CLAIMED]
    reached = [row for row in useful if row.reached][: MAX_STORED - len(claimed)]
    return {row.peer_id: row for row in (*reached, *claimed)}
