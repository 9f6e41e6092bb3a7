"""Labels and values in two columns, as the pieces of a text. Pure."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from betar_tui.market.text import neutralise

LABEL_WIDTH = 11
"""Number of cells of the label column."""


class LabelledText:
    """Labels and values; long values are folded within their column."""

    def __init__(self, width: int) -> None:
        self._width = max(20, width - LABEL_WIDTH)
        self.parts: list[tuple[str, str]] = []

    def add(self, label: str, value: str, style: str = "") -> None:
        """Add a label and its value; a long value takes several lines."""
        if cell_len(label) >= LABEL_WIDTH:
            # A key from the network may have any length: its value begins on the next line.
            self.parts.append((label + "\n", "dim"))
            label = ""
        for line in list(folded(value, self._width)) or [""]:
            self.parts += [(set_cell_size(label, LABEL_WIDTH), "dim"), (line + "\n", style)]
            label = ""

    def add_list(self, label: str, values: Sequence[str], most: int) -> None:
        """Add a line for each of the first `most` values from the network, and the number of the others."""
        for position, value in enumerate(values[:most]):
            self.add(label if position == 0 else "", neutralise(value, 200))
        if len(values) > most:
            self.add("", f"… and {len(values) - most} more")
        if not values:
            self.add(label, "none", "dim")


def fitting(text: str, at: int, room: int) -> int:
    """Where the characters from `at` end that fit in `room` cells, two or more.

    It looks at little more than those, so that folding a text takes time in proportion to its length."""
    size = 2 * room
    while cell_len(ahead := text[at : at + size]) <= room:
        if at + size >= len(text):
            return len(text)
        size *= 2  # letters without a cell of their own
    part = set_cell_size(ahead, room)
    # A letter of two cells that has room for one only is replaced with a space there.
    return at + len(part) - (0 if ahead.startswith(part) else 1)


def folded(text: str, width: int) -> Iterator[str]:
    """The lines of a text, of at most `width` cells."""
    at = 0
    while (end := fitting(text, at, width)) < len(text):
        line = text[at:end].rstrip() or text[at : at + 1]
        # Break between words if that wastes little; ids and addresses have no spaces and are cut.
        space = line.rfind(" ") if text[at + len(line)] != " " else -1
        if space > width * 2 // 3:
            line = line[:space]
        yield line
        at += len(line)
        while at < len(text) and text[at].isspace():
            at += 1
    if at < len(text):
        yield text[at:]
