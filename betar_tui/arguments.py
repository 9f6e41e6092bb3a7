"""The commands: what help says of them, their arguments, and examples that run as they stand. `parsing` makes the parser
of this table; the code of the commands is in `commands`, imported when one is given."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping

from betar_tui.choices import CURRENCY, SHELLS, STDIO

TYPE_CHECKING = False  # true to type checkers; `typing` is slow to import
if TYPE_CHECKING:
    from pathlib import Path

    from betar_tui.market.fields import Field

MARKET, PEERS, REPLICA, HERE = "the market", "other peers", "the replica", "this peer, and help"
"""The groups of commands, in the order of `betar-tui --help`."""
STRANGER = "12D3KooWGRUKZ8sRKx5n3xzwtTxhsHCqDM1NXGDRYrbkkmqBKqyk"
"""A peer id for examples."""

FILTERS = (
    ("ocr", 'word in the name, the description or the seller; "two words" in quotes'),
    ("!beta", "is in none of them; ! turns any other term around too"),
    ("name:ocr", "in the name; also description: id: proto: token:"),
    ("price<0.5", "also <= > >= = !="),
    ("seen<2h", "came or changed less than that ago: s m h d w; also >"),
    ("seller:you", "yours; or a part of a seller's id, as seller:12D3"),
    ("tag:nlp", "is one of its tags"),
    ("meta.tier:gold", "is the value of this key of its metadata"),
    ("state:new", "or verified, unsigned, mine, stale, muted"),
    ("ocr or tag:nlp", "meets what stands before or, or what stands after it"),
)
"""The grammar of filters (`market.filter`), in the few words of help."""

ID = "the listing's id or name, or the beginning of one"
OWN_ID = "the id or the name of a listing of yours, or the beginning of one"
PRICES = (
    f"""A price is in {CURRENCY} for each task; 0 is free. The program moves no money: the buyer pays the seller."""
)


class Command:
    """One command: its group, what help says in a line and below the arguments, and examples. Not a dataclass, which would
    take longer than all of `--help`."""

    __slots__ = ("arguments", "examples", "group", "help", "more")

    def __init__(
        self,
        group: str,
        help: str,
        arguments: Callable[[argparse.ArgumentParser], object],
        *examples: str,
        more: str = "",
    ) -> None:
        self.group, self.help, self.arguments, self.examples, self.more = group, help, arguments, examples, more


def decimal(text: str) -> float:
    """A number as people write it: 3, 0.05, 1e-3. Python would also take 1_000 and digits of other scripts.

    Raises ValueError."""
    if "_" in text or not text.strip().isascii() or not math.isfinite(value := float(text)):
        raise ValueError(text)
    return int(value) if value.is_integer() and "." not in text and "e" not in text.lower() else value


def whole(text: str) -> int:
    """The same for a whole number. Raises ValueError."""
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return int(text)


def _parser_of(field: Field) -> Callable[[str], object]:
    """What reads a field: argparse says why a text is refused. The value is judged as any other of a listing."""
    from betar_tui.market.fields import InvalidValue, Kind

    if field.kind is Kind.OBJECT:
        return str

    def parse(text: str) -> object:
        value: object = text
        try:
            if field.kind in (Kind.NUMBER, Kind.INTEGER):
                value = decimal(text) if field.kind is Kind.NUMBER else whole(text)
        except ValueError:
            what = "number; write it like 0.05" if field.kind is Kind.NUMBER else "whole number; write it like 3"
            raise argparse.ArgumentTypeError(f"invalid {field.name} value: {text!r} is not a {what}") from None
        if any("\ud800" <= each <= "\udfff" for each in text):
            return value  # not UTF-8: `cli` says so
        try:
            field.validate([value] if field.kind is Kind.TEXTS else value)
        except InvalidValue as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return value

    return parse


_MOST = (1 << 63) - 1
"""Greatest integer that SQLite stores."""


def _count(text: str) -> int:
    value = whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0; 0 means all")
    return min(value, _MOST)


_count.__name__ = "count"  # argparse names it in its message


def path_of(text: str) -> Path:
    """A path that was given. Only the text "-" itself becomes the path `STDIO`. Raises ArgumentTypeError."""
    from pathlib import Path  # deferred: only few commands take one

    if not text:
        raise argparse.ArgumentTypeError("an empty text is not a path")
    if "\0" in text:
        raise argparse.ArgumentTypeError("a path has no zero bytes")
    path = Path(text)
    # A path forgets that it was given as ./-, by which people name a file that is called so.
    return path.absolute() if str(path) == STDIO != text else path


def _nothing(parser: argparse.ArgumentParser) -> None:
    pass


def _only_json(parser: argparse.ArgumentParser) -> None:
    # Left out where it is not given, so that one before the command counts too.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON, for scripts")


def _with_id(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("id", metavar="ID", help=ID)


def _with_own_id(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("id", metavar="ID", help=OWN_ID)


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("filter", nargs="?", default="", metavar="FILTER", help="which listings; see below")
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
            action = "append" if field.kind in (Kind.TEXTS, Kind.OBJECT) else "store"
            parser.add_argument(
                flag, dest=field.name, metavar=metavar, help=text, type=_parser_of(field), action=action
            )


def _publish_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    _listing_fields(parser)
    parser.add_argument(
        "--file", type=path_of, metavar="F.json", help="one listing, or an array of them; - reads them from stdin"
    )


def _update_arguments(parser: argparse.ArgumentParser) -> None:
    _with_own_id(parser)
    _listing_fields(parser)
    parser.add_argument(
        "--no-meta", action="append", default=[], metavar="K", help="take this key out of the metadata; repeat"
    )


def _watch_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument(
        "--all", action="store_true", help="those of muted sellers too, and refreshes, which change only the timestamp"
    )


def _connect_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    text = "ends in /p2p/<peer id>, as /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW…; betar-tui address prints that of a peer"
    parser.add_argument("multiaddr", metavar="MULTIADDR", help=text)


def _peer_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    text = "a peer id, or the beginning of that of a connected peer, a seller or a blocked peer"
    parser.add_argument("peer", metavar="PEER", help=text)


def _seller_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    text = "a peer id, or the beginning of that of a seller in the market"
    parser.add_argument("seller", metavar="SELLER", help=text)


def _log_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument(
        "--limit", type=_count, default=50, metavar="N", help="at most N (default 50; 0: all, up to 10,000)"
    )


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    # It may stand behind the CIDs, where argparse takes it for one of them; see `parsing.file_and_heads`.
    parser.add_argument("file", type=path_of, nargs="?", metavar="F.car", help="where to; - writes it to stdout")
    text = "what to export, with all below it (default: all heads)"
    parser.add_argument("--heads", nargs="+", action="extend", default=[], metavar="CID", help=text)


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("file", type=path_of, metavar="F.car", help="a CARv1 file; - reads it from stdin")


def _doctor_arguments(parser: argparse.ArgumentParser) -> None:
    _only_json(parser)
    parser.add_argument("--rebuild", action="store_true", help="make the catalogue afresh from the replica first")


def _completion_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")


def _help_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("about", nargs="?", choices=("", *COMMANDS), default="", metavar="COMMAND", help="which one")


_FILTER_LINES = "filter:\n" + "\n".join(f"  {term}\t{text}" for term, text in FILTERS) + "\n\nAll terms must be met."
_IN_FILES = """A file has an object, or an array of objects, with the keys name, price, description, tags, metadata,
addrs, protocols and token_id, as betar-tui list --json prints them."""
_INSTALLED = """To have it in every shell, put it where the shell looks: for bash
~/.local/share/bash-completion/completions/betar-tui, for zsh a file _betar-tui in a directory of $fpath, for fish
~/.config/fish/completions/betar-tui.fish."""

COMMANDS: Mapping[str, Command] = {
    "list": Command(
        MARKET,
        "the listings, filtered and sorted",
        _list_arguments,
        "betar-tui list",
        "betar-tui list 'ocr price<0.5' --sort price",
        "betar-tui list 'seller:you or meta.tier:gold' --json",
        "betar-tui list --all state:muted",
        more=f"{_FILTER_LINES}\n\n{PRICES}",
    ),
    "show": Command(MARKET, "one listing with its history", _with_id, "betar-tui show swift-ocr"),
    "publish": Command(
        MARKET,
        "publish a listing",
        _publish_arguments,
        "betar-tui publish --name swift-ocr --price 0.05 --tag ocr --meta tier=gold",
        'echo \'[{"name": "a", "price": 1}]\' | betar-tui publish --file -',
        more=f"{PRICES}\n\n{_IN_FILES}",
    ),
    "update": Command(
        MARKET,
        "change a listing of yours",
        _update_arguments,
        "betar-tui update swift-ocr --price 0.04 --meta tier=gold",
        more=f"Fields that are not given stay as they are; of tags, addresses and protocols all are replaced.\n\n{PRICES}",
    ),
    "delist": Command(MARKET, "remove a listing of yours", _with_own_id, "betar-tui delist swift-ocr"),
    "watch": Command(
        MARKET,
        "changes as they are applied, until Ctrl+C",
        _watch_arguments,
        "betar-tui watch",
        "betar-tui watch --json",
    ),
    "peers": Command(PEERS, "the connected peers", _only_json, "betar-tui peers"),
    "connect": Command(
        PEERS,
        "dial a peer and remember it",
        _connect_arguments,
        'betar-tui connect "$(betar-tui address --data-dir ~/second-peer)"',
    ),
    "block": Command(
        PEERS,
        "have nothing to do with a peer: not dialled, not let in",
        _peer_arguments,
        f"betar-tui block {STRANGER}",
        more="Its listings still come through other peers; betar-tui mute hides them.",
    ),
    "unblock": Command(PEERS, "let a blocked peer in again", _peer_arguments, "betar-tui unblock 12D3KooWGRUK"),
    "blocked": Command(PEERS, "the blocked peers", _only_json, "betar-tui blocked"),
    "mute": Command(PEERS, "leave a seller's listings out", _seller_arguments, f"betar-tui mute {STRANGER}"),
    "unmute": Command(
        PEERS, "show a muted seller's listings again", _seller_arguments, "betar-tui unmute 12D3KooWGRUK"
    ),
    "muted": Command(PEERS, "the muted sellers", _only_json, "betar-tui muted"),
    "heads": Command(REPLICA, "the heads of the Merkle-DAG", _only_json, "betar-tui heads"),
    "log": Command(REPLICA, "the deltas applied last", _log_arguments, "betar-tui log --limit 5"),
    "export": Command(
        REPLICA,
        "write the replica's DAG, with metadata files, as a CARv1 file",
        _export_arguments,
        "betar-tui export market.car",
        "betar-tui export - | gzip > market.car.gz",
    ),
    "import": Command(
        REPLICA,
        "merge a CAR file",
        _import_arguments,
        "betar-tui import market.car",
        "gunzip < market.car.gz | betar-tui import -",
    ),
    "status": Command(
        HERE, "the peer and its replica in numbers", _only_json, "betar-tui status", "betar-tui status --json"
    ),
    "address": Command(
        HERE,
        "where others reach this peer: what a friend gives to connect",
        _only_json,
        "betar-tui address",
    ),
    "doctor": Command(
        HERE,
        "check settings, store, catalogue, key, port, clock and connectivity",
        _doctor_arguments,
        "betar-tui doctor",
    ),
    "locate": Command(HERE, "where things are kept", _only_json, "betar-tui locate"),
    "help": Command(HERE, "this text, or that of a command", _help_arguments, "betar-tui help list"),
    "completion": Command(
        HERE,
        "what makes a shell complete commands and options",
        _completion_arguments,
        "source <(betar-tui completion bash)",
        more=_INSTALLED,
    ),
    "man": Command(HERE, "the manual page", _nothing, "betar-tui man > betar-tui.1"),
}
