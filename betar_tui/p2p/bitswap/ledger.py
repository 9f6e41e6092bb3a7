"""The wantlists of peers and the answers to them: the server's half of Bitswap, without I/O.

Each peer has a ledger: the entries of its wantlist that could not be answered with a block yet (at most `MAX_WANTS`),
and those to be looked up next. Entries beyond a full ledger are looked up and answered once and not kept, or the peer
would wait for an answer; as many again may await that, the rest is dropped. The engine takes a batch of look-ups, reads
the blocks, and passes them to `answer`, which returns the messages to send. A block that arrives later is looked up
again for every peer that still wants it. As in boxo: a block settles its entry, a HAVE settles an entry that only asked
for one, and a small block is sent instead of a HAVE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from betar_tui.ipld.cid import MAX_BLOCK, is_supported
from betar_tui.p2p.bitswap.messages import Block, Presence, WantlistEntry, block_for

MAX_WANTS = 4096
"""Maximum entries in one peer's ledger."""
SMALL_BLOCK = 1024
"""Maximum bytes of a block that is sent instead of a HAVE."""


@dataclass(slots=True)
class _Ledger:
    wants: dict[bytes, WantlistEntry] = field(default_factory=dict)
    excess: dict[bytes, WantlistEntry] = field(default_factory=dict)  # looked up once, and not kept
    lookups: dict[bytes, bool] = field(default_factory=dict)  # CID -> whether to answer DONT_HAVE


class Ledgers:
    """The wantlists of all peers."""

    def __init__(self, max_wants: int = MAX_WANTS) -> None:
        self._max_wants = max_wants
        self._ledgers: dict[str, _Ledger] = {}
        self._waiting: dict[bytes, set[str]] = {}

    def receive(self, peer: str, entries: Sequence[WantlistEntry], full: bool) -> bool:
        """Add entries to a peer's wantlist; `full` replaces the earlier ones. Returns whether there are look-ups."""
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
        """The block of `cid` is available now. Returns the peers that want it, with a look-up queued for each."""
        peers = tuple(self._waiting.get(cid, ()))
        for peer in peers:
            self._ledgers[peer].lookups.setdefault(cid, False)
        return peers

    def take_lookups(self, peer: str, size: int) -> dict[bytes, bool]:
        """Remove and return at most `size` CIDs to look up for `peer`, in the order in which it asked."""
        ledger = self._ledgers.get(peer)
        if ledger is None:
            return {}
        batch = {cid: ledger.lookups[cid] for cid in list(ledger.lookups)[:size]}
        for cid in batch:
            del ledger.lookups[cid]
        return batch

    def answer(
        self, peer: str, asked: Mapping[bytes, bool], found: Mapping[bytes, bytes | None]
    ) -> tuple[list[Block], list[Presence]]:
        """The answer to `peer` for the look-ups `asked`, with the blocks that were `found`."""
        blocks: list[Block] = []
        presences: list[Presence] = []
        ledger = self._ledgers.get(peer)
        if ledger is None:
            return blocks, presences
        for cid, send_dont_have in asked.items():
            entry = ledger.excess.pop(cid, None) or ledger.wants.get(cid)
            if entry is None:
                continue
            data = found.get(cid)
            if data is None or len(data) > MAX_BLOCK or not is_supported(cid):
                if send_dont_have:
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
