"""What becomes of an edit when another device has changed the same listing meanwhile. Pure.

Of a field that one side changed, that side's text counts; where both did, a person chooses. Metadata counts key by key."""

import os
from dataclasses import dataclass

from betar_tui.market.fields import ENTERED, Kind
from betar_tui.market.text import neutralise_lines
from betar_tui.tui.form import FormValues, pairs
from betar_tui.tui.format import plural

SHOWN_TEXT, SHOWN_LINES = 320, 5
"""Maximum characters and lines that are shown of a text."""
_ALIKE = 40
"""Maximum characters of the same line that are shown before the first difference, where that is not near the start."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field with two new texts."""

    name: str
    label: str
    mine: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Merged:
    """The texts of both sides together, with `mine` where they conflict, and the labels of the fields that only the other
    side changed."""

    values: FormValues
    conflicts: tuple[Conflict, ...]
    taken: tuple[str, ...]


def merge(base: FormValues, mine: FormValues, theirs: FormValues) -> Merged:
    """Put two edits of the same listing together."""
    values, conflicts, taken = dict(mine), [], []
    for field in ENTERED:
        old, own, other = base[field.name], mine[field.name], theirs[field.name]
        if other in (old, own):
            continue
        if own == old:
            values[field.name] = other
            taken.append(field.label)
        elif field.kind is Kind.OBJECT and (both := _merged_pairs(old, own, other)) is not None:
            values[field.name] = both
            taken.append(field.label)
        else:
            conflicts.append(Conflict(field.name, field.label, own, other))
    return Merged(values, tuple(conflicts), tuple(taken))


def _merged_pairs(old: str, mine: str, theirs: str) -> str | None:
    """The lines of both, None where both changed the same key."""
    before, own, other = pairs(old), pairs(mine), pairs(theirs)
    changed = {key: value for key, value in own.items() if before.get(key) != value}
    if any(other.get(key) not in (before.get(key), value) for key, value in changed.items()):
        return None
    return "\n".join(f"{key} = {value}" for key, value in {**other, **changed}.items())


def excerpts(mine: str, theirs: str) -> tuple[str, str]:
    """The part of each of two texts that has the first difference in it, safe to show: from the start, if that is near."""
    one, other = neutralise_lines(mine), neutralise_lines(theirs)
    at = len(os.path.commonprefix([one, other]))
    begin = 0
    if at >= SHOWN_TEXT - _ALIKE or one.count("\n", 0, at) >= SHOWN_LINES - 1:
        begin = max(one.rfind("\n", 0, at) + 1, at - _ALIKE)
    spaces = "\n(the texts differ in spaces and line breaks alone)" if one.split() == other.split() else ""
    return _excerpt(one, begin) + spaces, _excerpt(other, begin) + spaces


def _excerpt(text: str, begin: int) -> str:
    """Some lines of a text, with what is left out before and after them."""
    lines = text[begin : begin + SHOWN_TEXT].split("\n")[:SHOWN_LINES]
    end = begin + len("\n".join(lines))
    # Between two letters that are one sign together, a cut leaves what has to be made safe.
    shown = neutralise_lines("\n".join(lines)) or ("" if begin else "(nothing)")
    before, after = text.count("\n", 0, begin), text.count("\n", end)
    if text[end : end + 1] not in ("", "\n"):
        shown += "…"
    if text[:begin].rpartition("\n")[2]:
        shown = f"…{shown}"
    above = f"… after {plural(before, 'line')} that both have\n" if before else ""
    below = f"\n… and {plural(after, 'line')} more" if after else ""
    return above + shown + below
