"""The results of the terms asked for last: taking letters of a filter away again, or changing another word of it, does
not look at every listing a second time.

Lists by slot, as in `ListingIndex`, which reports every listing that comes or changes. The result of a term that
depends on the time is not cached."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from betar_tui.market.filter import Term
from betar_tui.market.marketplace import Listing

MAX_TERMS = 12
"""Maximum terms whose results are cached, at eight bytes a listing each."""


class TermCache:
    """By term, whether the listing of each slot meets it; a term and its negation share one result."""

    def __init__(self) -> None:
        self._results: OrderedDict[Term, list[bool]] = OrderedDict()

    def get(self, term: Term, evaluate: Callable[[], list[bool]]) -> list[bool]:
        """By slot, whether the listing meets the term; `evaluate` finds out where that is unknown. Do not change it."""
        if term.timed:
            return evaluate()
        key = replace(term, negated=False)
        result = self._results.pop(key, None)
        if result is None:
            result = evaluate()
        self._results[key] = result
        if len(self._results) > MAX_TERMS:
            self._results.popitem(last=False)
        return result

    def update(self, slot: int, listing: Listing, text: str) -> None:
        """Follow a listing that came or changed; `text` is its search text. A new slot is the next one."""
        for term, result in self._results.items():
            met = term.holds(listing, text, 0.0, 0.0)
            if slot < len(result):
                result[slot] = met
            else:
                result.append(met)

    def clear(self) -> None:
        """Forget all: other listings stand in the slots now."""
        self._results.clear()
