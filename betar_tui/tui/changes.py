"""What an update changed in a listing, in words. Pure; values come from the network and are neutralised."""

from collections.abc import Iterable, Iterator, Mapping

from betar_tui.market.fields import ENTERED, FIELDS, IN_METADATA, further_metadata
from betar_tui.market.marketplace import Listing
from betar_tui.market.text import neutralise
from betar_tui.tui.format import price

MAX_KEYS = 3
"""Maximum keys of the metadata, and fields, that are named."""
LABELS = {field.name: field.label.lower() for field in FIELDS if field.label}
_SHORT = ("name", "token_id")


def changes_of(old: Listing, new: Listing) -> list[str]:
    """Each change of what its seller entered: "price 0.05 → 0.07", "description changed", "metadata changed (tier)"."""
    return [text for field in ENTERED for text in _change(field.name, field.label, old, new)]


def fields_of(names: Iterable[str]) -> str:
    """The fields of these names in JSON, as people know them, the first few: "addresses, price and 2 more"."""
    told = [LABELS.get(name, neutralise(name, 20)) for name in names]
    more = f" and {len(told) - MAX_KEYS} more" if len(told) > MAX_KEYS else ""
    return ", ".join(told[:MAX_KEYS]) + more


def _change(name: str, label: str, old: Listing, new: Listing) -> Iterator[str]:
    before, after = getattr(old, name), getattr(new, name)
    if before == after:
        return
    word = label.lower()
    if name == "price":
        yield f"{word} {price(before)} → {price(after)}"
    elif name in _SHORT and before and after:
        yield f"{word} {neutralise(before, 30)} → {neutralise(after, 30)}"
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        old_further, further = further_metadata(before), further_metadata(after)
        if keys := [key for key in {**old_further, **further} if old_further.get(key) != further.get(key)]:
            more = f" and {len(keys) - MAX_KEYS} more" if len(keys) > MAX_KEYS else ""
            yield f"{word} changed ({', '.join(neutralise(key, 20) for key in keys[:MAX_KEYS])}{more})"
    elif name == "metadata":
        # Go betar names a file instead: what changed in it is a field of its own, or cannot be said.
        if all(getattr(old, field.name) == getattr(new, field.name) for field in IN_METADATA):
            yield f"{word} changed"
    else:
        done = "added" if not before else "taken out" if not after else "changed"
        yield f"{word} {done}"
