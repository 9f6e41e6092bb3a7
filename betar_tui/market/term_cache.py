"""Which listings meet a term, remembered for the terms asked for last: whoever takes letters of a filter away again, or
changes another word of it, waits for no second look at every listing.

Lists by slot, as in `ListingIndex`, which tells of every listing that comes or changes. What depends on the time is not
remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from betar_tui.market.filter import Term
from betar_tui.market.marketplace import Listing

REMEMBERED = 12
"""Terms whose screens are kept, eight bytes a listing each."""


class TermCache:
    """The screens of some terms; the negation of a term is not looked at."""

    def __init__(self) -> None:
        self._held: OrderedDict[Term, list[bool]] = OrderedDict()

    def get(self, term: Term, look: Callable[[], list[bool]]) -> list[bool]:
        """By slot, whether the listing meets the term; `look` finds out where that is not known. Not to be changed."""
        if term.timed:
            return look()
        key = replace(term, negated=False)
        held = self._held.pop(key, None)
        if held is None:
            held = look()
        self._held[key] = held
        if len(self._held) > REMEMBERED:
            self._held.popitem(last=False)
        return held

    def take(self, slot: int, listing: Listing, hay: str) -> None:
        """A listing came or changed; a new slot is the next one."""
        for term, held in self._held.items():
            holds = term.holds(listing, hay, 0.0, 0.0)
            if slot < len(held):
                held[slot] = holds
            else:
                held.append(holds)

    def clear(self) -> None:
        """All listings are others now."""
        self._held.clear()
