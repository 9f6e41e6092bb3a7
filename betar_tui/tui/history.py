"""What changed from one version of a listing to the next. Pure; values come from the network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from betar_tui.market.marketplace import Version
from betar_tui.market.text import neutralise

# Changed by every version by nature, so it says nothing.
_SILENT = frozenset(("timestamp", "signature"))


@dataclass(frozen=True, slots=True)
class VersionChange:
    """One version and the lines that tell it from the one before: "+ field: value", "- field", "~ field: a → b"."""

    cid: str
    height: int
    summary: str
    lines: tuple[str, ...] = ()


def version_changes(history: Sequence[Version]) -> tuple[VersionChange, ...]:
    """The versions, newest first as given, each compared with the older one after it."""
    result = []
    for position, version in enumerate(history):
        older = history[position + 1] if position + 1 < len(history) else None
        result.append(_change(version, older))
    return tuple(result)


def _change(version: Version, older: Version | None) -> VersionChange:
    if version.value is None:
        return VersionChange(version.cid, version.height, "removed")
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
    if not isinstance(parsed, dict):
        return None
    flat: dict[str, object] = {}
    for key, item in parsed.items():
        if isinstance(item, dict) and key not in _SILENT:
            flat.update({f"{key}.{inner}": inner_item for inner, inner_item in item.items()})
        elif key not in _SILENT:
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
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return neutralise(text, 60)
