"""Help, its examples, completions and the manual page: made of one table, and true."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from betar_tui.arguments import COMMANDS, FILTERS
from betar_tui.choices import CURRENCY
from betar_tui.cli import build_parser, main
from betar_tui.manual import FILES as MANUAL_FILES
from betar_tui.manual import roff_text
from betar_tui.market.fields import FIELDS
from betar_tui.market.filter import QUALIFIERS, STATES, parse
from betar_tui.parsing import FIRST_STEPS, LIMITS, PEER_OPTIONS, shell_lines
from tests.cli.conftest import running
from tests.cli.terminals import PROGRAM, TIMEOUT


def help_of(*command: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["help", *command]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_own_options_and_examples_stand_before_those_of_the_peer(command, monkeypatch, capsys):
    shown = help_of(command, columns=200, monkeypatch=monkeypatch, capsys=capsys)
    own, _, peers = shown.partition(f"\n{PEER_OPTIONS}:\n")
    assert "  --data-dir " in peers and "\n  --data-dir " not in own
    for action in build_parser().commands.choices[command].own_actions():
        assert all(name in own for name in action.option_strings)
    assert COMMANDS[command].examples
    for example in COMMANDS[command].examples:
        assert f"\n  {example}\n" in own


@pytest.mark.parametrize("command", ["list", "publish", "update", "man"])
def test_what_prices_are_in_is_said_as_in_the_form(command, monkeypatch, capsys):
    if command == "man":
        assert main(["man"]) == 0
        shown = capsys.readouterr().out
    else:
        shown = help_of(command, columns=200, monkeypatch=monkeypatch, capsys=capsys)
    assert f"A price is in {CURRENCY} for each task" in shown and "has none" not in shown
    (price,) = (field for field in FIELDS if field.name == "price")
    assert price.unit == CURRENCY and price.hint.startswith(f"{CURRENCY} for each task")


def test_the_manual_names_the_files_that_the_page_on_files_names(capsys):
    page = (Path(__file__).parents[2] / "docs" / "files.md").read_text()
    table = page.partition("## The data directory")[2].partition("\n## ")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    names = {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}
    assert {name for name, _ in MANUAL_FILES} == names - {"replica.db-wal", "replica.db-shm", "betar-tui.log.1"}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_example_is_one_line_in_a_pipe_and_in_most_terminals(command, monkeypatch, capsys):
    shown = help_of(command, columns=40, monkeypatch=monkeypatch, capsys=capsys)
    for example in COMMANDS[command].examples:
        assert f"\n  {example}\n" in shown
        assert len(example) <= 76


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize("columns", [40, 80])
def test_help_fits(command, columns, monkeypatch, capsys):
    monkeypatch.setattr("betar_tui.stdout.width", lambda: columns)
    shown = help_of(*filter(None, [command]), columns=columns, monkeypatch=monkeypatch, capsys=capsys)
    # A word is left whole, and so is a text in quotes: a command must stay one.
    wide = [line.removesuffix(" \\").strip() for line in shown.splitlines() if len(line) > columns]
    assert [each for each in wide if " " in each and each[0] not in "'\"" and f"'{each}" not in shown] == []
    assert shown.endswith("\n")


def test_the_help_of_all_names_every_command_in_a_group(monkeypatch, capsys):
    shown = help_of(columns=100, monkeypatch=monkeypatch, capsys=capsys)
    for name, command in COMMANDS.items():
        assert f"\n  {name} " in shown
        assert f"\ncommands, {command.group}:\n" in shown
    assert (
        shown.index("commands, the market")
        < shown.index("\noptions:")
        < shown.index(PEER_OPTIONS)
        < shown.index(LIMITS)
    )


def test_the_grammar_of_filters_in_help_is_the_real_one():
    for term, text in FILTERS:
        assert parse(term).terms
        assert "\t" not in term + text
    everything = " ".join(f"{term} {text}" for term, text in FILTERS)
    assert all(f"{field}:" in everything for field in QUALIFIERS)
    assert all(state in everything for state in STATES)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lst"], "COMMAND: invalid choice: 'lst'; did you mean list? betar-tui --help has the usage"),
        (
            ["list", "--limt", "3"],
            "unrecognized arguments: --limt; did you mean --limit? betar-tui list --help has the usage",
        ),
        (["--serv"], "unrecognized arguments: --serv; did you mean --serve? betar-tui --help has the usage"),
        (["show"], "the following arguments are required: ID; betar-tui show --help has the usage"),
        (
            ["export", "--heads", "x"],
            "the following arguments are required: F.car; betar-tui export --help has the usage",
        ),
        (
            ["completion", "tcsh"],
            "SHELL: invalid choice: 'tcsh'; there are bash, zsh, fish; betar-tui completion --help",
        ),
        (
            ["publish", "--name", "x", "--price", "1_000"],
            "--price: invalid price value: '1_000' is not a number; write it like",
        ),
        (
            ["publish", "--name", "x", "--price", "٣"],
            "--price: invalid price value: '٣' is not a number; write it like 0.05",
        ),
        (
            ["publish", "--name", "x", "--price", "inf"],
            "--price: invalid price value: 'inf' is not a number; write it like 0.05",
        ),
        (["publish", "--name", "", "--price", "1"], "--name: a listing needs a name"),
        (["publish", "--name", "x", "--price", "1", "--addr", "here"], "--addr: 'here' is not a multiaddr"),
        (["update", "x"], "nothing to change is given; betar-tui update --help has the options"),
        (["connect", "somewhere"], "'somewhere' is not a multiaddr that ends in /p2p/<peer id>; write it like /ip4/"),
        (["export", ""], "F.car: an empty text is not a path"),
        (["list", "--limit", "٣"], "--limit: invalid count value: '٣'"),
        (["list", "--data-dir", ""], "--data-dir: an empty text is not a path"),
        (["list", "--log-file", ""], "--log-file: '' is not a text"),
        (["--serve", "--listen", ""], "--listen: '' is not a text"),
        (["--json"], "--json goes with a command"),
        (["--serve", "list"], "--serve and --demo go without a command, and list is one; leave out either"),
        (
            ["list", "--log-level", "loud"],
            "--log-level: invalid choice: 'loud'; there are debug, info, warning, error;",
        ),
    ],
)
def test_a_mistake_is_one_line(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BETAR_TUI_DATA_DIR", str(tmp_path))
    code = main(arguments)
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"betar-tui: {says}")


def test_json_stands_before_or_after_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BETAR_TUI_DATA_DIR", str(tmp_path))
    shown = []
    for arguments in (["--json", "list"], ["list", "--json"], ["--json", "list", "--json"]):
        assert main(arguments) == 0
        shown.append(capsys.readouterr().out)
    assert shown == ["[]\n"] * 3


def test_an_example_that_is_folded_is_still_the_command():
    command = "  betar-tui list 'ocr price<0.5' --sort price"
    folded = "\n".join(shell_lines(command, 24))
    assert folded == "  betar-tui list \\\n    'ocr price<0.5' \\\n    --sort price"
    assert all(len(line) <= 24 for line in folded.splitlines())
    read = subprocess.run(["bash", "-c", f"printf '%s|' {folded.strip()}"], check=True, capture_output=True, text=True)
    assert read.stdout == "betar-tui|list|ocr price<0.5|--sort|price|"


class Shell(NamedTuple):
    """Where examples are run: a folder, and an environment in which `betar-tui` is a command."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-eo", "pipefail", "-c", script]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, env=self.environment, cwd=self.folder, timeout=TIMEOUT
        )


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The examples' world: a peer of one's own, and a second one in ~/second-peer."""
    home = tmp_path_factory.mktemp("home")
    (home / "bin").mkdir()
    program = home / "bin" / "betar-tui"
    program.write_text(f'#!/bin/sh\nexec {" ".join(PROGRAM)} "$@"\n')
    program.chmod(0o755)
    with running(home / "first") as first, running(home / "second-peer"):
        path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
        yield Shell(home, {**first.environment, "HOME": str(home), "PATH": path})


def test_every_example_runs_as_it_stands(shell: Shell) -> None:
    # A story: what is published first can be shown, changed and delisted in the end.
    order = ["publish", *(name for name in COMMANDS if name not in ("publish", "delist", "watch")), "delist"]
    for name in order:
        for example in COMMANDS[name].examples:
            done = shell.run(example)
            assert done.returncode == 0, (example, done)
            assert "Traceback" not in done.stderr
    for example in FIRST_STEPS:
        if example not in ("betar-tui", "betar-tui --demo", "betar-tui --serve"):  # which go on
            assert shell.run(example).returncode == 0, example


@pytest.mark.parametrize("example", COMMANDS["watch"].examples)
def test_the_examples_that_go_on_end_with_an_interrupt(shell: Shell, example: str) -> None:
    command = ["bash", "-c", f"exec {example}"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # else the child ignores it as a shell's job does
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=shell.environment, text=True) as process:
            assert process.stdout is not None
            line, number = "", 0
            os.set_blocking(process.stdout.fileno(), False)
            while not line:  # when it has begun is not told: changes are made until one is
                number += 1
                shell.run(f"betar-tui publish --name w{example.count('json')}-{number} --price 1")
                line = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert f"w{example.count('json')}-" in line


def completed(shell: str, line: str, script: Path, folder: Path) -> list[str]:
    """What a shell offers at the end of a line."""
    if shell == "bash":
        words = " ".join(f"'{word}'" for word in line.split(" "))
        program = (
            f'source "{script}"; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _betar_tui;'
            ' printf "%s\\n" "${COMPREPLY[@]}"'
        )
        command = ["bash", "-c", program]
    else:
        command = ["fish", "-c", f"source '{script}'; complete -C '{line}'"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder, timeout=TIMEOUT)
    return sorted(each.split("\t")[0] for each in done.stdout.splitlines() if each)


LINES = {
    "betar-tui li": ["list"],
    "betar-tui list --so": ["--sort"],
    "betar-tui --log-format ": ["json", "text"],
    "betar-tui list --log-level d": ["debug"],
    "betar-tui completion ": ["bash", "fish", "zsh"],
    "betar-tui help pu": ["publish"],
    "betar-tui export my": ["my market.car"],
    "betar-tui publish --file my": ["my market.car"],
    "betar-tui --data-dir x list --lim": ["--limit"],
}


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_completions(tmp_path, shell, capsys):
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    assert main(["completion", shell]) == 0
    script = tmp_path / "completion"
    script.write_text(capsys.readouterr().out)
    (tmp_path / "my market.car").touch()
    for line, offered in LINES.items():
        assert completed(shell, line, script, tmp_path) == offered, line
    assert completed(shell, "betar-tui ", script, tmp_path) == sorted(COMMANDS)


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("betar-tui export my", True),
        ("betar-tui publish --file my", True),
        ("betar-tui --data-dir my", True),
        ("betar-tui li", False),
        ("betar-tui help pu", False),
        ("betar-tui list --log-level d", False),
        ("betar-tui show s", False),
    ],
)
def test_bash_is_told_of_files_only_where_they_are_completed(line, files, tmp_path, capsys):
    # Else a directory `list` that is here would have the command completed as `list/`.
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion"
    script.write_text(f"{capsys.readouterr().out}\ncompopt() {{ touch told; }}\n")
    completed("bash", line, script, tmp_path)
    assert (tmp_path / "told").exists() is files


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_have_every_option_and_are_scripts(tmp_path, shell, capsys):
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    parser = build_parser()
    for each in (parser, *parser.commands.choices.values()):
        for action in each._actions:
            for name in action.option_strings:
                assert name in text or f"-l {name[2:]} " in text or f"-s {name[1:]} " in text
    if shutil.which(shell):
        (tmp_path / "script").write_text(text)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True, timeout=TIMEOUT)


def test_the_manual_page_has_every_command_and_option(capsys):
    assert main(["man"]) == 0
    text = capsys.readouterr().out
    assert text.startswith('.TH "BETAR-TUI" "1"') and text.isascii()
    parser = build_parser()
    for name, command in COMMANDS.items():
        assert f'\n.SS "{name}' in text
        for action in parser.commands.choices[name]._actions:
            if not isinstance(action, argparse._HelpAction):
                assert all(each.replace("-", "\\-") in text for each in action.option_strings)
        for example in command.examples:
            assert roff_text(example) in text


@pytest.mark.skipif(not shutil.which("groff"), reason="there is no groff")
def test_the_manual_page_is_right_roff(capsys):
    main(["man"])
    page = capsys.readouterr().out
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-P-cbou", "-ww"],
        input=page,
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.stderr == ""
    assert "EXIT STATUS\n" in done.stdout
    for words in ("betar-tui list 'ocr price<0.5' --sort price", "config.toml"):
        assert words in done.stdout
