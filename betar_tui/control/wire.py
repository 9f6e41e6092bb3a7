"""The marketplace's dataclasses as JSON and back, by their own type hints. No sockets."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin

from betar_tui import errors
from betar_tui.errors import BetarError, ControlError, ListingError
from betar_tui.market import marketplace

if TYPE_CHECKING:
    import trio  # not more: commands that ask a running peer do without trio

T = TypeVar("T")

MAX_LINE = 64 << 20
"""Maximum bytes of a line that is read. Publishing a hundred thousand listings at once fits; long answers come in parts."""
MAX_DEPTH = 64
"""Maximum depth of nested values. Deeper ones, which no honest listing has, are replaced by "…"."""
PING_CALL = "ping"
"""The call that only asks whether the peer is alive; its result is `ALIVE`."""
ALIVE = "alive"
EVENTS: Mapping[str, type] = {kind.__name__: kind for kind in get_args(marketplace.Event)}
"""The events by name."""

_ERRORS: Mapping[str, type[BetarError]] = {
    name: each for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, BetarError)
}


def plain(value: object, *, strict: bool = False, depth: int = 0) -> Any:
    """A dataclass, or a sequence of them, as plain JSON values. An infinite number, which JSON lacks, becomes None.

    With `strict`, raises ListingError where something would be lost."""
    if isinstance(value, str):
        return str(value) if isinstance(value, StrEnum) else value
    if isinstance(value, float) and not math.isfinite(value):
        return _lost(None, "has a number that is infinite or none", strict)
    if depth == MAX_DEPTH and isinstance(value, Mapping | list | tuple):
        return _lost("…", f"nests deeper than {MAX_DEPTH} levels", strict)
    further: Any = {"strict": strict, "depth": depth + 1}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), **further) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each, **further) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each, **further) for each in value]
    return value


def _lost(left: T, why: str, strict: bool) -> T:
    if strict:
        raise ListingError(f"the listing {why}; people could not read that anyway", "metadata")
    return left


def typed(hint: Any, value: Any, *, nulls: bool = True) -> Any:
    """The inverse of `plain`: the value as an instance of `hint`. With `nulls`, None passes for everything, as it stands for
    an infinite number. Raises ControlError where it does not fit."""
    origin = get_origin(hint)
    if hint in (Any, object) or (value is None and (nulls or _may_be_none(hint))):
        return value
    if origin in (Union, types.UnionType):
        return _one_of(get_args(hint), value, nulls)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping) or value.keys() - _hints(hint).keys():
            raise ControlError(f"{value!r} is not a {hint.__name__}; do both sides run the same version?")
        try:
            return hint(**{name: typed(_hints(hint)[name], each, nulls=nulls) for name, each in value.items()})
        except TypeError as error:
            raise ControlError(f"{hint.__name__}: {error}; do both sides run the same version?") from error
    if origin in (tuple, Sequence) and isinstance(value, list):
        return tuple(typed(get_args(hint)[0], each, nulls=nulls) for each in value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        try:
            return hint(value)
        except ValueError as error:
            raise ControlError(f"{error}; do both sides run the same version?") from error
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # A text is a sequence too, but not one of these.
    expected = Mapping if origin in (Mapping, dict) else list if origin in (tuple, Sequence) else origin or hint
    if not isinstance(value, expected):
        raise ControlError(f"{value!r} is not a {getattr(hint, '__name__', hint)}; do both sides run the same version?")
    return value


def argument(hint: Any, value: Any) -> Any:
    """The same for an argument of a call, in which there is None only where a hint says so."""
    if value is None and hint not in (Any, object) and not _may_be_none(hint):
        raise ControlError(f"an argument is null, not a {getattr(hint, '__name__', hint)}")
    return typed(hint, value, nulls=False)


def _may_be_none(hint: Any) -> bool:
    return hint is types.NoneType or types.NoneType in get_args(hint)


def error_to_plain(error: BetarError) -> dict[str, object]:
    """An error as it travels, with what its class needs to be raised again."""
    return {"code": -32000, "message": str(error), "data": {"type": type(error).__name__, **vars(error)}}


def raise_plain(error: Mapping[str, Any]) -> typing.NoReturn:
    """Raise the error that travelled."""
    data = dict(error.get("data") or {})
    kind = _ERRORS.get(str(data.pop("type", "")), ControlError)
    raise kind(str(error.get("message", "the peer did not say why")), **data)


def line(content: Mapping[str, object]) -> bytes:
    """One message as it is sent. Text may contain lone surrogates, which only survive as ASCII escapes."""
    return json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


async def lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[dict[str, Any]]:
    """The messages of a stream until it ends. Raises ControlError for a line that is not a message."""
    buffer = bytearray()
    searched = 0
    while True:
        end = buffer.find(b"\n", searched)
        if end >= 0:
            raw = bytes(buffer[:end])
            del buffer[: end + 1]
            searched = 0
            yield message(raw)
            continue
        searched = len(buffer)
        if searched > MAX_LINE:
            raise too_long()
        chunk = await stream.receive_some(65536)
        if not chunk:
            return
        buffer += chunk


def too_long() -> ControlError:
    """The error of a line that exceeds `MAX_LINE`."""
    return ControlError(f"a message on the control socket exceeds {MAX_LINE} bytes")


def message(raw: bytes) -> dict[str, Any]:
    """The message in a line. Raises ControlError."""
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ControlError(f"a message on the control socket is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ControlError("a message on the control socket is not an object")
    return content


def _one_of(hints: Sequence[Any], value: Any, nulls: bool) -> Any:
    for hint in hints:
        try:
            return typed(hint, value, nulls=nulls)
        except (ControlError, ValueError):
            continue
    raise ControlError(f"{value!r} has none of the expected types; do both sides run the same version?")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
