"""What commands print: JSON documents, tables for people, and complaints. Text from the network is made safe first."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from rich.cells import cell_len

from betar_tui.control.wire import plain
from betar_tui.errors import OutputError
from betar_tui.market.marketplace import Listing
from betar_tui.market.text import neutralise

LISTING_FIELDS = (
    "id",
    "name",
    "price",
    "metadata",
    "seller_id",
    "addrs",
    "protocols",
    "timestamp",
    "token_id",
    "provenance",
    "mine",
    "cid",
    "height",
)
"""The keys of a listing in JSON."""


def print_json(value: object, *, pretty: bool = False) -> None:
    """One JSON document, in ASCII: whatever a peer wrote, it is valid, and a terminal that it ends up on only shows it.

    Like all that prints here, raises OutputError, and BrokenPipeError where the reader has left.
    """
    _write(json.dumps(plain(value), ensure_ascii=True, allow_nan=False, indent=2 if pretty else None) + "\n")


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their content, the last one whole, so that an id in it can be copied."""
    last = len(head) - 1
    safe = (tuple(neutralise(str(cell), 0 if i == last else 60) for i, cell in enumerate(row)) for row in rows)
    lines = [tuple(head), *safe]
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        _write("  ".join(cells).rstrip() + "\n")


def print_fields(fields: Mapping[str, object]) -> None:
    """One "name: value" a line."""
    for name, value in plain(fields).items():
        _write(f"{name}: {neutralise(_shown(value))}\n")


def _shown(value: object) -> str:
    """A value for a person; what has parts stays JSON."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "-"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def duration(seconds: float) -> str:
    """A time as people say it, in its two largest units: 2m 48s."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    units = [(day, "d"), (hour, "h"), (minute, "m"), (second, "s")]
    first = next((i for i, (number, _) in enumerate(units) if number), 3)
    return " ".join(f"{number}{unit}" for number, unit in units[first : first + 2])


def say(text: str) -> None:
    """One line for a person."""
    _write(neutralise(text) + "\n")


def complain(text: str) -> None:
    """One line on stderr: what, why, what to try. Where there is none, nobody is told."""
    if sys.stderr is None:
        return
    sys.stderr.write(f"betar-tui: {neutralise(text)}\n")
    sys.stderr.flush()


def listing_json(listing: Listing) -> dict[str, object]:
    """A listing with the keys that scripts rely on."""
    values = {name: getattr(listing, name) for name in LISTING_FIELDS}
    return {name: list(each) if isinstance(each, tuple) else each for name, each in values.items()}


def discard_stdout() -> None:
    """Whoever read stdout has left: what is still to be flushed goes nowhere."""
    with suppress(AttributeError, OSError, ValueError):  # there is none, or it is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _write(text: str) -> None:
    if sys.stdout is None:
        raise OutputError("stdout is closed; send the output somewhere, or to /dev/null")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_stdout()  # or it is tried again at the end, and complained of once more
        raise OutputError(f"the output cannot be written: {error}") from error
