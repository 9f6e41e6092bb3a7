"""An iterative lookup: whom to ask next for what is close to a key. Pure; `client` does the asking.

Distance is the XOR of sha2-256 hashes, of the key and of a peer's binary id. A lookup asks the nearest known peers,
several at a time, hears of nearer ones from them, and ends when the nearest `K` that can be reached have answered. What
it hears may be invented: the number of questions has a bound, and so has what one answer may add."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from betar_tui.p2p.dht.messages import binary_id

K = 20
"""Number of peers that keep a record: the size of a bucket in the IPFS network."""
ALPHA = 6
"""Maximum questions at a time."""
MAX_QUERIES = 64
"""Maximum questions of a lookup, failed ones included."""
MAX_CANDIDATES = 256
"""Maximum peers known to a lookup; the farthest are forgotten."""
MAX_HEARD = K
"""Maximum peers that one answer may add."""


def position(key: bytes) -> int:
    """The place of a key, or of a binary peer id, in the space of distances."""
    return int.from_bytes(sha256(key).digest())


def peer_position(peer: str) -> int:
    """The place of a peer."""
    return position(binary_id(peer))


class _State(Enum):
    HEARD = 1
    ASKED = 2
    ANSWERED = 3
    FAILED = 4


@dataclass(slots=True)
class _Candidate:
    distance: int
    addrs: tuple[str, ...]
    state: _State = _State.HEARD


class Lookup:
    """One lookup of `target`, a binary key, that starts from `seeds`: pairs of peer and dialable addresses.

    `own` is this peer, which is never asked."""

    def __init__(self, target: bytes, own: str, seeds: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        self._target = position(target)
        self._own = own
        self._candidates: dict[str, _Candidate] = {}
        self._asked = 0
        self._waiting = 0
        for peer, addrs in seeds:
            self._add(peer, addrs)
        self._forget_farthest()

    def next(self) -> tuple[str, tuple[str, ...]] | None:
        """The peer to ask now and its addresses, which is then waited for; None while there is none."""
        if self._waiting >= ALPHA or self._asked >= MAX_QUERIES:
            return None
        for peer, candidate in self._nearest():
            if candidate.state is _State.HEARD:
                candidate.state = _State.ASKED
                self._asked += 1
                self._waiting += 1
                return peer, candidate.addrs
        return None

    def answered(self, peer: str, closer: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        """A peer that was asked has answered with peers that are closer."""
        self._settle(peer, _State.ANSWERED)
        for count, (other, addrs) in enumerate(closer):
            if count == MAX_HEARD:
                break
            self._add(other, addrs)
        self._forget_farthest()

    def failed(self, peer: str) -> None:
        """A peer that was asked cannot be reached or gave no answer."""
        self._settle(peer, _State.FAILED)

    @property
    def done(self) -> bool:
        """Whether nobody is waited for and nobody is left to ask."""
        if self._waiting:
            return False
        return self._asked >= MAX_QUERIES or all(each.state is _State.ANSWERED for _, each in self._nearest())

    def closest(self) -> tuple[str, ...]:
        """The nearest peers that answered, at most `K`, nearest first."""
        answered = [(each.distance, peer) for peer, each in self._candidates.items() if each.state is _State.ANSWERED]
        return tuple(peer for _, peer in sorted(answered)[:K])

    @property
    def asked(self) -> int:
        """Number of questions so far."""
        return self._asked

    def _nearest(self) -> list[tuple[str, _Candidate]]:
        """The nearest `K` that have not failed."""
        alive = [(peer, each) for peer, each in self._candidates.items() if each.state is not _State.FAILED]
        return sorted(alive, key=lambda pair: pair[1].distance)[:K]

    def _settle(self, peer: str, state: _State) -> None:
        candidate = self._candidates.get(peer)
        if candidate is not None and candidate.state is _State.ASKED:
            candidate.state = state
            self._waiting -= 1

    def _add(self, peer: str, addrs: tuple[str, ...]) -> None:
        if peer != self._own and peer not in self._candidates:
            self._candidates[peer] = _Candidate(peer_position(peer) ^ self._target, addrs)

    def _forget_farthest(self) -> None:
        """Peers that were asked stay: forgotten, they would be asked again."""
        if len(self._candidates) <= MAX_CANDIDATES:
            return
        heard = [(each.distance, peer) for peer, each in self._candidates.items() if each.state is _State.HEARD]
        for _, peer in sorted(heard)[MAX_CANDIDATES - len(self._candidates) :]:
            del self._candidates[peer]
