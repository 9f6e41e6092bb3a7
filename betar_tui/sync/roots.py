"""Limits the roots that are taken out of broadcasts. Pure: the time is passed in.

A root, a delta that links to nothing, is what a peer writes that knows of no other: once, if at all. Since nothing replaces
it, each is a head of every peer until somebody writes upon it, and tiny ones take four times their size on disk. So a crowd
of them is not taken as it comes. What is left out is not lost: its author announces it again, and whatever is built on it
has it fetched as history."""

from collections import OrderedDict

from betar_tui.errors import DecodeError
from betar_tui.replica.node import links_of

AUTHOR_BURST, AUTHOR_RATE = 128, 2.0
"""Roots of one author at once, and from then on a second."""
NEIGHBOUR_BURST, NEIGHBOUR_RATE = 1024, 20.0
"""The same of what one neighbour brings, of all authors together."""
MAX_REMEMBERED = 4096
"""Maximum number of remembered authors and neighbours."""


def is_root(block: bytes) -> bool:
    """Whether a block links to nothing. One that cannot be decoded is none: merging it says why."""
    try:
        return not block.startswith(b"\x12") and not links_of(block)  # the links of what peers write come first
    except DecodeError:
        return False


class RootAllowance:
    """Tokens for roots, by author and by neighbour."""

    def __init__(self) -> None:
        self._left: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, author: str, neighbour: str, now: float) -> bool:
        """Whether a root of an author is taken that a neighbour brings now, in monotonic seconds."""
        mine = self._tokens(("author", author), AUTHOR_BURST, AUTHOR_RATE, now)
        theirs = self._tokens(("neighbour", neighbour), NEIGHBOUR_BURST, NEIGHBOUR_RATE, now)
        taken = mine >= 1 and theirs >= 1
        for who, left in ((("author", author), mine), (("neighbour", neighbour), theirs)):
            self._left[who] = (left - taken, now)
            self._left.move_to_end(who)
        while len(self._left) > MAX_REMEMBERED:
            self._left.popitem(last=False)
        return taken

    def _tokens(self, who: tuple[str, str], burst: int, rate: float, now: float) -> float:
        left, at = self._left.get(who, (float(burst), now))
        return min(burst, left + (now - at) * rate)
