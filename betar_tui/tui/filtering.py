"""Understands the filter that is typed; after an error the last valid one stays in force. Pure."""

from betar_tui.errors import FilterError
from betar_tui.market.filter import begins_path, parse, unfinished


class Filtering:
    """`text` was typed last and `query` is the filter to ask for; `error` is the error of the text, `hint` a possible
    completion of it. `failed` says that the filter is right and could not be asked for."""

    def __init__(self) -> None:
        self.text = self.query = self.error = self.hint = ""
        self._rest = self._completion = ""
        self.failed = False

    def apply(self, text: str, *, typing: bool = False) -> bool:
        """Take a text; False if it has an error. During `typing` a field may be unfinished."""
        self.text, self.failed = text, False
        self.error = self.hint = ""
        try:
            parse(text)
        except FilterError as error:
            # The last valid result stays: half a term must not empty the table. It may not have come yet, and where it has
            # no rows the one before it stays, see `found_nothing`.
            self.error = str(error)
            return False
        self.query = text.strip()
        self._rest, self._completion = unfinished(text) if typing else ("", "")
        if begins_path(text):
            self.found_nothing()  # not worth asking: in a large market a search that finds nothing is the longest
        return True

    def found_nothing(self) -> bool:
        """Nothing matches. Returns whether to ask again for `query`, now without a field that is unfinished.

        Such a field matches nothing as a word; the table must not vanish for that."""
        if not self._completion:
            return False
        try:
            parse(self._rest)
        except FilterError:
            return False
        self.query, self.hint = self._rest.strip(), "" if self.error else self._completion
        self._rest = self._completion = ""
        return True
