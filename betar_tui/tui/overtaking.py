"""What becomes of an edit when another device has changed the same listing meanwhile. Pure.

Of a field that one side changed, that side's text counts; where both did, a person chooses. Metadata counts key by key."""

from dataclasses import dataclass

from betar_tui.market.fields import ENTERED, Kind
from betar_tui.tui.form import FormValues, pairs


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
