"""The output of commands: JSON documents, tables, and errors. Text from the network is neutralised first."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from betar_tui.control.wire import plain
from betar_tui.errors import OutputError
from betar_tui.market.fields import STORED
from betar_tui.market.marketplace import Difference, Imported, Listed, Listing
from betar_tui.market.text import neutralise

LISTING_FIELDS = (*(field.name for field in STORED), "provenance", "mine", "cid", "height")
"""The keys of a listing in JSON."""


def print_json(value: object) -> None:
    """Print one JSON document in ASCII, valid and safe for a terminal with any text of a peer.

    Like all functions that print to stdout, raises OutputError, and BrokenPipeError if the reader has gone."""
    _write(json.dumps(plain(value), ensure_ascii=True, allow_nan=False) + "\n")


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns as wide as their content; the last one is never cut, so that an id in it can be copied."""
    from rich.cells import cell_len  # deferred: only tables need it

    last = len(head) - 1
    safe = (tuple(neutralise(str(cell), 0 if i == last else 60) for i, cell in enumerate(row)) for row in rows)
    lines = [tuple(head), *safe]
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        _write("  ".join(cells).rstrip() + "\n")


def print_fields(fields: Mapping[str, object]) -> None:
    """Print a line "name: value" for each field."""
    for name, value in plain(fields).items():
        _write(f"{name}: {neutralise(_shown(value))}\n")


def _shown(value: object) -> str:
    """A value for a person; mappings stay JSON."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "-"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def duration(seconds: float) -> str:
    """A duration in its two largest units: 2m 48s."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    units = [(day, "d"), (hour, "h"), (minute, "m"), (second, "s")]
    first = next((i for i, (number, _) in enumerate(units) if number), 3)
    return " ".join(f"{number}{unit}" for number, unit in units[first : first + 2])


def say(text: str) -> None:
    """Print one line."""
    _write(neutralise(text) + "\n")


def complain(text: str) -> None:
    """Print one line on stderr, if there is one: the problem, its cause, and what to try."""
    if sys.stderr is None:
        return
    with suppress(OSError):  # its terminal may be gone
        sys.stderr.write(f"betar-tui: {neutralise(text)}\n")
        sys.stderr.flush()


def listing_json(listing: Listing) -> dict[str, object]:
    """A listing with the keys that scripts rely on, and `difference` where the map differs from what is shown."""
    values = {name: getattr(listing, name) for name in LISTING_FIELDS}
    if listing.difference:
        values["difference"] = str(listing.difference)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def print_entry(as_json: bool, key: str, peer: str, text: str) -> None:
    """Print what was done with a peer on a list: in JSON its id under a key, else a text."""
    if as_json:
        print_json({key: peer})
    else:
        say(text)


def print_entries(as_json: bool, key: str, entries: Sequence[Listed]) -> None:
    """Print a list of peers with the times of their entries; in JSON their ids are under a key."""
    if as_json:
        print_json([{key: each.peer_id, "at": each.at} for each in entries])
        return
    from betar_tui.market.story import day  # deferred: it brings the decoders of listings

    print_table(("SINCE", "ID"), ((day(int(each.at)) if each.at else "-", each.peer_id) for each in entries))


def state_of(listing: Listing) -> str:
    """The state of a listing in a table: what its signature proves, and whether the map differs."""
    words = {Difference.REMOVED: ", removed by another", Difference.REPLACED: ", replaced by another"}
    return f"{listing.provenance}{words.get(listing.difference, '')}"


def seller_of(listing: Listing) -> str:
    """The seller of a listing in a table. What only looks like a peer id is marked."""
    return listing.seller_id if listing.seller_is_peer else f"no peer id: {listing.seller_id}"


def import_report(imported: Imported) -> list[str]:
    """What an import did, in a line for each thing to know."""
    one = imported.skipped == 1
    if imported.new or imported.known or imported.files or not imported.skipped:
        lines = [
            f"merged {imported.new} new {'delta' if imported.new == 1 else 'deltas'} of {imported.path}; "
            f"{imported.known} {'was' if imported.known == 1 else 'were'} known, "
            f"{imported.files} {'is a metadata file' if imported.files == 1 else 'are metadata files'}"
        ]
    else:
        lines = [
            f"nothing to merge in {imported.path}: "
            + ("its one block is not a delta" if one else f"none of its {imported.skipped} blocks is a delta")
        ]
    if imported.missing == 1:
        lines.append("1 block below them is missing and will be fetched from peers")
    elif imported.missing:
        lines.append(f"{imported.missing} blocks below them are missing and will be fetched from peers")
    if imported.skipped:
        why = ", ".join(f"{each.blocks} {each.reason}" for each in imported.skipped_by_reason)
        lines.append(f"{imported.skipped} {'block was' if one else 'blocks were'} skipped: {why}")
    if imported.absent_roots:
        lines.append(
            f"{imported.absent_roots} {'root is' if imported.absent_roots == 1 else 'roots are'} not in the file"
        )
    return lines


def discard_stdout() -> None:
    """Send stdout, whose reader has gone, to /dev/null, so that the flush at exit does not fail."""
    with suppress(AttributeError, OSError, ValueError):  # stdout is missing or is not a file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _write(text: str) -> None:
    if sys.stdout is None:
        raise OutputError("stdout is closed; send the output somewhere, or to /dev/null")
    try:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))  # the terminal may lack a letter
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_stdout()  # else the flush at exit fails with the same error
        raise OutputError(f"the output cannot be written: {error}") from error
