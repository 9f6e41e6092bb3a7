"""How a result with very many items is cut into parts, each a message of its own, and put together again.

A tuple is cut itself; of a dataclass the field that is marked `IN_PARTS`."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, get_type_hints

from betar_tui.market.marketplace import IN_PARTS

PART = 250
"""Maximum items that one message carries."""


def part_type(result: Any) -> Any:
    """The type of the parts of a result of this type."""
    name = _field(result)
    return get_type_hints(result)[name] if name else result


def cut(result: Any) -> tuple[list[Any], Any]:
    """The parts that go ahead of a result, of `PART` items each, and the rest of it."""
    name = _field(result)
    items = getattr(result, name) if name else result
    if not isinstance(items, tuple) or len(items) <= PART:
        return [], result
    parts = [items[i : i + PART] for i in range(0, len(items), PART)]
    return parts, replace(result, **{name: ()}) if name else ()


def joined(parts: list[Any], result: Any) -> Any:
    """The result that `cut` took apart."""
    if not parts:
        return result
    items = tuple(item for part in parts for item in part)
    name = _field(result)
    return replace(result, **{name: items}) if name else items


def _field(result: Any) -> str:
    """The field that is cut, of a dataclass or an instance of it; empty where there is none."""
    marked = (field.name for field in fields(result) if IN_PARTS in field.metadata) if is_dataclass(result) else ()
    return next(iter(marked), "")
