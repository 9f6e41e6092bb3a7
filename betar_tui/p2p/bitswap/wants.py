"""Which peer is asked for which block, and when the next one is: the client's half of Bitswap, without I/O.

Theory of operation. A want is at any time in one of two states. Either it counts on a *provider*, a peer that was
asked for the block itself (the peer that announced it, if known), until that one answers, says it has not got it,
goes away, or stalls. Or it *searches*: every other peer was asked whether it has the block, the first to say so
becomes the provider at once, and if nobody does all are asked again after a growing pause, for as long as the block
is wanted. A stalled peer's request is left standing: a late block is as good as any; but it keeps no other waiting, for
a peer may never answer what it will not keep, and one that speaks an old version says only what it has.

Facts come in through methods that take `now` (seconds of any clock that does not go back); what must be sent is
fetched with `take(peer)` for the peers named by `dirty()`. Each peer has at most `per_peer` entries that an answer is
still expected to, the rest waits: first the blocks that the peer itself spoke of, then those that it may have. The latter
take up to half of the places: an invented CID is wanted of everybody for as long as it is wanted, and who does not answer
such would else be asked for nothing it has announced. Nothing here verifies blocks, and nothing here knows of streams.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count, islice

from betar_tui.p2p.bitswap.messages import Entry

PER_PEER = 512
PATIENCE = 15  # a provider that delivers other blocks meanwhile may take this many stall times for one of them
REMEMBERED = 8192


@dataclass(slots=True)
class _Want:
    cid: bytes
    first: str | None  # the peer to ask first
    provider: str | None = None
    deadline: float = 0.0
    patience: float = 0.0
    searching: bool = False
    rounds: int = 0
    haves: dict[str, None] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)  # said no, or stalled, in this round
    told: set[str] = field(default_factory=set)  # have our entry in their wantlist: a cancel is due


@dataclass(slots=True)
class _Peer:
    presences: bool  # speaks 1.2.0: may be asked whether it has a block, and says when it has not
    spoken: dict[bytes, None] = field(default_factory=dict)  # to send: what it announced or says it has
    guesses: dict[bytes, None] = field(default_factory=dict)  # to send: what it may have
    open: dict[bytes, bool] = field(default_factory=dict)  # sent and unanswered: CID -> whether it was a guess
    cancels: dict[bytes, None] = field(default_factory=dict)
    progress: float = float("-inf")

    @property
    def waiting(self) -> bool:
        """Whether there is something to send once there is room."""
        return bool(self.spoken or self.guesses)

    def put(self, cid: bytes, guess: bool) -> None:
        """Have this sent, in place of what was sent about it or is to be."""
        self.drop(cid)
        (self.guesses if guess else self.spoken)[cid] = None

    def drop(self, cid: bytes) -> bool:
        """Forget what was sent about it or is to be; whether an answer was expected."""
        self.spoken.pop(cid, None)
        self.guesses.pop(cid, None)
        return self.open.pop(cid, None) is not None


class Wants:
    """The blocks that are wanted and what was asked of whom; see the module."""

    def __init__(self, stall: float, retry_min: float, retry_max: float, per_peer: int = PER_PEER) -> None:
        self._stall = stall
        self._retry_min = retry_min
        self._retry_max = retry_max
        self._per_peer = per_peer
        self._wants: dict[bytes, _Want] = {}
        self._peers: dict[str, _Peer] = {}
        self._dirty: dict[str, None] = {}
        self._timers: list[tuple[float, int, bytes]] = []
        self._serial = count()
        self._favourite: str | None = None  # the last peer that delivered a block
        self._done: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wants)

    def __contains__(self, cid: bytes) -> bool:
        return cid in self._wants

    # What the caller wants

    def want(self, cids: Iterable[bytes], first: str | None, now: float) -> None:
        """Want blocks; `first` is the peer to ask first, whether it is connected yet or not. A CID that is wanted
        already only gains the hint."""
        for cid in cids:
            known = self._wants.get(cid)
            if known is None:
                want = self._wants[cid] = _Want(cid, first)
                self._done.pop(cid, None)
                self._begin(want, now)
                continue
            if first is not None and first != known.first:
                known.first = first
                if known.provider is None and first in self._peers:
                    known.failed.discard(first)
                    self._assign(known, first, now)

    def cancel(self, cids: Iterable[bytes]) -> None:
        """Want these blocks no longer."""
        for cid in cids:
            self._finish(cid, None)

    def was_wanted(self, cid: bytes) -> bool:
        """Whether the CID was wanted until lately: its block may still be on the way, and is nobody's fault."""
        return cid in self._done

    # What peers do

    def peer_up(self, peer: str, presences: bool, now: float) -> None:
        """A peer that speaks Bitswap is connected; searching wants are asked of it at once."""
        if peer in self._peers:
            return
        self._peers[peer] = _Peer(presences)
        for want in self._wants.values():
            if want.provider is None:
                if want.first == peer or len(self._peers) == 1:
                    self._assign(want, peer, now)
                else:
                    self._ask(want, peer, guess=True)

    def peer_down(self, peer: str, now: float) -> None:
        """A peer is gone; what was counted on it goes to others."""
        if self._peers.pop(peer, None) is None:
            return
        self._dirty.pop(peer, None)
        if self._favourite == peer:
            self._favourite = None
        for want in self._wants.values():
            want.told.discard(peer)
            want.failed.discard(peer)
            want.haves.pop(peer, None)
            if want.provider == peer:
                self._search(want, now)

    def have(self, peer: str, cid: bytes, now: float) -> None:
        """A peer says it has the block: without a provider it is asked for it at once."""
        want = self._answered(peer, cid, now)
        if want is None or want.provider == peer:
            return
        want.failed.discard(peer)
        want.haves[peer] = None
        if want.provider is None:
            self._assign(want, peer, now)

    def dont_have(self, peer: str, cid: bytes, now: float) -> None:
        """A peer says it has not got the block."""
        want = self._answered(peer, cid, now)
        if want is None:
            return
        want.failed.add(peer)
        want.haves.pop(peer, None)
        if want.provider == peer:
            self._search(want, now)

    def received(self, peer: str, cid: bytes, now: float) -> bool:
        """The verified block of `cid` came from `peer`. Whether it was wanted; if so it is now done."""
        self._answered(peer, cid, now)
        if (state := self._peers.get(peer)) is not None:
            self._favourite = peer
            state.cancels.pop(cid, None)  # sending it has settled the entry at its end
        return self._finish(cid, peer)

    def resend(self, peer: str) -> None:
        """What was sent to `peer` may be lost (its stream broke): queue what it has not answered again."""
        state = self._peers.get(peer)
        if state is None:
            return
        lost, state.open = state.open, {}
        state.spoken = dict.fromkeys((*(cid for cid, guess in lost.items() if not guess), *state.spoken))
        state.guesses = dict.fromkeys((*(cid for cid, guess in lost.items() if guess), *state.guesses))
        if state.waiting:
            self._dirty[peer] = None

    # Time

    def next_deadline(self) -> float:
        """When `tick` has something to do next; infinity when never."""
        while self._timers:
            when, _, cid = self._timers[0]
            want = self._wants.get(cid)
            if want is not None and want.deadline == when:
                return when
            heapq.heappop(self._timers)
        return float("inf")

    def tick(self, now: float) -> None:
        """Act on every deadline that has passed."""
        while self.next_deadline() <= now:
            _, _, cid = heapq.heappop(self._timers)
            want = self._wants[cid]
            if want.provider is None:
                want.rounds += 1
                want.failed.clear()
                want.haves.clear()
                want.searching = False
                self._begin(want, now)
                continue
            progress = self._peers[want.provider].progress
            if progress + self._stall > now and now < want.patience:
                self._set_deadline(want, progress + self._stall)
            else:
                want.failed.add(want.provider)
                self._expect_no_more(want.provider, cid)
                self._search(want, now)

    # What to send

    def dirty(self) -> tuple[str, ...]:
        """Peers for which `take` has something; clears the list."""
        peers = tuple(self._dirty)
        self._dirty.clear()
        return peers

    def take(self, peer: str) -> list[Entry]:
        """The entries to send to `peer` now, cancels first."""
        state = self._peers.get(peer)
        if state is None:
            return []
        entries = [Entry(cid, cancel=True) for cid in state.cancels]
        state.cancels.clear()
        entries += self._send(peer, state.spoken, self._per_peer, guess=False)
        unanswered = sum(state.open.values()) if state.guesses else 0
        return entries + self._send(peer, state.guesses, self._per_peer // 2 - unanswered, guess=True)

    # Inside

    def _send(self, peer: str, waiting: dict[bytes, None], share: int, guess: bool) -> list[Entry]:
        """The next of what waits, at most `share` and as long as there is room."""
        state = self._peers[peer]
        entries = []
        for cid in list(islice(waiting, max(0, min(share, self._per_peer - len(state.open))))):
            del waiting[cid]
            state.open[cid] = guess
            want = self._wants[cid]
            want.told.add(peer)
            have = state.presences and peer not in (want.provider, want.first)
            entries.append(Entry(cid, have=have, send_dont_have=True))
        return entries

    def _begin(self, want: _Want, now: float) -> None:
        """Choose whom to ask first: the announcer, the only peer, or the one that delivered last; else search."""
        for peer in (want.first, self._favourite, next(iter(self._peers)) if len(self._peers) == 1 else None):
            if peer is not None and peer in self._peers:
                self._assign(want, peer, now)
                return
        self._search(want, now)

    def _assign(self, want: _Want, peer: str, now: float) -> None:
        want.provider = peer
        guess = peer != want.first and peer not in want.haves
        want.haves.pop(peer, None)
        want.patience = now + PATIENCE * self._stall
        self._ask(want, peer, guess)
        self._set_deadline(want, now + self._stall)

    def _search(self, want: _Want, now: float) -> None:
        want.provider = None
        for peer in want.haves:
            self._assign(want, peer, now)
            return
        if not want.searching:
            want.searching = True
            for peer in self._peers:
                if peer not in want.failed:
                    self._ask(want, peer, guess=True)
        pause = min(self._retry_max, self._retry_min * 2.0 ** min(want.rounds, 30))
        self._set_deadline(want, now + pause)

    def _ask(self, want: _Want, peer: str, guess: bool) -> None:
        """Have a peer asked: provider and announcer for the block, others whether they have it, where they can say so."""
        state = self._peers[peer]
        if want.cid in state.cancels:  # wanted again before the cancel went out: the peer still has the old entry
            del state.cancels[want.cid]
            want.told.add(peer)
        state.put(want.cid, guess)
        self._dirty[peer] = None

    def _answered(self, peer: str, cid: bytes, now: float) -> _Want | None:
        """Note an answer; the want it is about. A peer may speak before it has said what it speaks: None."""
        state = self._peers.get(peer)
        if state is None:
            return None
        state.progress = now
        if state.open.pop(cid, None) is not None and state.waiting:
            self._dirty[peer] = None
        return self._wants.get(cid)

    def _expect_no_more(self, peer: str, cid: bytes) -> None:
        """No answer is expected any more: another entry may go out in its place. What was not even sent goes no longer
        before what this peer announces."""
        state = self._peers[peer]
        if cid in state.spoken:
            state.put(cid, guess=True)
        if state.open.pop(cid, None) is not None and state.waiting:
            self._dirty[peer] = None

    def _finish(self, cid: bytes, by: str | None) -> bool:
        want = self._wants.pop(cid, None)
        if want is None:
            return False
        self._done[cid] = None
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)
        for peer, state in self._peers.items():
            expected = state.drop(cid)
            if peer in want.told and peer != by:
                state.cancels[cid] = None
            if state.cancels or (expected and state.waiting):
                self._dirty[peer] = None
        return True

    def _set_deadline(self, want: _Want, when: float) -> None:
        want.deadline = when
        heapq.heappush(self._timers, (when, next(self._serial), want.cid))
