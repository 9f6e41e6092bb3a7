"""Heads that peers announced and that are not here yet. Pure: the clock is handed in.

A root stays wanted when its author goes: it may be the only one who has the block, be back in a moment, and have forgotten
by then that it ever wrote it, as a Go betar does. But anybody can name blocks that nobody has, so each author may have so
many roots, there are only so many in all, and one that nobody names again is given up in the end. A root that several
authors named goes with the last of them: nobody can take away another's by naming it too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

PER_AUTHOR = 512
MAX_AUTHORS = 8
"""How many authors of a root are remembered."""
MAX_ROOTS = 8192
PATIENCE = 600.0
"""Seconds from the last announcement of a root until it is given up."""


@dataclass(slots=True)
class _Root:
    authors: set[str]
    first: float
    last: float


class PendingHeads:
    """Wanted heads with their authors. `clock` tells seconds and does not go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._roots: OrderedDict[bytes, _Root] = OrderedDict()

    def __contains__(self, name: bytes) -> bool:
        return name in self._roots

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._roots)

    def __len__(self) -> int:
        return len(self._roots)

    def older_than(self, age: float) -> dict[bytes, frozenset[str]]:
        """The roots that were first announced so many seconds ago, each with its authors, the least recently named first."""
        limit = self._clock() - age
        return {name: frozenset(root.authors) for name, root in self._roots.items() if root.first <= limit}

    def restore(self, kept: Mapping[bytes, Collection[str]]) -> None:
        """PendingHeads of an earlier run, with all the patience there is; those announced meanwhile are more recent."""
        now = self._clock()
        for name, authors in reversed(list(kept.items())):
            if name in self._roots:
                known = self._roots[name].authors
                known.update(list(set(authors) - known)[: MAX_AUTHORS - len(known)])
            elif len(self._roots) < MAX_ROOTS:
                self._roots[name] = _Root(set(authors), now, now)
                self._roots.move_to_end(name, last=False)

    def announced(self, names: Collection[bytes], author: str) -> list[bytes]:
        """An author named these; the roots, its own oldest first, that give way to them."""
        now = self._clock()
        for name in names:
            root = self._roots.pop(name, None) or _Root(set(), now, now)
            root.last = now
            if len(root.authors) < MAX_AUTHORS:
                root.authors.add(author)
            self._roots[name] = root
        theirs = [(name, root.authors) for name, root in self._roots.items() if author in root.authors]
        dropped = []
        for name, authors in theirs[: max(0, len(theirs) - PER_AUTHOR)]:
            authors.discard(author)
            if not authors:
                dropped.append(name)
        self.arrived(dropped)
        while len(self._roots) > MAX_ROOTS:
            dropped.append(self._roots.popitem(last=False)[0])
        return dropped

    def arrived(self, names: Iterable[bytes]) -> None:
        """These are here, or not wanted any more."""
        for name in names:
            self._roots.pop(name, None)

    def renew(self) -> None:
        """Nobody could be asked for these: their time begins anew."""
        for root in self._roots.values():
            root.last = self._clock()

    def expired(self) -> list[bytes]:
        """The roots to be given up now."""
        limit = self._clock() - PATIENCE
        dropped = []
        while self._roots and next(iter(self._roots.values())).last < limit:
            dropped.append(self._roots.popitem(last=False)[0])
        return dropped
