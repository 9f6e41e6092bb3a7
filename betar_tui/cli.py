"""The command line (the contract is `betar-tui --help`): what the arguments mean. `commands` has the commands.

The only place that reads argv and the environment. Results go to stdout, everything else to stderr; a person's or a
peer's mistake is one line, never a traceback. Textual is imported for the interface alone, libp2p by the peer alone."""

import argparse
import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import trio

from betar_tui import __version__, logs, startup
from betar_tui.arguments import COMMANDS
from betar_tui.config import DIALECTS, LOG_LEVELS, Config, load_config, prepare_data_dir
from betar_tui.errors import BetarError, UsageError
from betar_tui.output import complain, discard_stdout, say

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_PREFIX = "BETAR_TUI_"
_STOP_TIME = 4.0
"""Seconds that a peer may take to stop."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run betar-tui; the exit code."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command or arguments.serve or arguments.demo:
        gc.enable()  # the interface does so later, see `startup`
    try:
        config = read_config(arguments, os.environ)
        if arguments.command:
            logs.configure("warning", config.log_format, config.log_file)
            return _run(lambda: _command(config, arguments))
        if arguments.serve:
            prepare_data_dir(config.data_dir)
            logs.configure(config.log_level, config.log_format, config.log_file)
            return _run(lambda: _serve(config))
        if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
            raise UsageError(
                "the interface needs a terminal; betar-tui --serve runs without one, betar-tui list prints"
            )
        if arguments.demo:
            return _run(_demo)
        prepare_data_dir(config.data_dir)
        log_file = config.log_file or config.data_dir / logs.FILE_NAME
        logs.configure(config.log_level, config.log_format, log_file)
        # A person in front of the interface is likely to be behind a router of their own.
        config = replace(config, upnp=config.upnp is not False)
        return _run(lambda: startup.run_interface(config, log_file))
    except UsageError as error:
        complain(str(error))
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # as in `betar-tui list | head`: the reader has what it wanted
        discard_stdout()
        return DONE


def _run(work: Callable[[], Awaitable[int | None]]) -> int:
    """Run a trio coroutine to its end; a `BetarError` in it is a message and an exit code."""
    try:
        return trio.run(work) or DONE
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
    complain(str(error))
    return USAGE if isinstance(error, UsageError) else FAILED


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


class ShutdownWatchdog:
    """Ends a peer that does not stop in time. Nothing that was acknowledged is lost by that."""

    def __init__(self) -> None:
        self._timer = threading.Timer(_STOP_TIME, os._exit, (DONE,))
        self._timer.daemon = True
        self.start, self.close = self._timer.start, self._timer.cancel


async def _command(config: Config, arguments: argparse.Namespace) -> int | None:
    from betar_tui import commands

    return await commands.COMMANDS[arguments.command](config, arguments)


async def _serve(config: Config) -> int:
    """The peer alone, until SIGINT or SIGTERM."""
    from betar_tui.control.server import serve_control
    from betar_tui.peer import open_peer

    with (
        contextlib.closing(ShutdownWatchdog()) as late,
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
    ):
        async with trio.open_nursery() as nursery:

            async def until_signal() -> None:
                async for _ in signals:
                    late.start()
                    nursery.cancel_scope.cancel()
                    return

            nursery.start_soon(until_signal)
            async with open_peer(config, network=True) as peer:
                await nursery.start(serve_control, peer, config.control_socket)
                await peer.session.ready.wait()
                startup.freeze_garbage()
                address = (peer.session.addrs or ("",))[0]
                say(f"ready peer_id={peer.peer_id} addr={address} control={config.control_socket}")
                await trio.sleep_forever()
    return DONE


async def _demo() -> int:
    """The interface on a market that lives as long as it does."""
    from betar_tui.demo import run_demo

    await run_demo()
    return DONE


def read_config(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Config:
    """The settings: command line over environment over config.toml. Raises ConfigError."""
    given: dict[str, object] = {}
    for name in _SETTINGS:
        value = getattr(arguments, name, None)
        if value is None:
            value = environment.get(_PREFIX + name.upper())
        if value is not None:
            given[name] = value
    data_dir = getattr(arguments, "data_dir", None) or environment.get(_PREFIX + "DATA_DIR") or _default_data_dir()
    return load_config(Path(data_dir).expanduser(), given)


def _default_data_dir() -> str:
    import platformdirs

    return platformdirs.user_data_dir("betar-tui", appauthor=False)


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
)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Options may stand before or after the command."""
    options = _options()
    parser = argparse.ArgumentParser(
        prog="betar-tui",
        parents=[options],
        description="A terminal browser for a decentralised marketplace of AI agents, and a full peer of it. Without a"
        " command: the interface.",
    )
    parser.add_argument("--version", action="version", version=f"betar-tui {__version__}")
    parser.add_argument("--serve", action="store_true", help="run the peer alone, until SIGINT or SIGTERM")
    parser.add_argument("--demo", action="store_true", help="look at a small market of real peers on this machine")
    parser.set_defaults(command=None)
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = subparsers.add_parser(name, parents=[options], help=command.help, description=command.help)
        command.arguments(sub)
    return parser


_FLAGS = {
    "mdns": "find peers on the local network (default on)",
    "dht": "find peers through the IPFS network (default on)",
    "dht-server": "answer other peers of the IPFS network too (default: while they can reach this peer)",
    "upnp": "ask the router to forward the port (default on with the interface)",
}


def _options() -> argparse.ArgumentParser:
    """The options that every command takes. Unset ones leave no trace, so that both places can be used."""
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
    group.add_argument("--log-format", choices=("text", "json"), help="default text")
    group.add_argument("--log-file", metavar="PATH", help="default stderr; with the interface, in the data directory")
    return parser


if __name__ == "__main__":
    sys.exit(main())
