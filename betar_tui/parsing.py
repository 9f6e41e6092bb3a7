"""The parser of the command line and the form of its help, made of the table in `arguments`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from betar_tui import stdout
from betar_tui.arguments import COMMANDS, path_of
from betar_tui.choices import DIALECTS, LOG_FORMATS, LOG_LEVELS
from betar_tui.errors import UsageError

TYPE_CHECKING = False  # true to type checkers; `typing` is slow to import
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

PROGRAM = "betar-tui"
DESCRIPTION = "A terminal browser for a decentralised marketplace of AI agents, and a full peer of it."
FIRST_STEPS = (
    "betar-tui --demo",
    "betar-tui",
    "betar-tui --serve",
    "betar-tui list 'ocr price<0.5' --sort price",
    "betar-tui help list",
)
"""The examples of the whole program."""
PLACES = (
    "Options stand before or after a command, in the environment as BETAR_TUI_DATA_DIR and the like, or in config.toml in"
    " the data directory. Exit codes: 0 done, 1 it could not be done, 2 wrong usage."
)
PEER_OPTIONS, LIMITS = "options of the peer, for every command", "limits on what others bring; 0 is none"
"""Titles of the groups of options that every command takes."""
_WIDE = 60
"""Columns of a terminal in which the usage of a command has its options."""
_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line, and whose help has examples."""

    _tail = ""
    """What stands below the options: paragraphs, tables of lines with a tab, and examples, of lines that are indented."""

    def error(self, message: str) -> Any:
        """Raises UsageError."""
        end = " " if message.endswith("?") else "; "
        raise UsageError(f"{message.removeprefix('argument ')}{end}{self.prog} --help has the usage")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = [str(each) for each in action.choices if each]
        from betar_tui.nearest import nearest  # deferred: for mistakes alone

        near = nearest(str(value), choices)
        few = len(choices) < 6
        hint = f"did you mean {near}?" if near else f"there are {', '.join(choices)}" if few else ""
        raise argparse.ArgumentError(action, "; ".join(filter(None, (f"invalid choice: {value!r}", hint))))

    def near(self, option: str) -> str:
        """The option that was perhaps meant, as a question behind the mistake; nothing without one."""
        from betar_tui.nearest import nearest  # deferred: for mistakes alone

        given = option.partition("=")[0]
        known = (
            [each for each in self._option_string_actions if each.startswith("--")] if given.startswith("--") else []
        )
        found = next((each for each in known if each.startswith(given)), "") or nearest(given, known)
        return f"; did you mean {found}?" if found else ""

    def _get_option_tuples(self, option_string: str) -> list[Any]:
        """No option for a beginning of its name: "--serv" must not start a peer, and may mean another one tomorrow."""
        return []

    def _print_message(self, message: str, file: Any = None) -> None:
        stdout.write(message)

    def _get_formatter(self) -> argparse.HelpFormatter:
        from shutil import get_terminal_size

        width = max(get_terminal_size().columns - 1, 20)
        self.color = False  # which Python 3.14 has, and which no other output of this program has
        self.formatter_class = partial(_Formatter, width=width, max_help_position=26)
        return super()._get_formatter()

    def own_actions(self) -> list[argparse.Action]:
        """The arguments that are not options of the peer, which all commands have."""
        common = {PEER_OPTIONS, LIMITS}
        shared = {id(each) for group in self._action_groups if group.title in common for each in group._group_actions}
        return [each for each in self._actions if id(each) not in shared]

    def format_usage(self) -> str:
        formatter = self._get_formatter()
        self._add_usage(formatter)
        return formatter.format_help()

    def _add_usage(self, formatter: argparse.HelpFormatter) -> None:
        own, usage = self.own_actions(), self.usage
        if usage is None and formatter._width < _WIDE:  # where they would be a column of words
            named = [action for action in own if not action.option_strings]
            given = [f"[{each.metavar}]" if each.nargs == "?" else str(each.metavar) for each in named]
            usage = " ".join([self.prog, "[...]", *given])
        formatter.add_usage(usage, own, self._mutually_exclusive_groups)

    def format_help(self) -> str:
        formatter = self._get_formatter()
        self._add_usage(formatter)
        formatter.add_text(self.description)
        self._add_sections(
            formatter, [each for each in self._action_groups if each.title not in (PEER_OPTIONS, LIMITS)]
        )
        formatter.add_text(self._tail)
        self._add_sections(formatter, [each for each in self._action_groups if each.title in (PEER_OPTIONS, LIMITS)])
        return formatter.format_help()

    def _add_sections(self, formatter: argparse.HelpFormatter, groups: Sequence[argparse._ArgumentGroup]) -> None:
        for group in groups:
            formatter.start_section(group.title)
            formatter.add_text(group.description)
            formatter.add_arguments(group._group_actions)
            formatter.end_section()


class CommandParser(Parser):
    """The parser of one command, made when it is first used: of all commands, one is given.

    `fill` adds the arguments and `tail` is as in `Parser`; the others are those of ArgumentParser."""

    def __init__(self, *, fill: Callable[[argparse.ArgumentParser], object], tail: str, **options: Any) -> None:
        self._deferred = fill, options
        self._tail = tail

    def __getattr__(self, name: str) -> Any:
        # Only an attribute that is not there yet comes here: the first one makes all of them.
        deferred = self.__dict__.pop("_deferred", None)
        if deferred is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        fill, options = deferred
        super().__init__(**options)
        fill(self)
        return getattr(self, name)

    def _check_help(self, action: argparse.Action) -> None:
        """Python 3.14 formats the help of every command when it is added, which would make all their parsers."""


class MainParser(Parser):
    """The parser of the whole command line; its help has the commands in their groups."""

    commands: argparse._SubParsersAction[CommandParser]

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The arguments. Raises UsageError; what nothing takes is a mistake of the command that was given."""
        found, rest = self.parse_known_args(_with_descending_column(args), namespace)
        if rest:
            of = self.commands.choices[found.command] if found.command else self
            of.error(f"unrecognized arguments: {' '.join(rest)}{of.near(rest[0]) or _instead(found, rest)}")
        return found

    def _add_sections(self, formatter: argparse.HelpFormatter, groups: Sequence[argparse._ArgumentGroup]) -> None:
        lines = {each.dest: each for each in self.commands._choices_actions}
        if any(self.commands in group._group_actions for group in groups):
            for title in dict.fromkeys(command.group for command in COMMANDS.values()):
                formatter.start_section(f"commands, {title}")
                formatter.add_arguments([lines[name] for name, each in COMMANDS.items() if each.group == title])
                formatter.end_section()
        super()._add_sections(formatter, [group for group in groups if self.commands not in group._group_actions])


class _Formatter(argparse.HelpFormatter):
    """Help whose paragraphs are filled, and whose examples stay commands however narrow the terminal is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = [block.split("\n") for block in text.split("\n\n")]
        return "\n\n".join("\n".join(self._block(lines, width)) for lines in blocks)

    def _block(self, lines: Sequence[str], width: int) -> Iterator[str]:
        if not any(line.startswith("  ") for line in lines):
            yield from self._split_lines(" ".join(lines), width)
            return
        column = min(max(line.find("\t") for line in lines) + 2, 20)
        for line in lines:
            term, tab, text = line.partition("\t")
            if tab:
                yield from self._pair(term, text, column, width)
            else:
                yield from shell_lines(line, width) if line.startswith("  ") and stdout.width() else (line,)

    def _pair(self, term: str, text: str, column: int, width: int) -> Iterator[str]:
        first, *others = self._split_lines(text, max(width - column, 11))
        if len(term) + 2 > column:
            yield term
            yield " " * column + first
        else:
            yield term.ljust(column) + first
        yield from (" " * column + each for each in others)


def shell_lines(command: str, width: int) -> Iterator[str]:
    r"""An indented shell command in lines of at most `width` columns, ended with "\" so that it stays one command.

    A word that is longer is left whole."""
    line = " "
    for word in _WORD.findall(command):
        if len(line) + len(word) + 3 > width and line.strip():
            yield f"{line} \\"
            line = "   "
        line += f" {word}"
    yield line


def examples_text(examples: Iterable[str]) -> str:
    """The examples as they stand in help."""
    return "\n".join(["examples:", *(f"  {each}" for each in examples)])


def _with_descending_column(args: Sequence[str] | None) -> Sequence[str] | None:
    """Arguments in which `--sort -price` is one, which argparse would take for two options."""
    if args is None or "--sort" not in args[:-1]:
        return args
    at = list(args).index("--sort")
    column = args[at + 1]
    return [*args[:at], f"--sort={column}", *args[at + 2 :]] if column[:1] == "-" != column[1:2] else args


def _instead(found: argparse.Namespace, rest: Sequence[str]) -> str:
    """How to give what a command does not take like this: a name, or the words of a filter, of which a shell has to be told
    that they are one."""
    if any(each.startswith("-") for each in rest):
        return ""
    if found.command == "publish":
        return f"; a name stands behind --name: betar-tui publish --name {rest[0]} --price 0.05"
    if found.command != "list" or not found.filter:
        return ""
    import shlex  # deferred: for mistakes alone

    return f"; a filter of several words is one text: betar-tui list {shlex.quote(' '.join([found.filter, *rest]))}"


def file_and_heads(file: Path | None, heads: Sequence[str]) -> tuple[Path, list[str]]:
    """The arguments of an export, whose file may stand behind the CIDs. Raises UsageError without a file."""
    rest = list(heads)
    if file is None and len(rest) > 1:
        return path_of(rest.pop()), rest
    if file is None:
        raise UsageError(f"the following arguments are required: F.car; {PROGRAM} export --help has the usage")
    return file, rest


def build_parser() -> MainParser:
    """The whole command line. Options may stand before or after the command."""
    from betar_tui import __version__

    options: list[Any] = [_options()]  # which typeshed wants to be of the same class as the parsers that have them
    usage = f"{PROGRAM} [OPTIONS] [COMMAND ...]"
    parser = MainParser(prog=PROGRAM, parents=options, description=f"{DESCRIPTION} Without a command: the interface.")
    parser.usage = usage
    parser._tail = f"{PLACES}\n\n{examples_text(FIRST_STEPS)}"
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}", help="print the version")
    parser.add_argument("--serve", action="store_true", help="run the peer alone, until SIGINT, SIGTERM or SIGHUP")
    parser.add_argument("--demo", action="store_true", help="look at a small market of real peers on this machine")
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts; with a command")
    parser.set_defaults(command=None)
    # With `prog` argparse need not format the usage to find out what it is.
    parser.commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", prog=PROGRAM, parser_class=CommandParser
    )
    for name, command in COMMANDS.items():
        parser.commands.add_parser(
            name,
            parents=options,
            help=command.help,
            description=f"{command.help[:1].upper()}{command.help[1:]}.",
            tail="\n\n".join(filter(None, (command.more, examples_text(command.examples)))),
            fill=command.arguments,
        )
    return parser


_FLAGS = {
    "mdns": "find peers on the local network (default on)",
    "dht": "find peers through the IPFS network (default on)",
    "dht-server": "answer other peers of the IPFS network too (default: while they can reach this peer)",
    "upnp": "ask the router to forward the port; needs miniupnpc (default on with the interface)",
}


def _options() -> argparse.ArgumentParser:
    """The options that every command takes. Unset ones leave no trace, so that both places can be used."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group(PEER_OPTIONS)
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
    group.add_argument("--refresh-interval", metavar="D", help="how old an own listing may get, as 1h30m (default 1h)")
    text = "how own listings are written: auto, documents or betar-go (default auto)"
    group.add_argument("--listing-dialect", choices=DIALECTS, metavar="DIALECT", help=text)
    group.add_argument(
        "--log-level", choices=LOG_LEVELS, metavar="LEVEL", help="debug, info, warning or error (default info)"
    )
    group.add_argument("--log-format", choices=LOG_FORMATS, metavar="FORMAT", help="text or json (default text)")
    group.add_argument("--log-file", metavar="PATH", help="default stderr; with the interface, in the data directory")
    limits = parser.add_argument_group(LIMITS)
    limits.add_argument("--listings-per-seller", metavar="N", help="how many are shown of one seller (default 10000)")
    limits.add_argument(
        "--unsigned-per-peer", metavar="N", help="the same, unsigned, that one peer brought (default: all)"
    )
    limits.add_argument(
        "--max-disk",
        metavar="SIZE",
        help="of the replica, as 500MB; then others' history waits (default 10GiB, or half of the free space)",
    )
    return parser
