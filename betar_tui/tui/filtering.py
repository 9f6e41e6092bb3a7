"""Applies the filter that is typed; on an error the last valid filter stays in force. Pure."""

from betar_tui.errors import FilterError
from betar_tui.market.filter import unfinished
from betar_tui.market.index import ListingIndex


class Filtering:
    """Applies filters to an index. `error` is the error of the last text, `hint` a possible completion of it."""

    def __init__(self, index: ListingIndex) -> None:
        self._index = index
        self.error = self.hint = ""

    def apply(self, text: str, *, typing: bool = False) -> bool:
        """Filter by a text; False if it has an error. During `typing` a field may be unfinished."""
        self.error = self.hint = ""
        try:
            self._index.set_filter(text)
            rest, hint = unfinished(text)
            if typing and hint and not self._index.count:
                # An unfinished field matches nothing as a word; the table must not vanish for that.
                self._index.set_filter(rest)
                self.hint = hint
        except FilterError as error:
            # The last valid result stays: half a term must not empty the table.
            self.error = str(error)
        return not self.error
