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
from betar_tui.errors import (
    STDOUT_CLOSED,
    AlreadyListedError,
    BetarError,
    FilterError,
    ListingError,
    OutputError,
    UsageError,
)

TYPE_CHECKING = False  # true to type checkers; `typing` is slow to import
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from betar_tui.config import Config
    from betar_tui.errors import ConfigError
    from betar_tui.parsing import MainParser

    Work = Callable[[], Coroutine[Any, Any, int | None]]

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_PREFIX = "BETAR_TUI_"


def main(argv: Sequence[str] | None = None) -> int:
    """Run betar-tui; the exit code."""
    given = sys.argv[1:] if argv is None else argv
    try:
        if list(given) == ["--version"]:
            return _print_version()
        from betar_tui.stdout import fill_descriptors

        arguments = _parsed(given)
        fill_descriptors()
        if arguments.command in _ABOUT:
            from pathlib import Path

            from betar_tui.config import Config

            return _command(Config(Path()), arguments)  # which it does not look at
        config = read_config(arguments, os.environ)
        if arguments.command:
            return _command(config, arguments)
        if arguments.json:
            raise UsageError("--json goes with a command, as in betar-tui list --json")
        if arguments.serve:
            return _serve(config)
        if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
            raise UsageError(
                "the interface needs a terminal; betar-tui --serve runs without one, betar-tui list prints"
            )
        return _demo() if arguments.demo else _interface(config)
    except BetarError as error:
        return _explained(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # as in `betar-tui list | head`: the reader has what it wanted
        from betar_tui.stdout import discard_stdout

        discard_stdout()
        return DONE


def build_parser() -> MainParser:
    """The parser of the whole command line."""
    from betar_tui import parsing

    return parsing.build_parser()


def _parsed(given: Sequence[str]) -> argparse.Namespace:
    """The arguments. Raises UsageError; SystemExit after `--help` and `--version`."""
    arguments: argparse.Namespace = build_parser().parse_args(given)
    if arguments.command and (arguments.serve or arguments.demo):
        raise UsageError(f"--serve and --demo go without a command, and {arguments.command} is one; leave out either")
    if arguments.serve and arguments.demo:
        raise UsageError("--serve and --demo exclude each other; leave out either")
    _require_utf8(arguments)
    return arguments


def _require_utf8(arguments: argparse.Namespace) -> None:
    """Read texts that the locale has no letters for as UTF-8, which is what terminals send; a path may be any bytes.

    Raises UsageError for a text that is not valid UTF-8: nothing that is looked for or stored can be one."""
    for name, value in vars(arguments).items():
        if name in _PATHS:
            continue
        if isinstance(value, str):
            setattr(arguments, name, _in_utf8(name, value))
        elif isinstance(value, list):
            setattr(arguments, name, [_in_utf8(name, each) if isinstance(each, str) else each for each in value])


def _in_utf8(name: str, text: str) -> str:
    # What the locale does not have comes as halves of characters, see `os.fsdecode`.
    if not any("\ud800" <= each <= "\udfff" for each in text):
        return text
    try:
        return os.fsencode(text).decode()
    except UnicodeDecodeError as error:
        shown = os.fsencode(text).decode(errors="backslashreplace")
        raise UsageError(
            f"{name.replace('_', '-')}: {shown} is not valid UTF-8; type it in a terminal that is"
        ) from error


def _print_version() -> int:
    """The same as that of argparse, whose import would take longer than all else. Raises BrokenPipeError, OutputError."""
    if sys.stdout is None:
        raise OutputError(STDOUT_CLOSED)
    try:
        print(f"betar-tui {__version__}", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        from betar_tui.stdout import unwritable

        raise unwritable(error) from error
    return DONE


def _command(config: Config, arguments: argparse.Namespace) -> int:
    from betar_tui import commands, eventloop, logs

    gc.enable()  # `__main__` has switched it off; the interface switches it on later, see `startup`
    logs.configure("warning", config.log_format, config.log_file)
    named = _named_data_dir(arguments, os.environ)
    new = named and arguments.command in _EXPECTING_DATA and not os.path.lexists(config.key_file)
    code = _run(eventloop.run, lambda: commands.COMMANDS[arguments.command](config, arguments))
    if new and code == DONE:
        from betar_tui.complaints import complain

        complain(f"no peer was in {config.data_dir} before, and there is a new one now: is the path right?")
    return code


def _serve(config: Config) -> int:
    from dataclasses import replace

    import trio

    from betar_tui import logs
    from betar_tui.config import prepare_data_dir
    from betar_tui.serving import serve

    gc.enable()
    prepare_data_dir(config.data_dir)
    logs.configure(config.log_level, config.log_format, config.log_file)
    config = replace(config, upnp=_maps_ports(config.upnp, default=False))
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
    config = replace(config, upnp=_maps_ports(config.upnp, default=True))
    return _run(trio.run, lambda: startup.run_interface(config, log_file))


def _maps_ports(asked: bool | None, default: bool) -> bool:
    """Whether to ask the router to forward the port. Where that cannot be done it is said, unless nobody `asked` for it."""
    if not (default if asked is None else asked):
        return False
    from betar_tui.p2p.adaptations.libraries import WITHOUT_PORT_MAPPING, can_map_ports

    if can_map_ports():
        return True
    if asked:
        from betar_tui.complaints import complain

        complain(WITHOUT_PORT_MAPPING)
    return False


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
    from betar_tui.complaints import complain

    complain(str(error))
    if isinstance(error, AlreadyListedError):
        return FAILED
    return USAGE if isinstance(error, UsageError | FilterError | ListingError) else FAILED


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def read_config(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Config:
    """The settings: command line over environment over config.toml. Raises ConfigError."""
    from betar_tui.config import expand_home, load_config

    given: dict[str, object] = {}
    given_by: dict[str, str] = {}
    for name in _SETTINGS:
        value = getattr(arguments, name, None)
        if value is None:
            # Set to nothing is not set.
            value = environment.get(variable := _PREFIX + name.upper()) or None
            if value is not None:
                given_by[name] = f"the variable {variable}"
        if value is not None:
            given[name] = value
    _doubt(environment)
    if getattr(arguments, "data_dir", None) == "":
        raise UsageError("--data-dir: an empty text is not a path")
    data_dir = _named_data_dir(arguments, environment) or _default_data_dir()
    if arguments.command != "doctor":
        return load_config(expand_home(data_dir), given, given_by)
    # Which says what is wrong, and goes on with the rest.
    troubles: list[ConfigError] = []
    arguments.settings_troubles = troubles
    return load_config(expand_home(data_dir), given, given_by, wrong=troubles.append)


def _doubt(environment: Mapping[str, str]) -> None:
    """Name the variables that look like mistyped settings: nothing else would tell that they do nothing."""
    known = [name.upper() for name in (*_SETTINGS, "data_dir")]
    given = [name.removeprefix(_PREFIX) for name in environment if name.startswith(_PREFIX)]
    for name in sorted(set(given).difference(known)):
        from betar_tui.complaints import complain
        from betar_tui.nearest import nearest

        if meant := nearest(name, known, alike=0.8):
            complain(f"the variable {_PREFIX}{name} is not read; did you mean {_PREFIX}{meant}?")


def _named_data_dir(arguments: argparse.Namespace, environment: Mapping[str, str]) -> str:
    """The data directory that was given; "" for the usual one."""
    return getattr(arguments, "data_dir", None) or environment.get(_PREFIX + "DATA_DIR") or ""


def _default_data_dir() -> str:
    import platformdirs

    try:
        return platformdirs.user_data_dir("betar-tui", appauthor=False)
    except RuntimeError as error:
        raise UsageError("your home directory is not known; choose a --data-dir") from error


_PATHS = ("data_dir", "log_file")
_EXPECTING_DATA = (
    "list",
    "show",
    "update",
    "delist",
    "unmute",
    "muted",
    "unblock",
    "blocked",
    "heads",
    "log",
    "export",
    "status",
)
"""The commands that are about what a data directory has: an empty one may be a mistyped one."""
_ABOUT = ("help", "completion", "man")
"""The commands that are about the program alone, and need no settings."""
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


if __name__ == "__main__":
    sys.exit(main())
