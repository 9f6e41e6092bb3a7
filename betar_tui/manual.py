"""The manual page, made of the parser: `betar-tui man > betar-tui.1`. Pure."""

import argparse
from collections.abc import Iterator, Sequence

from betar_tui import __version__
from betar_tui.arguments import COMMANDS
from betar_tui.parsing import DESCRIPTION, FIRST_STEPS, LIMITS, PEER_OPTIONS, PLACES, PROGRAM, MainParser

FILES = (
    ("config.toml", "the settings"),
    ("identity.key", "the key of the peer, which signs its listings; keep a copy"),
    ("replica.db", "what is replicated, and the listings as they are shown"),
    ("drafts.json", "what was typed into forms of the interface and not sent"),
    ("lock", "the process id of the running peer"),
    ("control.sock", "the socket on which the running peer answers commands"),
    ("betar-tui.log", "the log of the interface"),
)
CODES = (
    ("0", "done"),
    ("1", "it could not be done: one line on stderr says what, why, and what to try"),
    ("2", "wrong usage, or a wrong value, wherever it was found"),
    ("130", "interrupted"),
)


def page(parser: MainParser) -> str:
    """The page in the language of man(7), in ASCII."""
    return "\n".join(_lines(parser)).encode("ascii", "backslashreplace").decode() + "\n"


def _lines(parser: MainParser) -> Iterator[str]:
    yield f'.TH "{PROGRAM.upper()}" "1" "" "{PROGRAM} {__version__}" "User Commands"'
    yield from (".nh", ".ad l")  # a name that is broken cannot be searched for
    yield from _section("name", [f"{PROGRAM} \\- {roff_text('browse and join a decentralised market of AI agents')}"])
    yield from _section("synopsis", [f".B {roff_text(PROGRAM)}", "[OPTIONS] [COMMAND ...]"])
    yield from _section(
        "description", [roff_text(DESCRIPTION), "Without a command it shows the interface.", ".PP", roff_text(PLACES)]
    )
    yield ".SH COMMANDS"
    for name, command in COMMANDS.items():
        each = parser.commands.choices[name]
        own = each.own_actions()
        usage = [_usage(action) for action in own if action.dest != "help"]
        yield f'.SS "{roff_text(" ".join([name, *usage]))}"'
        yield roff_text(f"{command.help[:1].upper()}{command.help[1:]}.")
        yield from _actions([action for action in own if action.dest != "help"])
        yield from _more(command.more)
        yield from _examples(command.examples)
    yield ".SH OPTIONS"
    yield from _actions([action for action in parser.own_actions() if action is not parser.commands])
    for group in parser._action_groups:
        if group.title in (PEER_OPTIONS, LIMITS):
            yield f'.SS "{roff_text(group.title)}"'
            yield from _actions(group._group_actions)
    yield ".SH EXIT STATUS"
    yield from _pairs(CODES)
    yield ".SH FILES"
    yield roff_text("In the data directory, which betar-tui locate prints:")
    yield from _pairs(FILES)
    yield ".SH EXAMPLES"
    yield from _examples(FIRST_STEPS)


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f".SH {title.upper()}"
    yield from lines


def _usage(action: argparse.Action) -> str:
    """An argument in the heading of its command."""
    name = action.option_strings[-1] if action.option_strings else str(action.metavar)
    if not action.option_strings:
        return f"[{name}]" if action.nargs == "?" else name
    return f"[{name}]" if action.nargs == 0 else f"[{name} {action.metavar}]"


def _actions(actions: Sequence[argparse.Action]) -> Iterator[str]:
    for action in actions:
        names = ", ".join(action.option_strings) or str(action.metavar)
        value = f" {action.metavar}" if action.option_strings and action.metavar and action.nargs != 0 else ""
        yield ".TP"
        yield f".B {roff_text(names + value)}"
        yield roff_text(action.help or "")


def _more(text: str) -> Iterator[str]:
    for block in filter(None, text.split("\n\n")):
        yield ".PP"
        if "\t" in block:
            title, *rows = block.split("\n")
            yield roff_text(title)
            yield from _pairs([(term.strip(), meaning) for term, _, meaning in (row.partition("\t") for row in rows)])
        else:
            yield roff_text(" ".join(block.split("\n")))


def _pairs(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in pairs:
        yield from (".TP", f".B {roff_text(term)}", roff_text(meaning))


def _examples(examples: Sequence[str]) -> Iterator[str]:
    if examples:
        yield from (".PP", ".nf", ".RS", *map(roff_text, examples), ".RE", ".fi")


def roff_text(text: str) -> str:
    """A text as roff shows it letter by letter."""
    for letter, written in (("\\", "\\e"), ("-", "\\-"), ("…", "..."), ("'", "\\(aq"), ('"', "\\(dq")):
        text = text.replace(letter, written)
    return f"\\&{text}" if text[:1] in (".", "'") or text.startswith("\\(aq") else text
