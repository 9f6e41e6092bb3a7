"""JSON and back: which values fit which types, the reasons why others do not, and the limits, exactly."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Optional, Union

import pytest
import trio
import trio.testing

from betar_tui import errors
from betar_tui.control import wire
from betar_tui.control.wire import EVENTS, MAX_DEPTH, argument, error_to_plain, line, lines, plain, raise_plain, typed
from betar_tui.errors import BetarError, ControlError, FilterError, ListingError, StoreLockedError

SAME = "; do both sides run the same version?"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Dot:
    x: int
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Line:
    dots: tuple[Dot, ...]
    width: float = 1.0
    label: str | None = None
    end: Dot | Colour | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (Colour.BLUE, "blue"),
        (1, 1),
        (True, True),
        (None, None),
        (1.5, 1.5),
        (math.inf, None),
        (-math.inf, None),
        (math.nan, None),
        (Dot(1, Colour.BLUE), {"x": 1, "colour": "blue"}),
        ([Dot(1), (2, math.inf)], [{"x": 1, "colour": "red"}, [2, None]]),
        ({1: {"a": (math.nan,)}, None: ()}, {"1": {"a": [None]}, "None": []}),
        (
            Line((Dot(1),), end=Colour.RED, extra={"k": [Dot(2)]}),
            {
                "dots": [{"x": 1, "colour": "red"}],
                "width": 1.0,
                "label": None,
                "end": "red",
                "extra": {"k": [{"x": 2, "colour": "red"}]},
            },
        ),
    ],
)
def test_values_become_plain(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    json.dumps(found, allow_nan=False)


def test_a_plain_enumeration_is_a_plain_string() -> None:
    assert type(plain(Colour.RED)) is str
    assert plain(Dot) is Dot, "a class is not one of its instances"


def nested(depth: int, kind: type = list) -> Any:
    value: Any = "core"
    for _ in range(depth):
        value = {"k": value} if kind is dict else kind([value])
    return value


@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_deep_values_are_cut(kind: type) -> None:
    assert MAX_DEPTH == 64
    expected = dict if kind is dict else list
    assert plain(nested(64, kind), strict=True) == nested(64, expected)
    found = plain(nested(65, kind))
    for _ in range(64):
        found = found["k"] if kind is dict else found[0]
    assert found == "…"
    with pytest.raises(ListingError, match="nests deeper than 64 levels"):
        plain(nested(65, kind), strict=True)


@pytest.mark.parametrize("value", [{"a": 1}, [1], (1,)])
def test_the_depth_counts_from_where_it_is_said_to_be(value: object) -> None:
    assert plain(value, depth=MAX_DEPTH) == "…"
    assert plain(value, depth=MAX_DEPTH - 1) == (value if isinstance(value, dict) else [1])
    assert plain("text", depth=MAX_DEPTH) == "text"
    assert plain(3, depth=MAX_DEPTH) == 3


def test_a_dataclass_is_a_level_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_DEPTH", 2)
    assert plain(Line((Dot(1),), extra={"k": 1})) == plain(Line((), extra={"k": 1})) | {
        "dots": [{"x": 1, "colour": "red"}]
    }
    assert plain(Line((), extra={"k": [1]}))["extra"] == {"k": "…"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.inf, "the listing has a number that is infinite or none; people could not read that anyway"),
        (
            {"a": [Line((), width=math.nan)]},
            "the listing has a number that is infinite or none; people could not read that anyway",
        ),
        (nested(65), "the listing nests deeper than 64 levels; people could not read that anyway"),
    ],
)
def test_the_reason_why_a_listing_would_lose_something(value: object, reason: str) -> None:
    with pytest.raises(ListingError, match=f"^{re.escape(reason)}$") as caught:
        plain(value, strict=True)
    assert caught.value.field == "metadata"


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (Any, [1], [1]),
        (object, {"a": 1}, {"a": 1}),
        (int, None, None),
        (int, 3, 3),
        (str, "x", "x"),
        (bool, True, True),
        (float, 3, 3.0),
        (float, 2.5, 2.5),
        (Colour, "blue", Colour.BLUE),
        (Mapping[str, object], {"a": [1]}, {"a": [1]}),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[float, ...], [1, 2.5], (1.0, 2.5)),
        (Sequence[Colour], ["red"], (Colour.RED,)),
        (tuple[tuple[Dot, ...], ...], [[{"x": 1}], []], ((Dot(1),), ())),
        (int | str, "x", "x"),
        (Union[int, str], 3, 3),  # noqa: UP007 - the older form has another origin
        (Optional[Dot], {"x": 1}, Dot(1)),  # noqa: UP045
        (Dot | Colour | None, "blue", Colour.BLUE),
        (Dot | Colour | None, None, None),
        (Line | Dot, {"x": 4, "colour": "blue"}, Dot(4, Colour.BLUE)),
        (int | tuple[Dot | str, ...], ["a", {"x": 1}], ("a", Dot(1))),
        (Dot, {"x": 1}, Dot(1)),
        (Line, {"dots": []}, Line(())),
        (
            Line,
            {"dots": [{"x": 1}], "width": 2, "label": "l", "end": {"x": 2}, "extra": {"x": 1}},
            Line((Dot(1),), 2.0, "l", Dot(2), {"x": 1}),
        ),
    ],
)
def test_values_get_their_types_back(hint: Any, value: object, expected: object) -> None:
    found = typed(hint, value)
    assert found == expected
    assert type(found) is type(expected)
    if isinstance(found, Line):
        assert (type(found.width), typed(Line, plain(found))) == (float, found)


@pytest.mark.parametrize(
    ("hint", "value", "reason"),
    [
        (int, "x", "'x' is not a int" + SAME),
        (str, 3, "3 is not a str" + SAME),
        (float, "x", "'x' is not a float" + SAME),
        (float, True, "True is not a float" + SAME),
        (int, 1.5, "1.5 is not a int" + SAME),
        (Mapping[str, object], [1], "[1] is not a Mapping" + SAME),
        (dict[str, int], "x", "'x' is not a dict" + SAME),
        (Colour, "green", "'green' is not a valid Colour" + SAME),
        (Colour, 3, "3 is not a valid Colour" + SAME),
        (Dot, [1], "[1] is not a Dot" + SAME),
        (Dot, {"x": 1, "y": 2}, "{'x': 1, 'y': 2} is not a Dot" + SAME),
        (Dot, {"x": "1"}, "'1' is not a int" + SAME),
        (Dot, {}, "Dot: Dot.__init__() missing 1 required positional argument: 'x'" + SAME),
        (tuple[int, ...], ["x"], "'x' is not a int" + SAME),
        (int | Colour, "x", "'x' has none of the expected types" + SAME),
        (Dot | None, {"y": 1}, "{'y': 1} has none of the expected types" + SAME),
        (Line, {"dots": [], "end": 5}, "5 has none of the expected types" + SAME),
    ],
)
def test_the_reason_why_a_value_does_not_fit(hint: Any, value: object, reason: str) -> None:
    with pytest.raises(ControlError, match=f"^{re.escape(reason)}$"):
        typed(hint, value)


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int | None, None, None),
        (object, None, None),
        (Sequence[Dot | None], [None, {"x": 1}], (None, Dot(1))),
        (Line, {"dots": [], "label": None, "end": None}, Line((), label=None, end=None)),
    ],
)
def test_null_is_an_argument_where_the_type_says_so(hint: Any, value: object, expected: object) -> None:
    assert argument(hint, value) == expected


@pytest.mark.parametrize(
    ("hint", "value", "reason"),
    [
        (int, None, "an argument is null, not a int"),
        (Sequence[Dot], None, "an argument is null, not a Sequence"),
        (Sequence[Dot], [{"x": 1}, None], "None is not a Dot" + SAME),
        (Dot, {"x": None}, "None is not a int" + SAME),
        (Line, {"dots": [{"x": None}]}, "None is not a int" + SAME),
        (Line, {"dots": None}, "None is not a tuple" + SAME),
        (int | tuple[Dot, ...], [None], "[None] has none of the expected types" + SAME),
        (Colour, None, "an argument is null, not a Colour"),
        (Sequence[Colour], [None], "None is not a valid Colour" + SAME),
    ],
)
def test_null_is_no_argument_elsewhere(hint: Any, value: object, reason: str) -> None:
    with pytest.raises(ControlError, match=f"^{re.escape(reason)}$"):
        argument(hint, value)


def test_events_have_their_names() -> None:
    assert EVENTS
    assert all(kind.__name__ == name for name, kind in EVENTS.items())


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (StoreLockedError("busy", 17), {"type": "StoreLockedError", "pid": 17}),
        (ListingError("bad", "price"), {"type": "ListingError", "field": "price"}),
        (FilterError("bad", 7), {"type": "FilterError", "position": 7}),
        *(
            (kind("why"), {"type": name, **extra})
            for name, kind in vars(errors).items()
            if isinstance(kind, type) and issubclass(kind, BetarError)
            for extra in [vars(kind("why"))]
        ),
    ],
)
def test_an_error_travels(error: BetarError, data: dict[str, object]) -> None:
    sent = error_to_plain(error)
    assert sent == {"code": -32000, "message": str(error), "data": data}
    with pytest.raises(type(error)) as caught:
        raise_plain(json.loads(json.dumps(sent)))
    assert type(caught.value) is type(error)
    assert (str(caught.value), vars(caught.value)) == (str(error), vars(error))
    assert sent["data"] == data, "what was sent stays as it was"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({}, "the peer did not say why"),
        ({"data": None}, "the peer did not say why"),
        ({"message": "why", "data": {}}, "why"),
        ({"message": 3, "data": {"type": "Unheard"}}, "3"),
        ({"message": "why", "data": {"type": 5}}, "why"),
        ({"message": "why", "data": {"type": "Exception"}}, "why"),
    ],
)
def test_an_unknown_error_is_a_control_error(error: dict[str, object], reason: str) -> None:
    with pytest.raises(ControlError) as caught:
        raise_plain(error)
    assert (type(caught.value), str(caught.value)) == (ControlError, reason)


@pytest.mark.parametrize(
    ("message", "raw"),
    [
        ({}, b"{}\n"),
        ({"a": 1, "b": [1, None]}, b'{"a":1,"b":[1,null]}\n'),
        ({"ä": "\n\ud800"}, b'{"\\u00e4":"\\n\\ud800"}\n'),
    ],
)
def test_a_message_is_one_line_of_ascii(message: dict[str, object], raw: bytes) -> None:
    assert line(message) == raw
    assert read(raw) == [message]


def read(*chunks: bytes) -> list[dict[str, Any]]:
    """The messages of a stream that receives these chunks, one at a time, and ends."""

    async def journey() -> list[dict[str, Any]]:
        sending, receiving = trio.testing.memory_stream_one_way_pair()
        found: list[dict[str, Any]] = []

        async def send() -> None:
            async with sending:
                for chunk in chunks:
                    await sending.send_all(chunk)
                    await trio.testing.wait_all_tasks_blocked()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            found.extend([message async for message in lines(receiving)])
        return found

    try:
        return trio.run(journey)
    except* ControlError as group:
        raise group.exceptions[0] from None


@pytest.mark.parametrize(
    ("chunks", "messages"),
    [
        ([], []),
        ([b'{"a":1}\n'], [{"a": 1}]),
        ([b'{"a":1}'], []),
        ([b'{"a":1}\n{"b":2}\n{"c"'], [{"a": 1}, {"b": 2}]),
        ([b'{"a"', b":1}", b"\n"], [{"a": 1}]),
        ([b'{"a":1}\n{"b', b'":2}\n{"c":3}', b"\n{}\n"], [{"a": 1}, {"b": 2}, {"c": 3}, {}]),
        ([b'{"long":"' + b"x" * 200_000, b'"}\n{}\n'], [{"long": "x" * 200_000}, {}]),
    ],
)
def test_messages_are_cut_at_the_ends_of_lines(chunks: list[bytes], messages: list[dict[str, Any]]) -> None:
    assert read(*chunks) == messages


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\n", "a message on the control socket is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"{]\n", "a message on the control socket is not JSON: Expecting property name enclosed in double quotes"),
        (b'"\xff"\n', "a message on the control socket is not JSON: 'utf-8' codec can't decode byte 0xff"),
        (b"[" * 200_000 + b"\n", "a message on the control socket is not JSON: "),
        (b"[1]\n", "a message on the control socket is not an object"),
        (b"null\n", "a message on the control socket is not an object"),
    ],
)
def test_the_reason_why_a_line_is_not_a_message(raw: bytes, reason: str) -> None:
    with pytest.raises(ControlError, match=f"^{re.escape(reason)}"):
        read(raw)
    with pytest.raises(ControlError, match=f"^{re.escape(reason)}" + "$" * reason.endswith("object")):
        read(b"{}\n" + raw)


def test_a_line_without_an_end_is_refused_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wire.MAX_LINE == 64 << 20
    monkeypatch.setattr(wire, "MAX_LINE", 10)
    assert read(b'{"a":"12"}', b"\n{}\n") == [{"a": "12"}, {}]
    assert read(b"{}\n" * 20) == 20 * [{}], "lines are counted one by one"
    with pytest.raises(ControlError, match="^a message on the control socket exceeds 10 bytes$"):
        read(b'{"a":"123"}', b"\n")


@pytest.mark.parametrize("hint", [tuple[int, ...], tuple[int, ...] | float])
def test_a_text_where_a_sequence_belongs_is_refused(hint: object) -> None:
    with pytest.raises(ControlError, match="'x'"):
        typed(hint, "x")
