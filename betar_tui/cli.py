"""The command line (the contract is `betar-tui --help`): what the arguments mean. `commands` has the commands.

The only place that reads argv and the environment. Results go to stdout, everything else to stderr; a person's or a
peer's mistake is one line, never a traceback.

What is asked for is known once the arguments are parsed, and only then is imported what that needs: `--help` needs
nothing more, and `--version` not even argparse; a command that asks a running peer needs no trio, Textual is for the
interface alone and libp2p for the peer alone. So this module imports little, and its functions the rest."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence

from betar_tui import __version__
from betar_tui.errors import BetarError, OutputError, UsageError

TYPE_CHECKING = False  # true to type checkers; `typing` is slow to import
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from betar_tui.config import Config

    Work = Callable[[], Coroutine[Any, Any, int | None]]

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_PREFIX = "BETAR_TUI_"


def main(argv: Sequence[str] | None = None) -> int:
    """Run betar-tui; the exit code."""
    given = sys.argv[1:] if argv is None else argv
    try:
        if list(given) == ["--version"]:
            return _print_version()
        arguments = build_parser().parse_args(given)
        _require_utf8(arguments)
        config = read_config(arguments, os.environ)
        if arguments.command:
            return _command(config, arguments)
        if arguments.serve:
            return _serve(config)
        if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
            raise UsageError(
                "the interface needs a terminal; betar-tui --serve runs without one, betar-tui list prints"
            )
        return _demo() if arguments.demo else _interface(config)
    except UsageError as error:
        return _explained(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # as in `betar-tui list | head`: the reader has what it wanted
        from betar_tui.output import discard_stdout

        discard_stdout()
        return DONE


def _require_utf8(arguments: argparse.Namespace) -> None:
    """Raises UsageError for a text that is not valid UTF-8: nothing that is looked for or stored can be one. A path may."""
    for name, value in vars(arguments).items():
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, str) and name not in _PATHS and not _is_utf8(text):
                shown = os.fsencode(text).decode(errors="backslashreplace")
                raise UsageError(f"{name.replace('_', '-')}: {shown} is not valid UTF-8; type it in a terminal that is")


def _is_utf8(text: str) -> bool:
    # What is not comes as halves of characters, see `os.fsdecode`.
    return not any("\ud800" <= each <= "\udfff" for each in text)


def _print_version() -> int:
    """The same as that of argparse, whose import would take longer than all else. Raises BrokenPipeError."""
    try:
        print(f"betar-tui {__version__}", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        from betar_tui.output import discard_stdout

        discard_stdout()  # else the flush at exit fails with the same error
        return _explained(OutputError(f"the output cannot be written: {error}"))
    return DONE


def _command(config: Config, arguments: argparse.Namespace) -> int:
    from betar_tui import commands, eventloop, logs

    gc.enable()  # `__main__` has switched it off; the interface switches it on later, see `startup`
    logs.configure("warning", config.log_format, config.log_file)
    return _run(eventloop.run, lambda: commands.COMMANDS[arguments.command](config, arguments))


def _serve(config: Config) -> int:
    import trio

    from betar_tui import logs
    from betar_tui.config import prepare_data_dir
    from betar_tui.serving import serve

    gc.enable()
    prepare_data_dir(config.data_dir)
    logs.configure(config.log_level, config.log_format, config.log_file)
    return _run(trio.run, lambda: serve(config))


def _demo() -> int:
    """The interface on a market that lives as long as it does."""
    import trio

    from betar_tui.demo import run_demo

    return _run(trio.run, run_demo)


def _interface(config: Config) -> int:
    from dataclasses import replace

    import trio

    from betar_tui import logs, startup
    from betar_tui.config import prepare_data_dir

    prepare_data_dir(config.data_dir)
    log_file = config.log_file or config.data_dir / logs.FILE_NAME
    logs.configure(config.log_level, config.log_format, log_file)
    # A person in front of the interface is likely to be behind a router of their own.
    config = replace(config, upnp=config.upnp is not False)
    return _run(trio.run, lambda: startup.run_interface(config, log_file))


def _run(run: Callable[[Work], int | None], work: Work) -> int:
    """Run a coroutine to its end, by `trio.run` or the like; a `BetarError` in it is a message and an exit code."""
    try:
        return run(work) or DONE
    except BetarError as error:
        return _explained(error)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt):
            raise KeyboardInterrupt from group
        if group.subgroup(BrokenPipeError):
            raise BrokenPipeError from group
        expected, other = group.split(BetarError)
        if other is not None or expected is None:
            raise
        return _explained(_first(expected))


def _explained(error: BaseException) -> int:
    from betar_tui.output import complain

    complain(str(error))
    return USAGE if isinstance(error, UsageError) else FAILED


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def read_config(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Config:
    """The settings: command line over environment over config.toml. Raises ConfigError."""
    from betar_tui.config import expand_home, load_config

    given: dict[str, object] = {}
    for name in _SETTINGS:
        value = getattr(arguments, name, None)
        if value is None:
            value = environment.get(_PREFIX + name.upper())
        if value is not None:
            given[name] = value
    data_dir = getattr(arguments, "data_dir", None) or environment.get(_PREFIX + "DATA_DIR") or _default_data_dir()
    return load_config(expand_home(data_dir), given)


def _default_data_dir() -> str:
    import platformdirs

    try:
        return platformdirs.user_data_dir("betar-tui", appauthor=False)
    except RuntimeError as error:
        raise UsageError("your home directory is not known; choose a --data-dir") from error


_PATHS = ("data_dir", "log_file")
_SETTINGS = (
    "listen",
    "bootstrap",
    "mdns",
    "dht",
    "dht_server",
    "upnp",
    "announce_interval",
    "refresh_interval",
    "listing_dialect",
    "log_level",
    "log_format",
    "log_file",
    "listings_per_seller",
    "unsigned_per_peer",
    "max_disk",
)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Options may stand before or after the command."""
    import argparse

    from betar_tui.arguments import COMMANDS, CommandParser

    options: list[Any] = [_options()]  # which typeshed wants to be of the same class as the parsers that have them
    parser = argparse.ArgumentParser(
        prog="betar-tui",
        parents=options,
        description="A terminal browser for a decentralised marketplace of AI agents, and a full peer of it. Without a"
        " command: the interface.",
    )
    parser.add_argument("--version", action="version", version=f"betar-tui {__version__}")
    parser.add_argument("--serve", action="store_true", help="run the peer alone, until SIGINT or SIGTERM")
    parser.add_argument("--demo", action="store_true", help="look at a small market of real peers on this machine")
    parser.set_defaults(command=None)
    # With `prog` argparse need not format the usage to find out what it is.
    subparsers = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", prog=parser.prog, parser_class=CommandParser
    )
    for name, command in COMMANDS.items():
        subparsers.add_parser(
            name,
            parents=options,
            help=command.help,
            description=command.help,
            epilog=f"example: {command.example}" if command.example else None,
            fill=command.arguments,
        )
    return parser


_FLAGS = {
    "mdns": "find peers on the local network (default on)",
    "dht": "find peers through the IPFS network (default on)",
    "dht-server": "answer other peers of the IPFS network too (default: while they can reach this peer)",
    "upnp": "ask the router to forward the port (default on with the interface)",
}


def _options() -> argparse.ArgumentParser:
    """The options that every command takes. Unset ones leave no trace, so that both places can be used."""
    import argparse

    from betar_tui.choices import DIALECTS, LOG_FORMATS, LOG_LEVELS

    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("options")
    group.add_argument("--data-dir", metavar="PATH", help="where the peer lives (default: the user's data directory)")
    group.add_argument(
        "--listen", action="append", metavar="MULTIADDR", help="listen here (default /ip4/0.0.0.0/tcp/4001); repeat"
    )
    group.add_argument(
        "--bootstrap", action="append", metavar="MULTIADDR", help="dial this peer, ends in /p2p/<peer id>; repeat"
    )
    for name, text in _FLAGS.items():
        group.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=text)
    group.add_argument("--announce-interval", metavar="D", help="how often to announce (default 30s, at least 5s)")
    group.add_argument("--refresh-interval", metavar="D", help="how old an own listing may get (default 1h)")
    group.add_argument("--listing-dialect", choices=DIALECTS, help="how own listings are written (default auto)")
    group.add_argument("--log-level", choices=LOG_LEVELS, help="default info")
    group.add_argument("--log-format", choices=LOG_FORMATS, help="default text")
    group.add_argument("--log-file", metavar="PATH", help="default stderr; with the interface, in the data directory")
    limits = parser.add_argument_group("limits on what others bring; 0 is none")
    limits.add_argument("--listings-per-seller", metavar="N", help="how many are shown of one seller (default 10000)")
    limits.add_argument(
        "--unsigned-per-peer", metavar="N", help="the same, unsigned, that one peer brought (default: all)"
    )
    limits.add_argument(
        "--max-disk",
        metavar="SIZE",
        help="of the replica; then others' history waits (default 10GiB, or half of the disk)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
