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


def folded(text: str, width: int) -> Iterator[str]:
    """The lines of a text, of at most `width` cells."""
    while cell_len(text) > width:
        line = set_cell_size(text, width).rstrip() or text[:1]
        # Break between words if that wastes little; ids and addresses have no spaces and are cut.
        space = line.rfind(" ") if text[len(line) : len(line) + 1] != " " else -1
        if space > width * 2 // 3:
            line = line[:space]
        yield line
        text = text[len(line) :].lstrip()
    if text:
        yield text
