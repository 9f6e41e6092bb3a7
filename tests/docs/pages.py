"""Reading the project's pages: sections, fenced blocks, message definitions, golden vectors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_MESSAGE = re.compile(r"message (\w+) \{(.*?)\}", re.DOTALL)
_FIELD = re.compile(r"(repeated )?(\w+) (\w+) = (\d+);")


@cache
def text(page: str) -> str:
    """A page by its path from the root of the repository."""
    return (ROOT / page).read_text()


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [body for named, body in _FENCE.findall(text(page)) if named == language]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading: lower case, punctuation dropped, spaces to hyphens."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def anchors(page: str) -> set[str]:
    """The anchors of a page; a heading that comes again is numbered."""
    found: dict[str, int] = {}
    names = set()
    for heading in _HEADING.findall(_FENCE.sub("", text(page))):
        name = slug(heading)
        count = found.get(name, 0)
        found[name] = count + 1
        names.add(f"{name}-{count}" if count else name)
    return names


@cache
def vectors(page: str = "docs/protocol.md") -> dict[str, str]:
    """The golden vectors by name. An indented line continues the value before it."""
    found: dict[str, str] = {}
    name = ""
    for line in "".join(blocks(page, "vectors")).splitlines():
        if line.startswith(" "):
            found[name] += line.strip()
        elif line:
            name, value = line.split()
            found[name] = value
    return found


@dataclass(frozen=True)
class Field:
    """A field of a message definition."""

    number: int
    name: str
    type: str
    repeated: bool


@cache
def messages(page: str = "docs/protocol.md") -> dict[str, tuple[Field, ...]]:
    """The protobuf messages that a page defines."""
    found = {}
    for name, body in _MESSAGE.findall("".join(blocks(page, "proto"))):
        found[name] = tuple(
            Field(int(number), field, kind, bool(repeated)) for repeated, kind, field, number in _FIELD.findall(body)
        )
    return found
