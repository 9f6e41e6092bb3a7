"""How output for people is laid out: tables whose columns share the width of a terminal, and filled paragraphs. Pure.

Texts are neutralised before they come here. Widths are columns of a terminal; `None` is a pipe, where nothing is cut."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from betar_tui.market.names import name_space, short_form

GAP = "  "
"""What stands between two columns."""
_PIECE = 256
"""Letters that are measured at a time."""
_NARROWEST = 3
"""Minimum columns of a column in the narrowest terminals."""


def cell_len(text: str) -> int:
    """The number of columns that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len as measure  # deferred: most texts are ASCII

    return measure(text)


def cut(text: str, width: int, mark: str = "…") -> str:
    """A text in `width` columns at most: a longer one ends in `mark`."""
    if cell_len(text) <= width:
        return text
    mark = mark if len(mark) < width else ""
    room, kept = width - len(mark), 0
    for end, letter in enumerate(text):
        kept += cell_len(letter)
        if kept > room:
            return text[:end].rstrip() + mark
    return text


def cut_middle(text: str, width: int, mark: str = "…") -> str:
    """The same for a text whose end tells as much as its beginning, as that of a CID does."""
    room = width - len(mark)
    if len(text) <= width or room < 4 or not text.isascii():
        return cut(text, width, mark)
    return text[: room - room // 2] + mark + text[-(room // 2) :]


def cut_head(text: str, width: int, mark: str = "…") -> str:
    """The same with the mark in front: the end of the text is kept."""
    if cell_len(text) <= width:
        return text
    mark = mark if len(mark) < width else ""
    room, start = width - len(mark), len(text)
    while start and cell_len(text[start - 1 :]) <= room:
        start -= 1
    return mark + text[start:]


def cut_id(text: str, width: int, mark: str = "…") -> str:
    """A peer id or a listing's id in `width` columns, in a form that commands understand: a short one, or the end of it.
    Peer ids begin all alike."""
    if cell_len(text) <= width:
        return text
    owner = name_space(text)
    short = (short_form(owner) + text[len(owner) :] if owner else short_form(text)).replace("…", mark)
    if not short:
        return cut_middle(text, width, mark)
    if cell_len(short) <= width:
        return short
    if not owner:
        return cut_head(mark + short.partition(mark)[2], width, mark)
    name = text[len(owner) :]
    return mark + name if cell_len(mark + name) <= width else cut_head(text, width, mark)


def whole(text: str, width: int, mark: str = "…") -> str:
    """A text that is not cut, such as a number."""
    return text


class Column(NamedTuple):
    """One column: its head, how its cells are shortened, the columns that it needs at least, and its rank: where the columns
    do not fit, those with the greatest rank are left out first; one with rank 0 never is."""

    head: str
    shorten: Callable[[str, int, str], str] = cut
    least: int = 8
    rank: int = 0


def table_lines(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int | None, mark: str = "…"
) -> Iterator[str]:
    """The lines of a table with its heads, none of them wider than `width`."""
    lines = [tuple(column.head for column in columns), *map(tuple, rows)]
    natural = [max(cell_len(line[i]) for line in lines) for i in range(len(columns))]
    kept, widths = _shared(columns, natural, width)
    for line in lines:
        cells = [
            line[i] if cell_len(line[i]) <= widths[i] else columns[i].shorten(line[i], widths[i], mark) for i in kept
        ]
        text = GAP.join(cell + " " * (widths[i] - cell_len(cell)) for i, cell in zip(kept, cells, strict=True)).rstrip()
        yield text if width is None else cut(text, width, "")


def _shared(columns: Sequence[Column], natural: Sequence[int], width: int | None) -> tuple[list[int], list[int]]:
    """Which columns are shown, and how wide each of all is."""
    kept, widths = list(range(len(columns))), list(natural)
    if width is None:
        return kept, widths

    def missing(of: Sequence[int]) -> int:
        return sum(of[i] for i in kept) + len(GAP) * (len(kept) - 1) - width

    least = [each if columns[i].shorten is whole else min(each, columns[i].least) for i, each in enumerate(natural)]
    while missing(least) > 0 and (droppable := [i for i in kept if columns[i].rank]):
        kept.remove(max(droppable, key=lambda i: columns[i].rank))
    if missing(least) > 0:
        least = [min(each, _NARROWEST) for each in least]
    while (excess := missing(widths)) > 0:
        wide = [i for i in kept if widths[i] > least[i]]
        if not wide:
            break  # narrower than all of them: lines are cut
        widest = max(wide, key=lambda i: widths[i])
        others = [widths[i] for i in wide if widths[i] < widths[widest]]
        target = max([*others, least[widest], widths[widest] - excess])
        widths[widest] = max(min(target, widths[widest] - 1), least[widest])
    return kept, widths


def filled(text: str, width: int | None, indent: str = "  ") -> Iterator[str]:
    """A paragraph in lines of at most `width` columns, all but the first indented; a word that is longer is broken."""
    if width is None or cell_len(text) <= width:
        yield text
        return
    start = line = ""
    for word in text.split(" "):
        if line and cell_len(start) + cell_len(line) + 1 + cell_len(word) <= width:
            line += f" {word}"
            continue
        if line:
            yield start + line
            start = indent
        at = 0
        while _is_wider(word, at, room := width - cell_len(start)):
            # Of a word without end only as much is looked at as a line may hold.
            head = cut(word[at : at + max(room, 0) + 1], room, "") or word[at]
            yield start + head
            at, start = at + len(head), indent
        line = word[at:]
    if line:
        yield start + line


def _is_wider(text: str, at: int, width: int) -> bool:
    """Whether what stands from `at` on takes more columns than that; a long text is not measured to its end."""
    for piece in range(at, len(text), _PIECE):
        width -= cell_len(text[piece : piece + _PIECE])
        if width < 0:
            return True
    return False


def aligned_at_the_point(numbers: Sequence[str]) -> list[str]:
    """Numbers as text, their points below each other."""
    before = max((len(each.partition(".")[0]) for each in numbers), default=0)
    return [" " * (before - len(each.partition(".")[0])) + each for each in numbers]
