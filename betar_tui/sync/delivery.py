"""Counts the peers that are known to have each delta that this peer wrote. Pure: facts in, a callback out.

A peer that announces a head has all blocks below it, so it is counted for each own delta that the head is or was built
on; a peer that was sent a block is counted for that block. Only recently written deltas are watched, and only the part
of the DAG above them is remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from betar_tui.replica import DagNode

MAX_WATCHED = 256
"""Maximum number of watched deltas."""
MAX_REMEMBERED = 8192
"""Maximum number of remembered blocks."""
MAX_LINKS = 4 * MAX_REMEMBERED
"""Maximum number of links of all remembered blocks."""
MAX_UNKNOWN_HEADS = 1024
"""Maximum number of remembered heads that were announced and whose blocks are not here."""
MAX_ANNOUNCERS = 64
"""Maximum number of remembered peers that announced one such head."""
MAX_ANNOUNCEMENTS = 4 * MAX_UNKNOWN_HEADS
"""Maximum number of these peers over all heads."""
MAX_PEERS = 1024
"""Maximum number of peers counted for one delta: every author of a message counts, and keys cost nothing."""
MAX_STEPS = 4096
"""Maximum number of blocks visited for one broadcast, however many heads are in it."""
_NOT_A_DELTA = -1
"""Stands for the height of a remembered block that is not a delta: it has none."""

OnDelivered = Callable[[bytes, tuple[str, ...], int], None]
"""Called with the CID of a delta, the keys that it puts or removes, and the number of peers that have it."""


@dataclass(slots=True)
class _Watched:
    height: int
    keys: tuple[str, ...]
    peers: set[str] = field(default_factory=set)

    def lacks(self, peers: set[str]) -> bool:
        """Whether one of these is still to be counted."""
        return len(self.peers) < MAX_PEERS and not peers <= self.peers


class DeliveryTracker:
    """Watches own deltas, and calls `on_delivered` whenever more peers are known to have one."""

    def __init__(self, on_delivered: OnDelivered) -> None:
        self._on_delivered = on_delivered
        self._watched: OrderedDict[bytes, _Watched] = OrderedDict()
        self._links: OrderedDict[bytes, tuple[int, tuple[bytes, ...]]] = OrderedDict()
        self._link_count = 0
        self._unknown_heads: OrderedDict[bytes, set[str]] = OrderedDict()
        self._announcements = 0

    def applied(self, nodes: Sequence[DagNode], *, own: bool) -> None:
        """These were merged; `own` ones were written by this peer."""
        for node in nodes:
            if own:
                keys = [span.key for span in node.delta.elements] + [key for key, _ in node.delta.tombstones]
                self._watched[node.cid] = _Watched(node.delta.priority, tuple(dict.fromkeys(keys)))
                if len(self._watched) > MAX_WATCHED:
                    self._watched.popitem(last=False)
            if self._watched:
                self._remember(node)
        heads = {node.cid: self._unknown_heads.pop(node.cid) for node in nodes if node.cid in self._unknown_heads}
        self._announcements -= sum(map(len, heads.values()))
        # Each remembered delta is visited at most once, so that no peer's heads use up the steps of another's.
        self._count_below(heads, MAX_REMEMBERED)

    def announced(self, peer: str, heads: Iterable[bytes]) -> None:
        """A peer announced these heads."""
        if not self._watched:
            return
        known = {}
        for head in heads:
            if head in self._links:
                known[head] = {peer}
            else:
                self._remember_unknown(head, peer)
        self._count_below(known, MAX_STEPS)

    def sent(self, peer: str, cids: Iterable[bytes]) -> None:
        """A peer asked for these blocks and got them."""
        for cid in cids if self._watched else ():
            if cid in self._watched:
                self._count(cid, (peer,))

    def _remember(self, node: DagNode) -> None:
        _, before = self._links.pop(node.cid, (0, ()))
        self._links[node.cid] = node.delta.priority if node.is_delta else _NOT_A_DELTA, node.links
        self._link_count += len(node.links) - len(before)
        while len(self._links) > MAX_REMEMBERED or self._link_count > MAX_LINKS:
            _, (_, links) = self._links.popitem(last=False)
            self._link_count -= len(links)

    def _remember_unknown(self, head: bytes, peer: str) -> None:
        peers = self._unknown_heads.setdefault(head, set())
        if peer not in peers and len(peers) < MAX_ANNOUNCERS:
            peers.add(peer)
            self._announcements += 1
        while len(self._unknown_heads) > MAX_UNKNOWN_HEADS or self._announcements > MAX_ANNOUNCEMENTS:
            _, dropped = self._unknown_heads.popitem(last=False)
            self._announcements -= len(dropped)

    def _count_below(self, heads: Mapping[bytes, set[str]], steps: int) -> None:
        """Count the peers that announced these heads for every watched delta at or below them.

        One walk from the highest block down serves all of them: it carries a bit mask of the peers from block to link.
        A block that is not a delta has no height to stop at; it is visited in the turn of the delta above it, and again
        for one further down that brings it more peers."""
        if not heads:
            return
        peers: set[str] = set().union(*heads.values())
        open_heights = [watched.height for watched in self._watched.values() if watched.lacks(peers)]
        if not open_heights:
            return
        lowest = min(open_heights)
        bits = {peer: 1 << n for n, peer in enumerate(peers)}
        masks = {head: sum(bits[peer] for peer in some) for head, some in heads.items()}
        queue = [(-self._links[head][0], head) for head in masks if head in self._links]
        heapify(queue)
        while queue and steps > 0:
            steps -= 1
            turn, cid = heappop(queue)
            if cid in self._watched:
                self._count(cid, (peer for peer in peers if bits[peer] & masks[cid]))
            height, links = self._links[cid]
            for link in links if height > lowest or height == _NOT_A_DELTA else ():
                if link not in self._links:
                    continue
                before = masks.get(link)
                masks[link] = (before or 0) | masks[cid]
                link_height = self._links[link][0]
                if before is None or (link_height == _NOT_A_DELTA and masks[link] != before):
                    heappush(queue, (turn if link_height == _NOT_A_DELTA else -link_height, link))

    def _count(self, cid: bytes, peers: Iterable[str]) -> None:
        watched = self._watched[cid]
        before = len(watched.peers)
        for peer in peers:
            if len(watched.peers) == MAX_PEERS:
                break
            watched.peers.add(peer)
        if len(watched.peers) > before:
            self._on_delivered(cid, watched.keys, len(watched.peers))
