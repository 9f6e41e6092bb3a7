"""Every command in every surrounding: locales, no home, narrow terminals, pipes, closed streams. No traceback, the right
exit code, nothing cut in a pipe, nothing wider than the terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from rich.cells import cell_len

from betar_tui.arguments import COMMANDS, STRANGER
from tests.cli.conftest import Market, tty_environment, without
from tests.cli.terminals import PROGRAM, TIMEOUT, in_terminal

T = TypeVar("T")

CALLS: Mapping[str, Sequence[Sequence[str]]] = {
    "list": (["list"], ["list", "scans price<1", "--sort=-price", "--limit", "3"], ["list", "nobody-has-this"]),
    "show": (["show", "swift-ocr"], ["show", "Übersetzer"]),
    "publish": (["publish", "--name", "new ü 文", "--price", "0.5"],),
    "update": (["update", "swift-ocr", "--price", "0.03"],),
    "delist": (["delist", "nobody"],),
    "watch": (),  # has no end; see below
    "peers": (["peers"],),
    "connect": (["connect", "/ip4/127.0.0.1/tcp/1/p2p/" + STRANGER],),
    "block": (["block", STRANGER],),
    "unblock": (["unblock", STRANGER],),
    "blocked": (["blocked"],),
    "mute": (["mute", STRANGER],),
    "unmute": (["unmute", STRANGER],),
    "muted": (["muted"],),
    "heads": (["heads"],),
    "log": (["log"],),
    "export": (["export", "{folder}/out.car"], ["export", "-"]),
    "import": (["import", "{folder}/none.car"],),
    "status": (["status"],),
    "address": (["address"],),
    "doctor": (["doctor"],),
    "locate": (["locate"],),
    "help": (["help"], ["help", "list"], ["list", "--help"]),
    "completion": (["completion", "bash"], ["completion", "zsh"], ["completion", "fish"]),
    "man": (["man"],),
}
FAILS = ("delist", "connect", "import", "publish")
"""Commands that may end with code 1: what they are about is not there, or was there the time before."""
LOCALES = {
    "LANG=C": {"LANG": "C"},
    "POSIX": {"LC_ALL": "POSIX"},
    "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "koi8-r": {"PYTHONIOENCODING": "koi8-r"},
}


def calls(folder: Path) -> list[list[str]]:
    return [[part.format(folder=folder) for part in call] for each in CALLS.values() for call in each]


def each_of(folder: Path, run: Callable[[list[str]], T]) -> list[tuple[list[str], T]]:
    """Each call with what `run` makes of it, two at a time; what undoes another comes after it."""
    made = calls(folder)
    paired = [each for each in made if each[0].removeprefix("un") in ("block", "mute")]
    rows = [paired, *([each] for each in made if each not in paired)]
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda row: [(each, run(each)) for each in row], rows)
        return [each for row in done for each in row]


def is_right(call: Sequence[str], code: int, *codes: int) -> bool:
    return code in (codes or (0,)) or (code == 1 and call[0] in FAILS)


def test_every_command_is_called():
    assert list(CALLS) == list(COMMANDS)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_locale(market: Market, tmp_path: Path, locale: str) -> None:
    environment = {**without(market.environment, "LANG", "LC_ALL", "PYTHONUTF8"), **LOCALES[locale]}

    def run(call: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        command = [*PROGRAM, *call]
        return subprocess.run(command, check=False, capture_output=True, env=environment, timeout=TIMEOUT)

    for call, done in each_of(tmp_path, run):
        assert is_right(call, done.returncode), (call, done)
        assert b"Traceback" not in done.stderr and done.stderr.count(b"\n") <= 1 + (call[0] == "publish"), (call, done)
        assert done.returncode or call == ["export", "-"] or done.stdout, call
        if locale == "ASCII" and call != ["export", "-"]:
            assert done.stdout.isascii() and done.stderr.isascii(), call


@pytest.mark.parametrize(
    ("source", "charmap", "name"), [("ru_RU", "KOI8-R", "перевод"), ("de_DE", "ISO-8859-1", "Übersetzer")]
)
def test_a_locale_of_the_system_itself(tmp_path: Path, source: str, charmap: str, name: str) -> None:
    """Arguments, files and output in the letters of a locale that is not UTF-8."""
    if not shutil.which("localedef") or not Path("/usr/share/i18n/charmaps").is_dir():
        pytest.skip("no locales can be made here")
    locale = f"{source}.{charmap}"
    made = subprocess.run(
        ["localedef", "-f", charmap, "-i", source, str(tmp_path / locale)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip(f"{locale} cannot be made here")
    environment = {
        **without(os.environ, "LANG", "PYTHONUTF8"), "LOCPATH": str(tmp_path), "LC_ALL": locale,
        "BETAR_TUI_DATA_DIR": str(tmp_path / "data"),
    }  # fmt: skip

    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [each.encode(charmap) for each in (*PROGRAM, *arguments)]
        return subprocess.run(command, check=False, capture_output=True, env=environment, timeout=TIMEOUT)

    assert run("publish", "--name", name, "--price", "1").returncode == 0
    shown = run("show", name)
    assert shown.stdout.decode(charmap).startswith(f"name: {name}\n")
    assert json.loads(run("list", name, "--json").stdout)[0]["name"] == name
    exported = run("export", f"{tmp_path}/{name}.car")
    assert exported.stdout.decode(charmap).endswith(f"/{name}.car\n")
    assert os.path.exists(os.fsencode(tmp_path) + b"/" + name.encode(charmap) + b".car")


def test_a_text_in_utf8_is_what_it_is_in_an_ascii_locale(market: Market) -> None:
    environment = {**market.environment, **LOCALES["ASCII"]}
    done = market.run("show", "Übersetzer", "--json", env=environment)
    assert json.loads(done.stdout)["name"] == "Übersetzer"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_every_terminal(market: Market, tmp_path: Path, columns: int) -> None:
    environment = tty_environment(market)
    for call, done in each_of(tmp_path, lambda call: in_terminal(*call, columns=columns, env=environment)):
        assert is_right(call, done.code, 0, 2 if call == ["export", "-"] else 0), (call, done)
        assert "Traceback" not in done.text
        if call[0] in ("completion", "man"):
            continue  # which are for programs
        messages = [line for line in done.lines if line.startswith("betar-tui: ")]  # each one line, as in a pipe
        whole = [done.lines[0]] if call[0] == "address" else []  # which is copied
        examples = [line for line in done.lines if line.startswith("  ") and call[-1] in ("help", "list", "--help")]
        for line in done.lines:
            if line not in messages + whole and not (line in examples and "'" in line):
                assert cell_len(line) <= columns, (call, line)


def test_columns_counts_more_than_the_terminal(market: Market) -> None:
    shown = in_terminal("list", columns=200, env={**tty_environment(market), "COLUMNS": "50"})
    assert max(cell_len(line) for line in shown.lines) <= 50 and "…" in shown.text


def test_nothing_is_cut_in_a_pipe(market: Market, tmp_path: Path) -> None:
    environment = {**market.environment, "COLUMNS": "40"}
    for call, done in each_of(tmp_path, lambda call: market.run(*call, env=environment)):
        if call[0] not in ("help", "man", "completion") and call[-1] not in ("-", "--help"):
            assert "…" not in done.stdout, call
    ids = {each["id"] for each in json.loads(market.run("list", "--json").stdout)}
    assert len(ids) >= len(range(24))
    listed = market.run("list", env=environment).stdout
    assert all(each in listed for each in ids if each.isprintable())
    logged = market.run("log", env=environment).stdout
    assert all(each in logged for each in ids if each.isprintable())


def test_without_a_home(market: Market, tmp_path: Path) -> None:
    environment = without(market.environment, "HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
    for call, done in each_of(tmp_path, lambda call: market.run(*call, env=environment)):
        assert is_right(call, done.returncode), (call, done)
    assert market.run("locate", env=without(environment, "BETAR_TUI_DATA_DIR")).returncode == 0


REDIRECTED = {
    "stdout closed": (">&-", (1, 2)),
    "stdin closed": ("<&-", (0,)),
    "stderr closed": ("2>&-", (0,)),
    "all closed": ("<&- >&- 2>&-", (1, 2)),
    "a full disk": ("> /dev/full", (1, 2)),
    "no reader": ("| true", (0,)),
}


@pytest.mark.parametrize("way", REDIRECTED)
def test_every_redirection(market: Market, tmp_path: Path, way: str) -> None:
    redirection, codes = REDIRECTED[way]

    def run(call: Sequence[str]) -> subprocess.CompletedProcess[str]:
        # The parts are arguments of the shell, so that nothing of them is looked at by it.
        script = f'set -o pipefail; "$@" {redirection}'
        command = ["bash", "-c", script, "bash", *PROGRAM, *call]
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            env=market.environment,
            timeout=TIMEOUT,
        )

    for call, done in each_of(tmp_path, run):
        assert is_right(call, done.returncode, *codes), (call, done)
        assert "Traceback" not in done.stderr and "Exception" not in done.stderr, (call, done.stderr)
        assert done.stderr.count("\n") <= 2, (call, done.stderr)


@pytest.mark.parametrize("command", [["publish", "--file", "-"], ["import", "-"]])
def test_stdin_that_is_closed_is_said(market: Market, command: list[str]) -> None:
    script = ["bash", "-c", '"$@" <&-', "bash", *PROGRAM, *command]
    done = subprocess.run(script, check=False, capture_output=True, text=True, env=market.environment, timeout=TIMEOUT)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("betar-tui: stdin is closed; name a file")


def test_a_terminal_is_no_archive(market: Market) -> None:
    shown = in_terminal("import", "-", env=tty_environment(market))
    assert (shown.code, "a CAR file cannot be typed" in shown.text) == (2, True)


def test_listings_may_be_typed(market: Market) -> None:
    shown = in_terminal("publish", "--file", "-", env=tty_environment(market), typed=b'{"name": "typed"}\n\x04')
    assert "betar-tui: type listings in JSON, and Ctrl+D at the end" in shown.text
    assert (shown.code, "has no price" in shown.text) == (2, True)


@pytest.mark.parametrize(("typed", "gone"), [(b"y\n", True), (b"\n", False), (b"no\n", False), (b"\x04", False)])
def test_at_a_terminal_a_delist_by_a_beginning_is_asked_about(market: Market, typed: bytes, gone: bool) -> None:
    (made,) = json.loads(market.run("publish", "--file", "-", "--json", stdin=None,
                                    input='[{"name": "asked-about", "price": 1}]').stdout)  # fmt: skip
    shown = in_terminal("delist", "asked-a", env=tty_environment(market), typed=typed)
    assert f"betar-tui: delist asked-about, {made['id']}? [y/N] " in shown.text.replace("\r\n", "\n")
    assert shown.code == (0 if gone else 1)
    if not gone:
        assert "betar-tui: nothing is delisted\r\n" in shown.text
        shown = in_terminal("delist", "asked-about", env=tty_environment(market))
        assert (shown.code, "[y/N]" in shown.text) == (0, False)
    assert "no listing" in market.run("delist", made["id"]).stderr


def test_nothing_hostile_reaches_the_terminal(market: Market) -> None:
    for call in (["list"], ["show", "swift-ocr"], ["log"], ["watch", "--help"]):
        shown = in_terminal(*call, env=tty_environment(market)).text.replace("\r\n", "\n")
        assert not any(each in shown for each in "\x1b\u202e\x9b"), call


def test_watch_names_what_changed_and_its_price(market: Market) -> None:
    price = 1
    for more in ([], ["--json"]):
        command = [*PROGRAM, "watch", *more]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=market.environment) as process:
            assert process.stdout is not None
            # A change is made again and again until it is heard: when the watch has begun is not told.
            line = ""
            reader = ThreadPoolExecutor(1).submit(process.stdout.readline)
            while not reader.done():
                price += 1
                market.run("update", "Übersetzer", "--price", str(price))
            line = reader.result()
            process.terminate()
        if more:
            told = json.loads(line)
            assert (told["event"], told["name"]) == ("update", "Übersetzer")
            assert told["price"] > told["old_price"] and told["seller_id"]
            assert (told["changed"], told["old"]) == (["price"], {"price": told["old_price"]})
        else:
            assert re.match(r"[0-2]\d:[0-5]\d:[0-5]\d update  Übersetzer at \d+, before ", line)


BROKEN = {
    "latin-1": ("# Übung\n".encode("latin-1"), "is not UTF-8 text: invalid"),
    "koi8-r": ('log-level = "инфо"\n'.encode("koi8-r"), "is not UTF-8 text: invalid"),
    "utf-16": ('log-level = "info"\n'.encode("utf-16"), "is not UTF-8 text, but UTF-16"),
    "broken": (b"= broken", "is not valid TOML"),
    "unknown": (b"colour = 3\n", "unknown setting 'colour'"),
    "wrong": (b'announce-interval = "soon"\n', "it is set in"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_settings_that_cannot_be_read_are_one_true_sentence(tmp_path: Path, name: str, market: Market) -> None:
    content, says = BROKEN[name]
    (tmp_path / "config.toml").write_bytes(content)
    environment = {**market.environment, "BETAR_TUI_DATA_DIR": os.fspath(tmp_path)}
    done = market.run("list", env=environment)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert says in done.stderr and str(tmp_path / "config.toml") in done.stderr
    checked = market.run("doctor", "--json", env=environment)
    first, *others = json.loads(checked.stdout)["checks"]
    assert (checked.returncode, first["check"], first["state"]) == (1, "settings", "wrong")
    assert says in f"{first['says']}; {first['advice']}"
    assert {"data directory", "clock", "store", "peer"} <= {each["check"] for each in others}


def test_settings_with_a_byte_order_mark_are_read(tmp_path: Path, market: Market) -> None:
    (tmp_path / "config.toml").write_bytes(b'\xef\xbb\xbflog-file = "/tmp/x.log"\n')
    done = market.run("locate", "--json", env={**market.environment, "BETAR_TUI_DATA_DIR": os.fspath(tmp_path)})
    assert json.loads(done.stdout)["log"] == "/tmp/x.log"


def test_a_wrong_value_of_the_environment_is_wrong_usage_and_named(market: Market) -> None:
    done = market.run("list", env={**market.environment, "BETAR_TUI_ANNOUNCE_INTERVAL": "1s"})
    assert done.returncode == 2
    assert done.stderr.endswith("; it is set in the variable BETAR_TUI_ANNOUNCE_INTERVAL\n")


def test_a_peer_on_an_address_of_another_machine_says_that(market: Market, tmp_path: Path) -> None:
    environment = {**market.environment, "BETAR_TUI_DATA_DIR": os.fspath(tmp_path)}
    done = market.run("--serve", "--listen", "/ip4/203.0.113.9/tcp/4001", env=environment)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "This machine does not have it: choose another, such as /ip4/0.0.0.0/tcp/4001."
    )
