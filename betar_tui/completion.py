"""Scripts that make a shell complete commands, options and their values; made of the parser. Pure.

No shell asks a peer while it completes."""

import argparse
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from betar_tui.parsing import PROGRAM, MainParser

FILES = frozenset({"F.json", "F.car", "PATH"})
"""What stands in help for a path."""


def script(parser: MainParser, shell: str) -> str:
    """The script for bash, zsh or fish."""
    makers: Mapping[str, Callable[[MainParser], Iterator[str]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    return "\n".join(makers[shell](parser)) + "\n"


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.option_strings and action.help != argparse.SUPPRESS]


def _positionals(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [
        action
        for action in parser._actions
        if not action.option_strings and not isinstance(action, argparse._SubParsersAction)
    ]


def _names(actions: Sequence[argparse.Action]) -> list[str]:
    return [name for action in actions for name in action.option_strings]


def _choices(action: argparse.Action) -> list[str]:
    return [str(each) for each in action.choices or () if each]


def _takes_file(action: argparse.Action) -> bool:
    return action.metavar in FILES


def _takes_value(action: argparse.Action) -> bool:
    return action.nargs != 0 and not isinstance(action, argparse.BooleanOptionalAction)


def _reply(action: argparse.Action | None) -> str:
    """How bash completes a value: as a path, which it is told of, one of some words, or not at all."""
    if action is not None and _takes_file(action):
        return """compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word"))"""
    return f"COMPREPLY=($({_words(_choices(action))}))" if action is not None and action.choices else "COMPREPLY=()"


def _words(words: Sequence[str]) -> str:
    """What bash completes of some words. Of the separators of a shell, those of the words are spaces."""
    return f"""IFS=' '; compgen -W "{" ".join(words)}" -- "$word\""""


def _bash(parser: MainParser) -> Iterator[str]:
    commands = parser.commands.choices
    yield f"# bash completion of {PROGRAM}: source <({PROGRAM} completion bash)"
    yield "_betar_tui() {"
    yield "    local IFS=$'\\n' word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= each i"
    yield "    COMPREPLY=()"
    yield "    for ((i = 1; i < COMP_CWORD; i++)); do"
    yield "        each=${COMP_WORDS[i]}"
    yield f'        case "$each" in {"|".join(commands)}) command=$each; break ;; esac'
    yield "    done"
    yield '    case "$command:$before" in'
    yield from _bash_values("*", parser)
    shared = set(_names(_options(parser)))
    for name, each in commands.items():
        own = [action for action in _options(each) if not shared & set(action.option_strings)]
        yield from _bash_values(name, each, own)
    yield "    esac"
    yield '    case "$command" in'
    yield '    "") if [[ $word == -* ]]; then'
    yield f"            COMPREPLY=($({_words(_names(_options(parser)))}))"
    yield "        else"
    yield f"            COMPREPLY=($({_words(list(commands))}))"
    yield "        fi ;;"
    for name, each in commands.items():
        positional = next(iter(_positionals(each)), None)
        yield f"    {name}) if [[ $word == -* ]]; then"
        yield f"            COMPREPLY=($({_words(_names(_options(each)))}))"
        yield "        else"
        yield f"            {_reply(positional)}"
        yield "        fi ;;"
    yield "    esac"
    yield "}"
    yield f"complete -F _betar_tui {PROGRAM}"


def _bash_values(
    command: str, parser: argparse.ArgumentParser, actions: Sequence[argparse.Action] | None = None
) -> Iterator[str]:
    for action in _options(parser) if actions is None else actions:
        if _takes_value(action):
            patterns = "|".join(f"{command}:{name}" for name in action.option_strings)
            yield f"    {patterns}) {_reply(action)}; return ;;"


def _zsh(parser: MainParser) -> Iterator[str]:
    commands = parser.commands.choices
    texts = {each.dest: each.help or "" for each in parser.commands._choices_actions}
    yield f"#compdef {PROGRAM}"
    yield f"# zsh completion of {PROGRAM}: as a file _betar-tui in $fpath, or source <({PROGRAM} completion zsh)"
    yield "_betar_tui() {"
    yield "    local curcontext=$curcontext state line"
    yield "    typeset -A opt_args"
    yield "    local -a commands"
    yield "    commands=("
    yield from (f"        {shlex.quote(_escaped(name) + ':' + texts[name])}" for name in commands)
    yield "    )"
    yield "    _arguments -C \\"
    yield from (f"        {each} \\" for each in _zsh_options(parser))
    yield "        '1: :->command' '*:: :->arguments'"
    yield "    case $state in"
    yield "    command) _describe -t commands command commands ;;"
    yield "    arguments)"
    yield "        case $words[1] in"
    for name, each in commands.items():
        yield f"        {name}) _arguments \\"
        yield from (f"            {option} \\" for option in _zsh_options(each))
        positional = next(iter(_positionals(each)), None)
        yield f"            {shlex.quote('*:' + _zsh_value(positional)) if positional else ''} ;;"
    yield "        esac ;;"
    yield "    esac"
    yield "}"
    yield "if [[ $funcstack[1] == _betar-tui ]]; then"
    yield '    _betar_tui "$@"'
    yield "else"
    yield "    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }"
    yield f"    compdef _betar_tui {PROGRAM}"
    yield "fi"


def _zsh_options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in _options(parser):
        text = (action.help or "").replace("[", "(").replace("]", ")")
        value = f":{_zsh_value(action)}" if _takes_value(action) else ""
        repeats = "*" if isinstance(action, argparse._AppendAction) else ""
        yield from (shlex.quote(f"{repeats}{name}[{text}]{value}") for name in action.option_strings)


def _zsh_value(action: argparse.Action) -> str:
    name = _escaped(str(action.metavar or action.dest))
    words = " ".join(_choices(action))
    return f"{name}:_files" if _takes_file(action) else f"{name}:({words})" if words else f"{name}: "


def _escaped(text: str) -> str:
    return text.replace(":", r"\:")


def _fish(parser: MainParser) -> Iterator[str]:
    commands = parser.commands.choices
    texts = {each.dest: each.help or "" for each in parser.commands._choices_actions}
    yield f"# fish completion of {PROGRAM}: {PROGRAM} completion fish | source"
    yield f"complete -c {PROGRAM} -f"
    without = f"'not __fish_seen_subcommand_from {' '.join(commands)}'"
    for name in commands:
        yield f"complete -c {PROGRAM} -n {without} -a {name} -d {_fish_quoted(texts[name])}"
    yield from (f"complete -c {PROGRAM} {each}" for action in _options(parser) for each in _fish_options(action))
    shared = set(_names(_options(parser)))
    for name, each in commands.items():
        given = f"-n '__fish_seen_subcommand_from {name}'"
        for action in _options(each):
            if not shared & set(action.option_strings):
                yield from (f"complete -c {PROGRAM} {given} {option}" for option in _fish_options(action))
        for positional in _positionals(each)[:1]:
            if _takes_file(positional):
                yield f"complete -c {PROGRAM} {given} -F"
            elif _choices(positional):
                yield f"complete -c {PROGRAM} {given} -a {_fish_quoted(' '.join(_choices(positional)))}"


def _fish_options(action: argparse.Action) -> Iterator[str]:
    for name in action.option_strings:
        flag = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
        value = ""
        if _takes_value(action):
            words = " ".join(_choices(action))
            value = " -r -F" if _takes_file(action) else f" -x -a {_fish_quoted(words)}" if words else " -x"
        yield f"{flag}{value} -d {_fish_quoted(action.help or '')}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
