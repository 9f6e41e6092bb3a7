"""What peers want of us, and what they get: the server's half of Bitswap, without I/O.

Each peer has a ledger: the entries of its wantlist that we could not answer with a block yet (at most `MAX_WANTS`),
and those to be looked up next. What exceeds a full ledger is looked up and answered once and not kept, or the peer would
wait for an answer; only as much again may await that, the rest is dropped. The engine takes a batch of look-ups, reads
the blocks, and gives them back to `answer`, which says what to send. A block that arrives later is looked up again for
everybody who still wants it. As in boxo: a block settles its entry, a HAVE settles an entry that only asked for one,
and a small block is sent instead of a HAVE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from betar_tui.ipld.cid import MAX_BLOCK, is_supported
from betar_tui.p2p.bitswap.messages import Block, Entry, Presence, block_for

MAX_WANTS = 4096
SMALL_BLOCK = 1024


@dataclass(slots=True)
class _Ledger:
    wants: dict[bytes, Entry] = field(default_factory=dict)
    excess: dict[bytes, Entry] = field(default_factory=dict)  # looked up once, and not kept
    lookups: dict[bytes, bool] = field(default_factory=dict)  # CID -> say so when we have not got it


class Ledgers:
    """The wantlists of all peers; see the module."""

    def __init__(self, max_wants: int = MAX_WANTS) -> None:
        self._max_wants = max_wants
        self._ledgers: dict[str, _Ledger] = {}
        self._waiting: dict[bytes, set[str]] = {}

    def receive(self, peer: str, entries: Sequence[Entry], full: bool) -> bool:
        """Take in (part of) a peer's wantlist; `full` replaces what it wanted before. Whether it must be looked
        at."""
        ledger = self._ledgers.setdefault(peer, _Ledger())
        if full:
            for cid in (*ledger.wants, *ledger.excess):
                self._drop(peer, ledger, cid)
        for entry in entries:
            if entry.cancel:
                self._drop(peer, ledger, entry.cid)
            elif entry.cid in ledger.wants or len(ledger.wants) < self._max_wants:
                ledger.excess.pop(entry.cid, None)
                ledger.wants[entry.cid] = entry
                ledger.lookups[entry.cid] = entry.send_dont_have
                self._waiting.setdefault(entry.cid, set()).add(peer)
            elif entry.cid in ledger.excess or len(ledger.excess) < self._max_wants:
                ledger.excess[entry.cid] = entry
                ledger.lookups[entry.cid] = entry.send_dont_have
        return bool(ledger.lookups)

    def arrived(self, cid: bytes) -> tuple[str, ...]:
        """The block of `cid` is held from now on. The peers that want it, for each of which it will be looked up."""
        peers = tuple(self._waiting.get(cid, ()))
        for peer in peers:
            self._ledgers[peer].lookups.setdefault(cid, False)
        return peers

    def take_lookups(self, peer: str, size: int) -> dict[bytes, bool]:
        """At most `size` CIDs to look up for `peer`, in the order it asked; they are its lookups no longer."""
        ledger = self._ledgers.get(peer)
        if ledger is None:
            return {}
        batch = {cid: ledger.lookups[cid] for cid in list(ledger.lookups)[:size]}
        for cid in batch:
            del ledger.lookups[cid]
        return batch

    def answer(
        self, peer: str, asked: Mapping[bytes, bool], held: Mapping[bytes, bytes]
    ) -> tuple[list[Block], list[Presence]]:
        """What to send to `peer` for the look-ups `asked`, of which `held` are the blocks we have."""
        blocks: list[Block] = []
        presences: list[Presence] = []
        ledger = self._ledgers.get(peer)
        if ledger is None:
            return blocks, presences
        for cid, say_no in asked.items():
            entry = ledger.excess.pop(cid, None) or ledger.wants.get(cid)
            if entry is None:
                continue
            data = held.get(cid)
            if data is None or len(data) > MAX_BLOCK or not is_supported(cid):
                if say_no:
                    presences.append(Presence(cid, have=False))
                continue
            if entry.have and len(data) > SMALL_BLOCK:
                presences.append(Presence(cid, have=True))
            else:
                blocks.append(block_for(cid, data))
            self._drop(peer, ledger, cid)
        return blocks, presences

    def forget(self, peer: str) -> None:
        """A peer is gone."""
        ledger = self._ledgers.get(peer)
        if ledger is not None:
            for cid in tuple(ledger.wants):
                self._drop(peer, ledger, cid)
            del self._ledgers[peer]

    def _drop(self, peer: str, ledger: _Ledger, cid: bytes) -> None:
        ledger.wants.pop(cid, None)
        ledger.excess.pop(cid, None)
        ledger.lookups.pop(cid, None)
        peers = self._waiting.get(cid)
        if peers is not None:
            peers.discard(peer)
            if not peers:
                del self._waiting[cid]
