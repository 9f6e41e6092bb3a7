"""Heads that peers announced and whose blocks are not here yet. Pure: the clock is passed in.

A pending head stays wanted after its author has disconnected: the author may be the only peer with the block, come back
soon, and have forgotten by then that it wrote it, as a Go betar does. But anybody can announce invented heads. So there
are limits for each author and in all, and a head that is not announced again expires. A head with several authors is
dropped with the last of them, so that no peer can remove another's head by announcing it too."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

MAX_PER_AUTHOR = 512
"""Maximum number of pending heads of one author."""
MAX_AUTHORS = 8
"""Maximum number of remembered authors of one head."""
MAX_PENDING = 8192
"""Maximum number of pending heads."""
EXPIRY = 600.0
"""Seconds from the last announcement of a head until it expires."""

Sent = tuple[bytes, str, str]
"""The CID of a block that came, the peer that sent it, and the author that sent it along with its announcement or ""."""


@dataclass(slots=True)
class _PendingHead:
    authors: set[str]
    first: float
    last: float
    below: bool = False


class PendingHeads:
    """Pending heads with their authors, the least recently announced first. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heads: OrderedDict[bytes, _PendingHead] = OrderedDict()
        self._counts = Counter[str]()  # heads by author

    def __contains__(self, cid: bytes) -> bool:
        return cid in self._heads

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._heads)

    def __len__(self) -> int:
        return len(self._heads)

    def older_than(self, age: float) -> dict[bytes, frozenset[str]]:
        """The heads that were first announced at least `age` seconds ago, with their authors."""
        limit = self._clock() - age
        return {cid: frozenset(head.authors) for cid, head in self._heads.items() if head.first <= limit}

    def restore(self, stored: Mapping[bytes, Collection[str]]) -> None:
        """Add heads of an earlier run, with their full time; they count as announced before all present ones."""
        now = self._clock()
        for cid, authors in reversed(list(stored.items())):
            if cid in self._heads:
                known = self._heads[cid].authors
                new = list(set(authors) - known)[: MAX_AUTHORS - len(known)]
                known.update(new)
                self._counts.update(new)
            elif len(self._heads) < MAX_PENDING:
                self._heads[cid] = _PendingHead(set(authors), now, now)
                self._counts.update(set(authors))
                self._heads.move_to_end(cid, last=False)

    def by_announcer(self, came: Iterable[Sent]) -> dict[tuple[str, str], list[bytes]]:
        """The blocks that came, by (author, peer), for each author that announced the block itself and not only
        something above it."""
        found: dict[tuple[str, str], list[bytes]] = {}
        for cid, peer, sender in came:
            head = self._heads.get(cid)
            for author in {sender} | (set() if head is None or head.below else head.authors):
                if author:
                    found.setdefault((author, peer), []).append(cid)
        return found

    def announced(self, cids: Collection[bytes], author: str, *, below: bool = False) -> list[bytes]:
        """Add heads that an author announced; returns the heads dropped for them, first the author's own oldest.

        `below` says that it announced something above them that is not a delta."""
        now = self._clock()
        for cid in cids:
            head = self._heads.pop(cid, None) or _PendingHead(set(), now, now, below)
            head.last = now
            head.below &= below
            if len(head.authors) < MAX_AUTHORS and author not in head.authors:
                head.authors.add(author)
                self._counts[author] += 1
            self._heads[cid] = head
        dropped = self._drop_excess(author) if self._counts[author] > MAX_PER_AUTHOR else []
        while len(self._heads) > MAX_PENDING:
            oldest = next(iter(self._heads))
            self.arrived([oldest])
            dropped.append(oldest)
        return dropped

    def _drop_excess(self, author: str) -> list[bytes]:
        of_author = [(cid, head.authors) for cid, head in self._heads.items() if author in head.authors]
        dropped = []
        for cid, authors in of_author[: len(of_author) - MAX_PER_AUTHOR]:
            authors.discard(author)
            self._counts[author] -= 1
            if not authors:
                dropped.append(cid)
        self.arrived(dropped)
        return dropped

    def arrived(self, cids: Iterable[bytes]) -> None:
        """Remove heads whose blocks are here or not wanted any more."""
        for cid in cids:
            head = self._heads.pop(cid, None)
            for author in head.authors if head is not None else ():
                self._counts[author] -= 1
                if not self._counts[author]:
                    del self._counts[author]

    def renew(self) -> None:
        """Start the time of all heads anew: no peer could be asked for them."""
        for head in self._heads.values():
            head.last = self._clock()

    def expired(self) -> list[bytes]:
        """Remove and return the heads whose time is over."""
        limit = self._clock() - EXPIRY
        dropped = []
        while self._heads and next(iter(self._heads.values())).last < limit:
            oldest = next(iter(self._heads))
            self.arrived([oldest])
            dropped.append(oldest)
        return dropped
