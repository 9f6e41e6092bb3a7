"""Remembers announced nodes that are not deltas, with their links. Pure.

A Go peer takes such a node for a delta, makes it a head in the place of the heads that it links to, and announces only
it from then on. So its links stand for it: they are wanted as if its author had announced them
(docs/protocol.md#dag-nodes)."""

import random
from collections import OrderedDict
from collections.abc import Iterable, Mapping

MAX_NODES = 4096
"""Maximum number of remembered nodes."""
MAX_LINKS = 1 << 16
"""Maximum number of links of all remembered nodes."""
MAX_BELOW = 4096
"""Maximum number of links that stand for the nodes of one broadcast: as many as the heads that it may name."""


class NotDeltas:
    """Nodes that are not deltas, the oldest first."""

    def __init__(self) -> None:
        self._links: OrderedDict[bytes, tuple[bytes, ...]] = OrderedDict()
        self._count = 0

    def __contains__(self, cid: bytes) -> bool:
        return cid in self._links

    def add(self, nodes: Mapping[bytes, tuple[bytes, ...]]) -> None:
        """Remember nodes by CID with their links; beyond a limit the oldest are forgotten."""
        for cid, links in nodes.items():
            self._count += len(links) - len(self._links.pop(cid, ()))
            self._links[cid] = links
        while len(self._links) > MAX_NODES or self._count > MAX_LINKS:
            self._count -= len(self._links.popitem(last=False)[1])

    def below(self, cids: Iterable[bytes]) -> list[bytes]:
        """What these nodes link to, directly or through other remembered ones, in random order.

        Of too many a part: another time another one, so that no link can be hidden among others for good."""
        seen: dict[bytes, None] = {}
        left = [cid for cid in cids if cid in self._links]
        while left:
            fresh = [link for link in self._links[left.pop()] if link not in seen]
            seen.update(dict.fromkeys(fresh))
            left += [link for link in fresh if link in self._links]
        found = [cid for cid in seen if cid not in self._links]
        return random.sample(found, min(len(found), MAX_BELOW))
