"""The output of commands: JSON documents, tables, and errors. Text from the network is neutralised first."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence

from betar_tui.control.wire import plain
from betar_tui.layout import Column, cut_id, filled, table_lines, whole
from betar_tui.market.fields import STORED
from betar_tui.market.marketplace import Difference, Imported, Listed, Listing
from betar_tui.market.text import neutralise
from betar_tui.plurals import plural
from betar_tui.stdout import legible, width, write

LISTING_FIELDS = (*(field.name for field in STORED), "provenance", "mine", "cid", "height")
"""The keys of a listing in JSON."""


def print_json(value: object) -> None:
    """Print one JSON document in ASCII, valid and safe for a terminal with any text of a peer.

    Like all functions that print to stdout, raises OutputError, and BrokenPipeError if the reader has gone."""
    write(json.dumps(plain(value), ensure_ascii=True, allow_nan=False) + "\n")


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """Print columns that share the width of the terminal; in a pipe each is as wide as its content."""
    mark = legible("…")
    safe = (tuple(legible(neutralise(str(cell))) for cell in row) for row in rows)
    for line in table_lines(columns, safe, width(), mark):
        write(f"{line}\n")


def print_fields(fields: Mapping[str, object]) -> None:
    """Print a line "name: value" for each field, or more lines where the terminal is narrower."""
    for name, value in plain(fields).items():
        say(f"{name}: {_shown(value)}")


def _shown(value: object) -> str:
    """A value for a person; mappings stay JSON."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "-"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def confirmed(question: str) -> bool:
    """Whether a person says yes to a question. Where nobody is asked, as in a script, that is what was said."""
    if sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    sys.stderr.write(legible(f"betar-tui: {neutralise(question)} [y/N] ", sys.stderr.encoding))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def duration(seconds: float) -> str:
    """A duration in its two largest units: 2m 48s."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    units = [(day, "d"), (hour, "h"), (minute, "m"), (second, "s")]
    first = next((i for i, (number, _) in enumerate(units) if number), 3)
    return " ".join(f"{number}{unit}" for number, unit in units[first : first + 2])


def say(text: str) -> None:
    """Print one line, or more where the terminal is narrower."""
    for line in filled(legible(neutralise(text)), width()):
        write(f"{line}\n")


def print_lines(lines: Iterable[str]) -> None:
    """Print lines; those that begin with spaces keep them, also where the terminal is narrower."""
    for line in lines:
        safe = legible(neutralise(line))
        margin = " " * (len(safe) - len(safe.lstrip(" ")))
        for part in filled(safe[len(margin) :], _less(width(), len(margin))):
            write(f"{margin}{part}\n")


def _less(columns: int | None, by: int) -> int | None:
    return None if columns is None else max(columns - by, 8)


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
    if not entries:
        say("none")
        return
    from betar_tui.market.story import day  # deferred: it brings the decoders of listings

    columns = Column("SINCE", whole, rank=1), Column("ID", cut_id, 13)
    print_table(columns, ((day(int(each.at)) if each.at else "-", each.peer_id) for each in entries))


def state_of(listing: Listing) -> str:
    """The state of a listing in a table: what its signature proves, and whether the map differs."""
    words = {Difference.REMOVED: ", removed by another", Difference.REPLACED: ", replaced by another"}
    return f"{listing.provenance}{words.get(listing.difference, '')}"


def seller_of(listing: Listing) -> str:
    """The seller of a listing in a table. What only looks like a peer id is marked."""
    return listing.seller_id if listing.seller_is_peer else f"no peer id: {listing.seller_id}"


def import_report(imported: Imported) -> list[str]:
    """What an import did, in a line for each thing to know."""
    if imported.new or imported.known or imported.files or not imported.skipped:
        lines = [
            f"merged {plural(imported.new, 'new delta')} of {imported.path}; "
            f"{plural(imported.known, 'was known', 'were known')}, "
            f"{plural(imported.files, 'is a metadata file', 'are metadata files')}"
        ]
    else:
        lines = [
            f"nothing to merge in {imported.path}: "
            + (
                "its one block is not a delta"
                if imported.skipped == 1
                else f"none of its {imported.skipped:,} blocks is a delta"
            )
        ]
    if imported.missing:
        missing = plural(imported.missing, "block below them is missing", "blocks below them are missing")
        lines.append(f"{missing} and will be fetched from peers")
    if imported.skipped:
        why = ", ".join(f"{each.blocks:,} {each.reason}" for each in imported.skipped_by_reason)
        lines.append(f"{plural(imported.skipped, 'block was', 'blocks were')} skipped: {why}")
    if imported.absent_roots:
        lines.append(f"{plural(imported.absent_roots, 'root is', 'roots are')} not in the file")
    return lines
