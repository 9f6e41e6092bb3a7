"""Which peer to ask for which block, and when to ask the next one: the client's half of Bitswap, without I/O.

Theory of operation. A want is at any time in one of two states. Either it counts on a *provider*, a peer that was asked
for the block itself (the peer that announced it, if known), until that one sends the block or a DONT_HAVE, goes away,
or stalls. Or it *searches*: every other peer was asked whether it has the block, the first HAVE makes its sender the
provider at once, and if none comes all peers are asked again after a growing pause, for as long as the block is wanted.
A stalled peer's request is not cancelled: a late block is as good as any. But no other request waits for it: a peer may
never answer for an entry that it does not keep, and one that speaks an old version has no DONT_HAVE.

Facts come in through methods that take `now` (seconds of any clock that does not go back); the entries to send are
fetched with `take(peer)` for the peers in `dirty()`. Each peer has at most `per_peer` unanswered entries, the rest
waits: first the blocks that the peer itself announced, then those that it may have. The latter use at most half of
`per_peer`: an invented CID is asked of every peer for as long as it is wanted, and a peer that does not answer for it
would otherwise be asked for nothing it has announced. Nothing here verifies blocks or knows of streams."""

import heapq
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count, islice

from betar_tui.p2p.bitswap.messages import WantlistEntry

MAX_PER_PEER = 512
"""Maximum unanswered entries of one peer."""
STALLS_ALLOWED = 15
"""Seconds, in multiples of the stall time, that a provider may take for a block while it delivers others."""
MAX_DONE = 8192
"""Maximum CIDs that are remembered after they were wanted."""
MAX_SETS = 1024
"""Maximum different sets of peers that wants share."""

_NOBODY: frozenset[str] = frozenset()
"""The one empty set: each other takes 216 bytes."""


@dataclass(slots=True)
class _Want:
    cid: bytes
    first: str | None  # the peer to ask first
    provider: str | None = None
    deadline: float = 0.0
    patience: float = 0.0
    searching: bool = False
    rounds: int = 0
    # Of thousands of wants most have none of these, which is to cost nothing.
    haves: tuple[str, ...] = ()
    failed: frozenset[str] = _NOBODY  # answered DONT_HAVE, or stalled, in this round
    sent_to: frozenset[str] = _NOBODY  # peers to which a cancel is due

    def forget_have(self, peer: str) -> None:
        if peer in self.haves:
            self.haves = tuple(each for each in self.haves if each != peer)


@dataclass(slots=True)
class _Peer:
    presences: bool  # speaks 1.2.0, which has HAVE and DONT_HAVE
    announced: dict[bytes, None] = field(default_factory=dict)  # to send: blocks that it announced, or has by a HAVE
    guesses: dict[bytes, None] = field(default_factory=dict)  # to send: blocks that it may have
    unanswered: dict[bytes, bool] = field(default_factory=dict)  # sent: CID -> whether it was a guess
    cancels: dict[bytes, None] = field(default_factory=dict)
    progress: float = float("-inf")

    @property
    def waiting(self) -> bool:
        """Whether entries wait for room."""
        return bool(self.announced or self.guesses)

    def put(self, cid: bytes, guess: bool) -> None:
        """Queue an entry, in place of one that was sent or is queued."""
        self.drop(cid)
        (self.guesses if guess else self.announced)[cid] = None

    def drop(self, cid: bytes) -> bool:
        """Forget an entry that was sent or is queued. Returns whether it was unanswered."""
        self.announced.pop(cid, None)
        self.guesses.pop(cid, None)
        return self.unanswered.pop(cid, None) is not None


class Wants:
    """The blocks that are wanted, and the entries that each peer was sent."""

    def __init__(self, stall: float, retry_min: float, retry_max: float, per_peer: int = MAX_PER_PEER) -> None:
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
        self._sets: dict[frozenset[str], frozenset[str]] = {}  # thousands of wants are sent to the same few peers

    def __len__(self) -> int:
        return len(self._wants)

    def __contains__(self, cid: bytes) -> bool:
        return cid in self._wants

    # Wants

    def want(self, cids: Iterable[bytes], first: str | None, now: float) -> None:
        """Want blocks; `first` is the peer to ask first, connected or not. A CID already wanted gains the hint only."""
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
                    self._assign(known, first, now)

    def cancel(self, cids: Iterable[bytes]) -> None:
        """Do not want these blocks any more."""
        for cid in cids:
            self._finish(cid, None)

    def was_wanted(self, cid: bytes) -> bool:
        """Whether the CID was wanted until lately: its block may still be on the way, which is not a misbehaviour."""
        return cid in self._done

    # Peers

    def peer_up(self, peer: str, presences: bool, now: float) -> None:
        """A peer that speaks Bitswap is connected: searching wants are asked of it at once."""
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
        """A peer is gone: other peers are asked for the blocks it was to provide."""
        if self._peers.pop(peer, None) is None:
            return
        self._dirty.pop(peer, None)
        self._sets.clear()
        if self._favourite == peer:
            self._favourite = None
        for want in self._wants.values():
            want.sent_to, want.failed = self._without(want.sent_to, peer), self._without(want.failed, peer)
            want.forget_have(peer)
            if want.provider == peer:
                self._search(want, now)

    def have(self, peer: str, cid: bytes, now: float) -> None:
        """A peer sent a HAVE: without a provider it is asked for the block at once."""
        want = self._answered(peer, cid, now)
        if want is None or want.provider == peer:
            return
        if peer not in want.haves:
            want.haves += (peer,)
        if want.provider is None:
            self._assign(want, peer, now)

    def dont_have(self, peer: str, cid: bytes, now: float) -> None:
        """A peer sent a DONT_HAVE."""
        want = self._answered(peer, cid, now)
        if want is None:
            return
        want.failed = self._with(want.failed, peer)
        want.forget_have(peer)
        if want.provider == peer:
            self._search(want, now)

    def received(self, peer: str, cid: bytes, now: float) -> bool:
        """The verified block of `cid` came from `peer`. Returns whether it was wanted, which it is not any more."""
        self._answered(peer, cid, now)
        if (state := self._peers.get(peer)) is not None:
            self._favourite = peer
            state.cancels.pop(cid, None)  # sending the block has settled the entry there
        return self._finish(cid, peer)

    def resend(self, peer: str) -> None:
        """The stream to `peer` broke: queue its unanswered entries again."""
        state = self._peers.get(peer)
        if state is None:
            return
        lost, state.unanswered = state.unanswered, {}
        state.announced = dict.fromkeys((*(cid for cid, guess in lost.items() if not guess), *state.announced))
        state.guesses = dict.fromkeys((*(cid for cid, guess in lost.items() if guess), *state.guesses))
        if state.waiting:
            self._dirty[peer] = None

    # Time

    def next_deadline(self) -> float:
        """When `tick` must be called next; infinity when never."""
        while self._timers:
            if self._is_due(*self._timers[0]):
                return self._timers[0][0]
            heapq.heappop(self._timers)
        return float("inf")

    def tick(self, now: float) -> None:
        """Act on every deadline that has passed."""
        while self.next_deadline() <= now:
            _, _, cid = heapq.heappop(self._timers)
            want = self._wants[cid]
            if want.provider is None:
                want.rounds += 1
                want.failed, want.haves = _NOBODY, ()
                want.searching = False
                self._begin(want, now)
                continue
            progress = self._peers[want.provider].progress
            if progress + self._stall > now and now < want.patience:
                self._set_deadline(want, progress + self._stall)
            else:
                want.failed = self._with(want.failed, want.provider)
                self._expect_no_more(want.provider, cid)
                self._search(want, now)

    # Sending

    def dirty(self) -> tuple[str, ...]:
        """Peers for which `take` has entries; clears the list."""
        peers = tuple(self._dirty)
        self._dirty.clear()
        return peers

    def take(self, peer: str) -> list[WantlistEntry]:
        """The entries to send to `peer` now, cancels first."""
        state = self._peers.get(peer)
        if state is None:
            return []
        entries = [WantlistEntry(cid, cancel=True) for cid in state.cancels]
        state.cancels.clear()
        entries += self._send(peer, state.announced, self._per_peer, guess=False)
        unanswered = sum(state.unanswered.values()) if state.guesses else 0
        return entries + self._send(peer, state.guesses, self._per_peer // 2 - unanswered, guess=True)

    # Internals

    def _send(self, peer: str, waiting: dict[bytes, None], share: int, guess: bool) -> list[WantlistEntry]:
        """The next waiting entries, at most `share` and as long as there is room."""
        state = self._peers[peer]
        entries = []
        for cid in list(islice(waiting, max(0, min(share, self._per_peer - len(state.unanswered))))):
            del waiting[cid]
            state.unanswered[cid] = guess
            want = self._wants[cid]
            want.sent_to = self._with(want.sent_to, peer)
            have = state.presences and peer not in (want.provider, want.first)
            entries.append(WantlistEntry(cid, have=have, send_dont_have=True))
        return entries

    def _begin(self, want: _Want, now: float) -> None:
        """Choose the first peer to ask: the announcer, the only peer, or the one that delivered last; else search."""
        for peer in (want.first, self._favourite, next(iter(self._peers)) if len(self._peers) == 1 else None):
            if peer is not None and peer in self._peers:
                self._assign(want, peer, now)
                return
        self._search(want, now)

    def _assign(self, want: _Want, peer: str, now: float) -> None:
        want.provider = peer
        guess = peer != want.first and peer not in want.haves
        want.forget_have(peer)
        want.patience = now + STALLS_ALLOWED * self._stall
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
        """Queue an entry: for the block to provider and announcer, else for a HAVE where the peer speaks 1.2.0."""
        state = self._peers[peer]
        if want.cid in state.cancels:  # wanted again before the cancel was sent: the peer still has the old entry
            del state.cancels[want.cid]
            want.sent_to = self._with(want.sent_to, peer)
        state.put(want.cid, guess)
        self._dirty[peer] = None

    def _answered(self, peer: str, cid: bytes, now: float) -> _Want | None:
        """Note an answer. Returns its want; None also for a peer that answers before it is identified."""
        state = self._peers.get(peer)
        if state is None:
            return None
        state.progress = now
        if state.unanswered.pop(cid, None) is not None and state.waiting:
            self._dirty[peer] = None
        return self._wants.get(cid)

    def _expect_no_more(self, peer: str, cid: bytes) -> None:
        """Do not wait for an answer any more, so that another entry can be sent.

        An entry that was not even sent loses its precedence over guesses."""
        state = self._peers[peer]
        if cid in state.announced:
            state.put(cid, guess=True)
        if state.unanswered.pop(cid, None) is not None and state.waiting:
            self._dirty[peer] = None

    def _finish(self, cid: bytes, by: str | None) -> bool:
        want = self._wants.pop(cid, None)
        if want is None:
            return False
        self._done[cid] = None
        while len(self._done) > MAX_DONE:
            self._done.popitem(last=False)
        for peer, state in self._peers.items():
            expected = state.drop(cid)
            if peer in want.sent_to and peer != by:
                state.cancels[cid] = None
            if state.cancels or (expected and state.waiting):
                self._dirty[peer] = None
        return True

    def _with(self, peers: frozenset[str], peer: str) -> frozenset[str]:
        return peers if peer in peers else self._shared(peers | {peer})

    def _without(self, peers: frozenset[str], peer: str) -> frozenset[str]:
        return self._shared(peers - {peer}) if peer in peers else peers

    def _shared(self, peers: frozenset[str]) -> frozenset[str]:
        if not peers:
            return _NOBODY
        if len(self._sets) >= MAX_SETS:
            self._sets.clear()
        return self._sets.setdefault(peers, peers)

    def _is_due(self, when: float, serial: int, cid: bytes) -> bool:
        want = self._wants.get(cid)
        return want is not None and want.deadline == when

    def _set_deadline(self, want: _Want, when: float) -> None:
        want.deadline = when
        if len(self._timers) > 2 * len(self._wants) + MAX_PER_PEER:
            # Those of blocks that are not wanted any more would stay until their time has come.
            self._timers = [timer for timer in self._timers if self._is_due(*timer)]
            heapq.heapify(self._timers)
        heapq.heappush(self._timers, (when, next(self._serial), want.cid))
