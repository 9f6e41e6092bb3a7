"""The changes from one version of a listing to the next. Pure; values come from the network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from betar_tui.market.fields import STAMPS
from betar_tui.market.json_values import MAX_DEPTH, depth_of
from betar_tui.market.marketplace import Version
from betar_tui.market.text import neutralise

REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class VersionChange:
    """One version and its differences from the one before: "+ field: value", "- field: value", "~ field: a → b".

    `voice` says who put it, as in `Version`."""

    cid: str
    height: int
    summary: str
    lines: tuple[str, ...] = ()
    voice: str = ""

    @property
    def removed(self) -> bool:
        """Whether a delta removed this version."""
        return self.summary == REMOVED


def version_changes(history: Sequence[Version]) -> tuple[VersionChange, ...]:
    """The change of each version, newest first, from the older one that follows in `history`."""
    pairs = zip_longest(history, history[1:])
    return tuple(replace(_change(version, older), voice=version.voice) for version, older in pairs)


def _change(version: Version, older: Version | None) -> VersionChange:
    if version.value is None:
        return VersionChange(version.cid, version.height, REMOVED)
    new = _fields(version.value)
    if new is None:
        return VersionChange(version.cid, version.height, "unreadable")
    old = _fields(older.value) if older is not None and older.value is not None else None
    if older is None or older.value is None:
        return VersionChange(version.cid, version.height, "published" if older is None else "listed again")
    if old is None:
        return VersionChange(version.cid, version.height, "replaced an unreadable value")
    lines = tuple(_differences(old, new))
    return VersionChange(version.cid, version.height, "changed" if lines else "refreshed", lines)


def _fields(value: str) -> Mapping[str, object] | None:
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return None
    # Deeper than a listing may be: what could just be read may be too deep to be compared and written.
    if not isinstance(parsed, dict) or depth_of(parsed) > MAX_DEPTH:
        return None
    flat: dict[str, object] = {}
    for key, item in parsed.items():
        if isinstance(item, dict) and key not in STAMPS:
            flat.update({f"{key}.{inner}": inner_value for inner, inner_value in item.items()})
        elif key not in STAMPS:
            flat[key] = item
    return flat


def _differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    lines = []
    for key in [*new, *(key for key in old if key not in new)]:
        name = neutralise(key, 40)
        if key not in old:
            lines.append(f"+ {name}: {_value(new[key])}")
        elif key not in new:
            lines.append(f"- {name}: {_value(old[key])}")
        elif old[key] != new[key]:
            lines.append(f"~ {name}: {_value(old[key])} → {_value(new[key])}")
    return lines


def _value(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)  # as it was typed: 99, not 99.0
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return neutralise(text, 60)
