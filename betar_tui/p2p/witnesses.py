"""Who has shown that it holds what we wrote. Pure: facts in, a callback out.

A peer that announces a head holds all that is below it, so it vouches for each delta of ours that the head is or was built
on; one that we sent a block vouches for that block. Only lately written deltas are watched, and only so much of the DAG is
remembered as lies above them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from betar_tui.replica import Node

MAX_WATCHED = 256
MAX_REMEMBERED = 8192
MAX_CLAIMS = 1024
MAX_STEPS = 4096
"""How many blocks are looked at for one announced head."""

Tell = Callable[[bytes, tuple[str, ...], int], None]


@dataclass(slots=True)
class _Watched:
    height: int
    keys: tuple[str, ...]
    peers: set[str] = field(default_factory=set)


class Witnesses:
    """Watches deltas of ours. `tell(cid, keys, count)` is called when one more peer vouches for a delta, with the keys that
    it put or removed."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._watched: OrderedDict[bytes, _Watched] = OrderedDict()
        self._links: OrderedDict[bytes, tuple[int, tuple[bytes, ...]]] = OrderedDict()
        self._claims: OrderedDict[bytes, set[str]] = OrderedDict()

    def applied(self, nodes: Sequence[Node], *, ours: bool) -> None:
        """These were merged; `ours` were written here."""
        for node in nodes:
            if ours:
                keys = [span.key for span in node.delta.elements] + [key for key, _ in node.delta.tombstones]
                self._watched[node.cid] = _Watched(node.delta.priority, tuple(dict.fromkeys(keys)))
                _keep(self._watched, MAX_WATCHED)
            if self._watched:
                self._links[node.cid] = node.delta.priority, node.links
        _keep(self._links, MAX_REMEMBERED)
        for node in nodes:
            for peer in self._claims.pop(node.cid, ()):
                self._vouch(peer, node.cid)

    def announced(self, peer: str, heads: Iterable[bytes]) -> None:
        """A peer named these as its heads."""
        if not self._watched:
            return
        for head in heads:
            if head in self._links:
                self._vouch(peer, head)
            else:
                self._claims.setdefault(head, set()).add(peer)
                _keep(self._claims, MAX_CLAIMS)

    def sent(self, peer: str, blocks: Iterable[bytes]) -> None:
        """A peer asked for these blocks and got them."""
        for name in blocks:
            if name in self._watched:
                self._count(name, peer)

    def _vouch(self, peer: str, head: bytes) -> None:
        """Count the peer for every watched delta that the head is or was built on."""
        open_heights = [each.height for each in self._watched.values() if peer not in each.peers]
        if not open_heights:
            return
        lowest = min(open_heights)
        ahead, met = [head], {head}
        while ahead and len(met) <= MAX_STEPS:
            name = ahead.pop()
            if name in self._watched:
                self._count(name, peer)
            height, links = self._links.get(name, (0, ()))
            if height > lowest:
                ahead += [link for link in links if link not in met and link in self._links]
                met.update(links)

    def _count(self, name: bytes, peer: str) -> None:
        watched = self._watched[name]
        if peer not in watched.peers:
            watched.peers.add(peer)
            self._tell(name, watched.keys, len(watched.peers))


def _keep(some: OrderedDict[bytes, Any], limit: int) -> None:
    while len(some) > limit:
        some.popitem(last=False)
