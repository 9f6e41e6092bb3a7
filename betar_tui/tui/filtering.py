"""The filter line's verdict: what is typed is applied, or what is wrong is said and the last good one stays. Pure."""

from __future__ import annotations

from betar_tui.errors import FilterError
from betar_tui.market.filter import unfinished
from betar_tui.market.index import ListingIndex


class Filtering:
    """Applies texts to an index. `error` says what is wrong with the last one, `hint` what it may become."""

    def __init__(self, index: ListingIndex) -> None:
        self._index = index
        self.error = self.hint = ""

    def apply(self, text: str, *, typing: bool = False) -> bool:
        """Filter by a text; False where it says nothing yet. While somebody is `typing`, a field may be unfinished."""
        self.error = self.hint = ""
        try:
            self._index.set_filter(text)
            rest, hint = unfinished(text)
            if typing and hint and not self._index.count:
                # On the way to a field the word matches nothing; the table must not vanish for that.
                self._index.set_filter(rest)
                self.hint = hint
        except FilterError as error:
            # The last good result stays: half a term is no reason to empty the table.
            self.error = str(error)
        return not self.error
