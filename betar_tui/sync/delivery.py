"""Who has shown that it holds what we wrote. Pure: facts in, a callback out.

A peer that announces a head holds all that is below it, so it vouches for each delta of ours that the head is or was built
on; one that we sent a block vouches for that block. Only lately written deltas are watched, and only so much of the DAG is
remembered as lies above them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from betar_tui.replica import DagNode

MAX_WATCHED = 256
MAX_REMEMBERED = 8192
MAX_LINKS = 4 * MAX_REMEMBERED
"""How many links the remembered blocks have together."""
MAX_CLAIMS = 1024
"""How many heads that were announced and are not here are remembered."""
MAX_CLAIMANTS = 64
"""How many of those that announced such a head are."""
MAX_CLAIMED = 4 * MAX_CLAIMS
"""How many of those are over all heads."""
MAX_PEERS = 1024
"""How many peers are counted for one delta: whoever signs a message is one, and keys cost nothing."""
MAX_STEPS = 4096
"""How many blocks are looked at for one broadcast, however many heads it names."""

Tell = Callable[[bytes, tuple[str, ...], int], None]


@dataclass(slots=True)
class _Watched:
    height: int
    keys: tuple[str, ...]
    peers: set[str] = field(default_factory=set)

    def lacks(self, peers: set[str]) -> bool:
        """Whether one of these is still to be counted."""
        return len(self.peers) < MAX_PEERS and not peers <= self.peers


class DeliveryTracker:
    """Watches deltas of ours. `tell(cid, keys, count)` is called when more peers vouch for a delta, with the keys that it
    put or removed."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._watched: OrderedDict[bytes, _Watched] = OrderedDict()
        self._links: OrderedDict[bytes, tuple[int, tuple[bytes, ...]]] = OrderedDict()
        self._linked = 0
        self._claims: OrderedDict[bytes, set[str]] = OrderedDict()
        self._claimed = 0

    def applied(self, nodes: Sequence[DagNode], *, ours: bool) -> None:
        """These were merged; `ours` were written here."""
        for node in nodes:
            if ours:
                keys = [span.key for span in node.delta.elements] + [key for key, _ in node.delta.tombstones]
                self._watched[node.cid] = _Watched(node.delta.priority, tuple(dict.fromkeys(keys)))
                if len(self._watched) > MAX_WATCHED:
                    self._watched.popitem(last=False)
            if self._watched:
                self._remember(node)
        claims = {node.cid: self._claims.pop(node.cid) for node in nodes if node.cid in self._claims}
        self._claimed -= sum(map(len, claims.values()))
        # Each remembered block is looked at once: nobody's claim takes the walk of another.
        self._vouch(claims, MAX_REMEMBERED)

    def announced(self, peer: str, heads: Iterable[bytes]) -> None:
        """A peer named these as its heads."""
        if not self._watched:
            return
        known = {}
        for head in heads:
            if head in self._links:
                known[head] = {peer}
            else:
                self._claim(head, peer)
        self._vouch(known, MAX_STEPS)

    def sent(self, peer: str, blocks: Iterable[bytes]) -> None:
        """A peer asked for these blocks and got them."""
        for name in blocks:
            if name in self._watched:
                self._count(name, (peer,))

    def _remember(self, node: DagNode) -> None:
        _, before = self._links.pop(node.cid, (0, ()))
        self._links[node.cid] = node.delta.priority, node.links
        self._linked += len(node.links) - len(before)
        while len(self._links) > MAX_REMEMBERED or self._linked > MAX_LINKS:
            _, (_, links) = self._links.popitem(last=False)
            self._linked -= len(links)

    def _claim(self, head: bytes, peer: str) -> None:
        claimants = self._claims.setdefault(head, set())
        if peer not in claimants and len(claimants) < MAX_CLAIMANTS:
            claimants.add(peer)
            self._claimed += 1
        while len(self._claims) > MAX_CLAIMS or self._claimed > MAX_CLAIMED:
            _, gone = self._claims.popitem(last=False)
            self._claimed -= len(gone)

    def _vouch(self, claims: Mapping[bytes, set[str]], steps: int) -> None:
        """Count the peers for every watched delta that a head of theirs is or was built on: one walk for all, from the
        highest block down, that takes with it who vouches, a bit for each."""
        if not claims:
            return
        peers: set[str] = set().union(*claims.values())
        open_heights = [each.height for each in self._watched.values() if each.lacks(peers)]
        if not open_heights:
            return
        lowest = min(open_heights)
        bits = {peer: 1 << n for n, peer in enumerate(peers)}
        who = {head: sum(bits[peer] for peer in some) for head, some in claims.items()}
        ahead = [(-self._links[head][0], head) for head in who if head in self._links]
        heapify(ahead)
        while ahead and steps > 0:
            steps -= 1
            height, name = heappop(ahead)
            if name in self._watched:
                self._count(name, (peer for peer in peers if bits[peer] & who[name]))
            for link in self._links[name][1] if -height > lowest else ():
                if link in who:
                    who[link] |= who[name]
                elif link in self._links:
                    who[link] = who[name]
                    heappush(ahead, (-self._links[link][0], link))

    def _count(self, name: bytes, peers: Iterable[str]) -> None:
        watched = self._watched[name]
        before = len(watched.peers)
        for peer in peers:
            if len(watched.peers) == MAX_PEERS:
                break
            watched.peers.add(peer)
        if len(watched.peers) > before:
            self._tell(name, watched.keys, len(watched.peers))
