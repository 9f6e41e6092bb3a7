"""The grammar of the commands: help and arguments. Their code is in `commands`, imported when one is given."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping

TYPE_CHECKING = False  # true to type checkers; `typing` is slow to import
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from betar_tui.market.fields import Field


class Command:
    """One command: what help says, its arguments, and an example. Not a dataclass, which would take longer than all of
    `--help`."""

    __slots__ = ("arguments", "example", "help")

    def __init__(self, help: str, arguments: Callable[[argparse.ArgumentParser], object], example: str = "") -> None:
        self.help, self.arguments, self.example = help, arguments, example


class CommandParser(argparse.ArgumentParser):
    """The parser of one command, made when it is first used: of all commands, one is given.

    `fill` adds the arguments; the others are those of ArgumentParser."""

    def __init__(self, *, fill: Callable[[argparse.ArgumentParser], object], **options: Any) -> None:
        self._deferred = fill, options

    def __getattr__(self, name: str) -> Any:
        # Only an attribute that is not there yet comes here: the first one makes all of them.
        deferred = self.__dict__.pop("_deferred", None)
        if deferred is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        fill, options = deferred
        super().__init__(**options)
        fill(self)
        return getattr(self, name)


def _number_of(field: Field) -> Callable[[str], float]:
    """The parser of a number, which has the field's name in argparse's message."""
    from betar_tui.market.fields import Kind

    def parse(text: str) -> float:
        if field.kind is Kind.INTEGER:
            return int(text)
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(text)
        return int(value) if value.is_integer() and "." not in text and "e" not in text.lower() else value

    parse.__name__ = field.name
    return parse


_MOST = (1 << 63) - 1
"""Greatest integer that SQLite stores."""


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return min(value, _MOST)


_count.__name__ = "count"  # argparse names it in its message


def _path(text: str) -> Path:
    from pathlib import Path  # deferred: only few commands take one

    return Path(text)


def _only_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def _with_id(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("id", metavar="ID", help="the listing's id, as list prints it")


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("filter", nargs="?", default="", metavar="FILTER", help="such as: ocr price<0.5 or seller:you")
    parser.add_argument(
        "--sort", default="", metavar="COLUMN", help="name price seller seen state; --sort=-price descends"
    )
    parser.add_argument("--limit", type=_count, default=0, metavar="N", help="at most N (default 0: all)")
    parser.add_argument("--all", action="store_true", help="those of muted sellers too")


def _listing_fields(parser: argparse.ArgumentParser) -> None:
    from betar_tui.market.fields import ENTERED, Kind  # deferred: few commands take them

    for field in ENTERED:
        if field.option:
            flag, metavar, text = field.option
            parse = _number_of(field) if field.kind in (Kind.NUMBER, Kind.INTEGER) else str
            action = "append" if field.kind in (Kind.TEXTS, Kind.OBJECT) else "store"
            parser.add_argument(flag, dest=field.name, metavar=metavar, help=text, type=parse, action=action)


def _publish_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    _listing_fields(parser)
    parser.add_argument("--file", type=_path, metavar="F.json", help="one listing, or an array of them")


def _update_arguments(parser: argparse.ArgumentParser) -> None:
    _with_id(parser)
    _listing_fields(parser)


def _watch_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("--all", action="store_true", help="refreshes too, which change only the timestamp")


def _connect_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("multiaddr", metavar="MULTIADDR", help="ends in /p2p/<peer id>")


def _peer_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument(
        "peer",
        metavar="PEER",
        help="a peer id, or the beginning of that of a connected peer, a seller or a blocked peer",
    )


def _seller_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument(
        "seller", metavar="SELLER", help="a peer id, or the beginning of that of a seller in the market"
    )


def _log_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("--limit", type=_count, default=50, metavar="N", help="default 50")


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("file", type=_path, metavar="F.car")
    parser.add_argument("--heads", nargs="+", default=[], metavar="CID", help="what to export (default: all heads)")


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("file", type=_path, metavar="F.car")


def _doctor_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("--rebuild", action="store_true", help="make the catalogue afresh from the replica first")


COMMANDS: Mapping[str, Command] = {
    "list": Command("the listings, filtered and sorted", _list_arguments, "betar-tui list --all state:muted"),
    "show": Command("one listing with its history", _with_id),
    "publish": Command("publish a listing", _publish_arguments),
    "update": Command("change a listing of yours", _update_arguments),
    "delist": Command("remove a listing of yours", _with_id),
    "watch": Command("changes as they are applied", _watch_arguments),
    "status": Command("the peer and its replica in numbers", _only_json, "betar-tui status --json | jq .limits"),
    "peers": Command("the connected peers", _only_json),
    "connect": Command("dial a peer and remember it", _connect_arguments),
    "block": Command(
        "have nothing to do with a peer: not dialled, not let in", _peer_arguments, "betar-tui block 12D3KooWGRUK"
    ),
    "unblock": Command("let a blocked peer in again", _peer_arguments, "betar-tui unblock 12D3KooWGRUK"),
    "blocked": Command("the blocked peers", _only_json),
    "mute": Command("leave a seller's listings out", _seller_arguments, "betar-tui mute 12D3KooWGRUK"),
    "unmute": Command("show a muted seller's listings again", _seller_arguments, "betar-tui unmute 12D3KooWGRUK"),
    "muted": Command("the muted sellers", _only_json),
    "heads": Command("the heads of the Merkle-DAG", _only_json),
    "log": Command("the deltas applied last", _log_arguments),
    "export": Command("write the replica's DAG, with metadata files, as a CARv1 file", _export_arguments),
    "import": Command("merge a CAR file", _import_arguments),
    "doctor": Command("check store, catalogue, key, port, clock and connectivity", _doctor_arguments),
    "locate": Command("where things are kept", _only_json),
}
