"""Heads that peers announced and that are not here yet. Pure: the clock is handed in.

A root stays wanted when its author goes: it may be the only one who has the block, be back in a moment, and have forgotten
by then that it ever wrote it, as a Go betar does. But anybody can name blocks that nobody has, so each author may have so
many roots, there are only so many in all, and one that nobody names again is given up in the end. A root that several
authors named goes with the last of them: nobody can take away another's by naming it too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping

PER_AUTHOR = 512
MAX_AUTHORS = 8
"""How many authors of a root are remembered."""
MAX_ROOTS = 8192
PATIENCE = 600.0
"""Seconds from the last announcement of a root until it is given up."""


class Roots:
    """Wanted heads with their authors. `clock` tells seconds and does not go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._roots: OrderedDict[bytes, tuple[set[str], float]] = OrderedDict()

    def __contains__(self, name: bytes) -> bool:
        return name in self._roots

    def __len__(self) -> int:
        return len(self._roots)

    def authors(self) -> Mapping[bytes, frozenset[str]]:
        """Every root, with those who announced it."""
        return {name: frozenset(authors) for name, (authors, _) in self._roots.items()}

    def announced(self, names: Collection[bytes], author: str) -> list[bytes]:
        """An author named these; the roots, its own oldest first, that give way to them."""
        now = self._clock()
        for name in names:
            authors, _ = self._roots.pop(name, (set(), now))
            if len(authors) < MAX_AUTHORS:
                authors.add(author)
            self._roots[name] = authors, now
        theirs = [(name, authors) for name, (authors, _) in self._roots.items() if author in authors]
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

    def expired(self) -> list[bytes]:
        """The roots to be given up now."""
        limit = self._clock() - PATIENCE
        dropped = []
        while self._roots and next(iter(self._roots.values()))[1] < limit:
            dropped.append(self._roots.popitem(last=False)[0])
        return dropped
