"""What an update changed in a listing: its fields, by their names in JSON, with the values that they had. Pure."""

from collections.abc import Mapping

from betar_tui.market.fields import FIELDS, STAMPS, further_metadata
from betar_tui.market.marketplace import Listing

WITHOUT_NEWS = frozenset({"addrs"})
"""Fields of which a reader of the market need not be told: a seller that comes from another place offers what it offered."""
_FIXED = frozenset({"id", *STAMPS})


def differing_fields(old: Listing, new: Listing) -> dict[str, object]:
    """The fields in which two versions of a listing differ, with the old values as JSON has them, None for one that is new.

    The fields in the metadata are so by themselves, unless that is a file: then it is another one."""
    found: dict[str, object] = {}
    files = isinstance(old.metadata, str) or isinstance(new.metadata, str)
    for field in FIELDS:
        if field.name in _FIXED or (files and field.in_metadata):
            continue
        before, after = getattr(old, field.name), getattr(new, field.name)
        if _entered(before) != _entered(after):
            found[field.name] = list(before) if isinstance(before, tuple) else before
    for name in [*old.extra, *(name for name in new.extra if name not in old.extra)]:
        if old.extra.get(name) != new.extra.get(name) and name not in STAMPS:
            found.setdefault(name, old.extra.get(name))
    return found


def _entered(value: object) -> object:
    """Metadata without what has a field of its own."""
    return further_metadata(value) if isinstance(value, Mapping) else value
