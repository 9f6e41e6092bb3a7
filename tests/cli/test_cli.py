"""The command line as scripts rely on it, without a running peer."""

import fcntl
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
import trio

from betar_tui import cli, logs, serving, startup
from betar_tui import config as config_module
from betar_tui.arguments import COMMANDS as GRAMMAR
from betar_tui.catalogue.backlog import Backlog
from betar_tui.cli import build_parser, main, read_config
from betar_tui.commands import COMMANDS
from betar_tui.config import load_config, load_identity, parse_duration, parse_size, save_settings
from betar_tui.control.server import serve_control
from betar_tui.doctor import examine
from betar_tui.errors import ConfigError, UsageError
from betar_tui.logs import configure
from betar_tui.market.marketplace import ListingDraft
from betar_tui.output import duration, print_fields, print_json
from betar_tui.p2p.adaptations import libraries
from betar_tui.peer import open_peer
from betar_tui.stored import open_stored
from tests.peers import harness
from tests.tui.fake import peer_id

LISTING_KEYS = {
    "id", "name", "price", "metadata", "seller_id", "addrs", "protocols", "timestamp", "token_id", "provenance", "mine",
    "cid", "height",
}  # fmt: skip
STATUS_KEYS = {
    "version", "running", "peer_id", "addrs", "peers", "topic_peers", "listings", "heads", "height", "blocks", "bytes",
    "pending", "tombstones", "uptime",
}  # fmt: skip


def test_every_command_of_the_grammar_does_something():
    assert list(GRAMMAR) == list(COMMANDS)


PROGRAM = """
import gc
from betar_tui import __main__, cli
before, cli.main = cli.main, lambda: print(gc.isenabled()) or before()
code = __main__.main()
print(gc.isenabled())
raise SystemExit(code)
"""


def test_a_command_leaves_garbage_until_its_modules_are_there(tmp_path):
    arguments = [sys.executable, "-c", PROGRAM, "locate", "--data-dir", str(tmp_path)]
    first, *_, last = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.splitlines()
    assert (first, last) == ("False", "True")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a command in its own data directory; gives (exit code, stdout, stderr)."""
    monkeypatch.setenv("BETAR_TUI_DATA_DIR", str(tmp_path / "data"))

    def call(*arguments: str):
        try:
            code = main(arguments)
        except SystemExit as exit_:
            code = exit_.code
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


def publish(run, name="swift-ocr", *more):
    code, out, err = run("publish", "--name", name, "--price", "0.05", "--json", *more)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_a_listing_lives_and_goes(run):
    receipt = publish(run, "swift-ocr", "--description", "reads scans", "--meta", "lang=en", "--token-id", "7")
    assert receipt.keys() == {"id", "cid", "height", "sent_to"}
    (listing,) = json.loads(run("list", "--json")[1])
    assert listing.keys() == LISTING_KEYS
    assert listing["metadata"] == {"description": "reads scans", "lang": "en"}
    assert (listing["mine"], listing["provenance"], listing["token_id"]) == (True, "verified", "7")
    assert json.loads(run("update", receipt["id"], "--price", "2", "--json")[1])["height"] == 2
    shown = json.loads(run("show", receipt["id"], "--json")[1])
    assert shown.keys() == LISTING_KEYS | {"raw", "history", "document", "story"}
    assert [version["height"] for version in shown["history"]] == [2, 1]
    assert json.loads(shown["raw"])["price"] == 2
    removal = json.loads(run("delist", receipt["id"], "--json")[1])
    assert removal["tombstones"] == 2
    assert json.loads(run("list", "--json")[1]) == []
    assert [each["height"] for each in json.loads(run("log", "--json")[1])] == [3, 2, 1]
    assert json.loads(run("heads", "--json")[1]) == [{"cid": removal["cid"], "height": 3}]


def test_status_has_its_keys_and_says_that_no_peer_runs(run):
    status = json.loads(run("status", "--json")[1])
    assert status.keys() >= STATUS_KEYS
    assert status["running"] is False


def test_filter_sort_and_limit(run):
    for name, price in (("a-ocr", 3), ("b-ocr", 1), ("c-tts", 2)):
        run("publish", "--name", name, "--price", str(price))
    names = [each["name"] for each in json.loads(run("list", "ocr", "--sort", "price", "--json")[1])]
    assert names == ["b-ocr", "a-ocr"]
    names = [each["name"] for each in json.loads(run("list", "--sort=-price", "--limit", "2", "--json")[1])]
    assert names == ["a-ocr", "c-tts"]


def test_a_file_with_many_listings_is_few_deltas(run, tmp_path):
    file = tmp_path / "many.json"
    file.write_text(json.dumps([{"name": f"n{n}", "price": n, "description": "x" * 300} for n in range(300)]))
    receipts = json.loads(run("publish", "--file", str(file), "--json")[1])
    assert len(receipts) == 300
    assert len({each["cid"] for each in receipts}) == 1
    assert len(json.loads(run("list", "--json")[1])) == 300


def test_what_others_offer_is_published_as_a_copy_and_said(run, tmp_path):
    other, key_only = peer_id(1), peer_id(2)
    publish(run, "mine")
    (mine,) = json.loads(run("list", "--json")[1])
    theirs = {**mine, "name": "tts", "seller_id": other, "id": f"{other}/tts", "addrs": ["/ip4/203.0.113.7/tcp/1"]}
    by_id = {"name": "ocr", "price": 1, "id": f"{key_only}/ocr"}
    by_go = {"name": "go", "price": 1, "sellerId": other}
    file = tmp_path / "market.json"
    file.write_text(json.dumps([{**mine, "name": "again"}, theirs, by_id, by_go, {"name": "new", "price": 1}]))
    code, _, err = run("publish", "--file", str(file))
    assert (code, [line for line in err.splitlines() if "offered" in line]) == (
        0,
        [
            f"betar-tui: 'tts' is offered by {other}; this publishes it as yours, with the addresses that it names",
            f"betar-tui: 'ocr' is offered by {key_only}; this publishes it as yours",
            f"betar-tui: 'go' is offered by {other}; this publishes it as yours",
        ],
    )
    names = {each["name"] for each in json.loads(run("list", "seller:you", "--json")[1])}
    assert names == {"mine", "again", "tts", "ocr", "go", "new"}


def test_another_currency_in_metadata_is_said(run):
    sentence = "its metadata says EUR; prices on this market are USDC"
    code, _, err = run("publish", "--name", "a", "--price", "3", "--meta", "currency=EUR")
    assert (code, err) == (0, f"betar-tui: 'a': {sentence}\n")
    assert f"\nprice: 3\n  {sentence}\n" in run("show", "a")[1]
    code, _, err = run("update", "a", "--meta", "currency=usdc")
    assert (code, err) == (0, "")
    assert "prices on this market" not in run("show", "a")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["show", "nobody"], 1, "no listing has the id or name 'nobody'; betar-tui list shows them"),
        (["delist", "nobody"], 1, "no listing has the id"),
        (["peers"], 1, "--serve"),
        (["watch"], 1, "--serve"),
        (["connect", "/ip4/127.0.0.1/tcp/1/p2p/x"], 1, "--serve"),
        (["publish", "--name", "x"], 2, "--price"),
        (["publish", "--name", "x", "--price", "cheap"], 2, "price"),
        (["publish", "--name", "x", "--price", "1", "--meta", "nope"], 2, "NAME=VALUE"),
        (["publish", "--name", "x/y", "--price", "1"], 2, "slashes"),
        (["publish", "--name", "x", "--price", "-1"], 2, "negative"),
        (["publish", "--file", "/nowhere.json"], 1, "cannot read"),
        (["export", "/"], 2, "not a file's name"),
        (["export", "."], 2, "not a file's name"),
        (["list", "price<"], 2, "price"),
        (["list", "--sort", "colour"], 2, "colour"),
        (["block", "12D3KooW"], 1, "neither a whole peer id"),
        (["unblock", "12D3KooW"], 1, "there is no blocked peer"),
        (["mute", ""], 1, "neither a whole peer id"),
        (["unmute", "x"], 1, "there is no muted seller"),
        (["nonsense"], 2, "invalid choice"),
        (["--announce-interval", "1s", "status"], 2, "--announce-interval"),
        (["--announce-interval", "soon", "status"], 2, "30s"),
        (["--bootstrap", "/ip4/127.0.0.1/tcp/1", "status"], 2, "/p2p/"),
        (["--mdns=yes", "status"], 2, "mdns"),
        (["--listing-dialect", "french", "status"], 2, "invalid choice"),
        (["--listen", "foo", "--serve"], 2, "/ip4/0.0.0.0/tcp/4001"),
        (["--listen", "/ip4/127.0.0.1/udp/4001/quic-v1", "status"], 2, "nothing to listen on"),
        (["--listen", "/ip4/999.1.1.1/tcp/1", "status"], 2, "nothing to listen on"),
        (["--listen", "/ip4/127.0.0.1/tcp/65536", "status"], 2, "nothing to listen on"),
        (["--listen", "/dns4/localhost/tcp/1", "status"], 2, "nothing to listen on"),
        (["list", "--limit", "-1"], 2, "-1 is less than 0; 0 means all"),
        (["export", "x.car", "--heads", "bogus"], 1, "'bogus' names no block"),
        (["import", __file__], 1, "is not a CAR file"),
    ],
)
def test_mistakes_are_said_without_a_traceback(run, arguments, code, says):
    result, _, err = run(*arguments)
    assert result == code
    assert says in err
    assert "Traceback" not in err


def test_publishing_a_name_twice_is_refused(run):
    publish(run)
    code, _, err = run("publish", "--name", "swift-ocr", "--price", "1")
    assert code == 1
    assert "update it instead" in err


def test_options_stand_before_or_after_the_command(run, tmp_path):
    for arguments in (["--data-dir", str(tmp_path / "x"), "locate", "--json"],
                      ["locate", "--json", "--data-dir", str(tmp_path / "x")]):  # fmt: skip
        assert json.loads(run(*arguments)[1])["data_dir"] == str(tmp_path / "x")


@pytest.mark.parametrize("start", ["_interface", "_serve"])
@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("asked", [None, True, False])
def test_who_asks_in_vain_for_a_forwarded_port_is_told(start, installed, asked, tmp_path, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(libraries, "can_map_ports", lambda: installed)
    monkeypatch.setattr(startup, "run_interface", lambda config, log_file: started.append(config.upnp))
    monkeypatch.setattr(serving, "serve", lambda config: started.append(config.upnp))
    monkeypatch.setattr(cli, "_run", lambda run, work: work())
    monkeypatch.setattr(logs, "configure", lambda *where: None)
    getattr(cli, start)(replace(load_config(tmp_path / "data", {}), upnp=asked))
    wanted = start == "_interface" if asked is None else asked
    assert started == [wanted and installed]
    said = f"betar-tui: {libraries.WITHOUT_PORT_MAPPING}\n" if asked and not installed else ""
    assert capsys.readouterr() == ("", said)


def test_discovery_is_on_unless_it_is_switched_off():
    def read(*arguments, **environment):
        config = read_config(
            build_parser().parse_args(arguments), {f"BETAR_TUI_{name}": environment[name] for name in environment}
        )
        return config.mdns, config.dht, config.dht_server, config.upnp

    assert read() == (True, True, None, None)
    assert read("--no-mdns", "status", "--no-dht", "--no-upnp") == (False, False, None, False)
    assert read("--dht-server", MDNS="0", DHT="0", UPNP="0") == (False, False, True, False)
    assert read("--mdns", MDNS="0") == (True, True, None, None)
    assert read("--no-dht-server", DHT_SERVER="1") == (True, True, False, None)


def test_command_line_over_environment_over_file(tmp_path):
    (tmp_path / "config.toml").write_text('announce-interval = "10s"\nrefresh-interval = "2h"\nlog-level = "debug"\n')
    environment = {"BETAR_TUI_DATA_DIR": str(tmp_path), "BETAR_TUI_ANNOUNCE_INTERVAL": "20s",
                   "BETAR_TUI_LISTEN": "/ip4/127.0.0.1/tcp/0"}  # fmt: skip
    parsed = read_config(build_parser().parse_args(["--announce-interval", "1m30s"]), environment)
    assert (parsed.announce_interval, parsed.refresh_interval, parsed.log_level) == (90.0, 7200.0, "debug")
    assert (parsed.listen, parsed.listen_explicit) == (("/ip4/127.0.0.1/tcp/0",), True)
    assert read_config(build_parser().parse_args([]), environment).announce_interval == 20.0


@pytest.mark.parametrize("text", ["x = 1", "listen = 7", 'mdns = "perhaps"', "announce_interval = -1", "= broken"])
def test_a_bad_settings_file_is_named(tmp_path, text):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError):
        load_config(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("1m30s", 90), ("1.5h", 5400), ("2d", 172800)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "1 s", "-1s", "1x", "1s1"])
def test_what_is_no_duration(text):
    with pytest.raises(UsageError):
        parse_duration(text)


def test_the_identity_is_made_once_and_is_private(tmp_path):
    file = tmp_path / "identity.key"
    seed = load_identity(file)
    assert load_identity(file) == seed
    assert len(seed) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes"):
        load_identity(file)


def test_text_from_the_network_is_made_safe(run):
    publish(run, "plain", "--description", "\x1b[31mred\u202e")
    assert "\x1b" not in run("list")[1]
    identifier = json.loads(run("list", "--json")[1])[0]["id"]
    shown = run("show", identifier)[1]
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ('"price": 1, "addrs": 7', "addrs"),
        ('"price": 1, "addrs": [null]', "addrs"),
        ('"price": 1, "protocols": "/x"', "protocols"),
        ('"price": 1' + "0" * 400, "price"),
        ('"price": 1e400', "price"),
        ('"price": NaN', "price"),
        ('"price": null', "has no price"),
        ('"price": 1, "metadata": []', "metadata"),
        ('"price": 1, "metadata": {"x": Infinity}', "metadata"),
        ('"price": 1, "metadata": ' + "[" * 100_000, "cannot read"),
        ('"price": 1, "description": "\\ud800"', "metadata"),
    ],
)
def test_a_file_with_mistakes_is_refused_in_one_line(run, tmp_path, fields, says):
    file = tmp_path / "f.json"
    file.write_text('{"name": "x", ' + fields + "}")
    code, out, err = run("publish", "--file", str(file))
    # A wrong value is wrong usage, wherever it is; a file that cannot be read is not.
    assert (code, out, err.count("\n")) == (1 if says == "cannot read" else 2, "", 1)
    assert says in err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "no listings in"),
        ([{"name": "x", "price": 1}, {"name": " x", "price": 2}], "two listings with the name"),
        ([{"name": "x", "price": 1}, {"name": "y"}], "'y' in"),
        ([{"name": "x", "price": 1}, 7], "listing 2 in"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(run, tmp_path, content, says):
    file = tmp_path / "f.json"
    file.write_text(json.dumps(content))
    code, out, err = run("publish", "--file", str(file))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err
    assert run("list", "--json")[1] == "[]\n"


def test_a_descending_column_may_stand_behind_the_option(run):
    publish(run, "a"), run("publish", "--name", "b", "--price", "2")
    for given in (["--sort", "-price"], ["--sort=-price"]):
        assert [each["name"] for each in json.loads(run("list", *given, "--json")[1])] == ["b", "a"]
    code, _, err = run("list", "--sort", "--json")
    assert code == 2 and "expected one argument" in err


def test_a_name_behind_publish_is_explained(run):
    code, _, err = run("publish", "swift-ocr")
    assert code == 2 and "a name stands behind --name: betar-tui publish --name swift-ocr --price 0.05" in err


def test_tags_are_found_and_keys_of_metadata_are_taken_out(run):
    publish(run, "a", "--tag", "nlp, ocr", "--tag", "pdf", "--meta", "tier=gold", "--meta", "lang=en")

    def metadata() -> dict[str, object]:
        return json.loads(run("show", "a", "--json")[1])["metadata"]

    def found(tag: str) -> list[str]:
        return [each["name"] for each in json.loads(run("list", f"tag:{tag}", "--json")[1])]

    assert metadata() == {"description": "", "tags": ["nlp", "ocr", "pdf"], "tier": "gold", "lang": "en"}
    assert [found(tag) for tag in ("nlp", "ocr", "pdf", "nl")] == [["a"], ["a"], ["a"], []]
    assert "  tags: nlp, ocr, pdf\n" in run("show", "a")[1]
    assert run("update", "a", "--no-meta", "tier", "--meta", "tags=speech,nlp")[0] == 0
    assert metadata() == {"description": "", "tags": ["speech", "nlp"], "lang": "en"}
    assert run("update", "a", "--tag", "")[0] == 0
    assert run("update", "a", "--no-meta", "lang", "--no-meta", "absent")[0] == 0
    assert metadata() == {"description": ""} and found("nlp") == []


@pytest.mark.parametrize("entry", [{"tags": ["nlp"]}, {"metadata": {"tags": ["nlp"]}}])
def test_tags_of_a_file_may_stand_in_the_metadata(run, tmp_path, entry):
    file = tmp_path / "f.json"
    file.write_text(json.dumps({"name": "a", "price": 1, **entry}))
    assert run("publish", "--file", str(file))[::2] == (0, "")
    assert json.loads(run("list", "tag:nlp", "--json")[1])[0]["metadata"]["tags"] == ["nlp"]


def test_a_field_that_no_listing_has_is_named(run, tmp_path):
    publish(run)
    listed = json.loads(run("list", "--json")[1])[0]
    file = tmp_path / "f.json"
    file.write_text(json.dumps({**listed, "name": "other", "descripton": "oops"}))
    code, _, err = run("publish", "--file", str(file))
    assert (code, err) == (
        0,
        "betar-tui: left out of 'other', being no field of a listing: descripton; metadata takes any key\n",
    )


def test_values_are_shown_as_people_write_them(run, capsys):
    print_fields({"none": None, "yes": True, "no": False, "list": (), "two": ["a", 1], "map": {"b": "ü"}, "zero": 0})
    assert capsys.readouterr().out == 'none: -\nyes: yes\nno: no\nlist: -\ntwo: a, 1\nmap: {"b": "ü"}\nzero: 0\n'
    assert [duration(each) for each in (0.4, 59.9, 60, 168.8, 3600, 90061)] == [
        "0s",
        "59s",
        "1m 0s",
        "2m 48s",
        "1h 0m",
        "1d 1h",
    ]
    assert "uptime" not in run("status")[1]


@pytest.mark.parametrize(("redirection", "says"), [("> /dev/full", "No space left"), (">&-", "stdout is closed")])
@pytest.mark.parametrize(
    "command", ["list", "list --json", "status", "--version", "--help", "--serve --listen /ip4/127.0.0.1/tcp/0"]
)
def test_output_that_cannot_be_written_is_said(run, redirection, says, command):
    publish(run)
    line = f"{sys.executable} -m betar_tui {command} {redirection}"
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    complaints = [line for line in result.stderr.splitlines() if " INFO " not in line]
    assert (result.returncode, len(complaints)) == (1, 1)
    assert says in complaints[0]


@pytest.mark.parametrize(("command", "module"), [("status", "trio"), ("list", "zstandard")])
def test_an_interrupt_while_modules_are_imported_is_no_traceback(tmp_path, command, module):
    (tmp_path / f"{module}.py").write_text("raise KeyboardInterrupt\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-m", "betar_tui", command, "--data-dir", str(tmp_path / "data")]
    result = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert (result.returncode, result.stderr) == (130, b"")


@pytest.fixture
def heeded_interrupts():
    """A test run in the background of a shell ignores interrupts, and so would its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
def test_an_interrupt_while_a_peer_is_asked_is_no_traceback(tmp_path):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.bind(str(tmp_path / "control.sock"))
        peer.listen()
        command = [sys.executable, "-m", "betar_tui", "--data-dir", str(tmp_path), "list"]

        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            asked = b""
            while not asked.endswith(b"\n"):  # the first connection only finds out whether a peer listens
                connection, _ = peer.accept()
                asked = connection.recv(1 << 16)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=10) == (b"", b"")
            connection.close()
    assert process.returncode == 130


def test_null_in_a_file_is_as_good_as_nothing(run, tmp_path):
    file = tmp_path / "f.json"
    absent = dict.fromkeys(("addrs", "protocols", "metadata", "description", "token_id"))
    file.write_text(json.dumps({"name": "x", "price": 1, **absent}))
    assert run("publish", "--file", str(file))[0] == 0
    (listing,) = json.loads(run("list", "--json")[1])
    assert (listing["metadata"], listing["token_id"]) == ({"description": ""}, None)


def test_json_is_valid_and_ascii_whatever_a_peer_wrote(capsys):
    deep: object = "x"
    for _ in range(900):
        deep = [deep]
    print_json({"half": "\ud800", "c1": "\x9b31m", "bidi": "\u202e", "endless": float("inf"), "deep": deep})
    out = capsys.readouterr().out
    assert out.isascii()
    shown = json.loads(out, parse_constant=pytest.fail)
    assert (shown["half"], shown["c1"], shown["bidi"], shown["endless"]) == ("\ud800", "\x9b31m", "\u202e", None)
    print_fields({"deep": deep})


def test_the_log_takes_half_characters(tmp_path, capsys):
    import logging

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        for form in ("json", "text"):
            configure("info", form, tmp_path / form)
            logging.getLogger("x").warning("half \ud800 \x9b")
            root.handlers[0].close()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert json.loads((tmp_path / "json").read_bytes())["message"] == "half \ud800 \x9b"
    assert "\\ud800" in (tmp_path / "text").read_text()
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_mistake(run, tmp_path):
    file = tmp_path / "many.json"
    file.write_text(json.dumps([{"name": f"n{n}", "price": n} for n in range(300)]))
    run("publish", "--file", str(file))
    for more in ("", "--json"):
        command = f"{sys.executable} -m betar_tui list {more}; echo $? >&2"
        result = subprocess.run(["bash", "-c", f"({command}) | true"], capture_output=True, check=False)
        assert result.stderr == b"0\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_peer_that_cannot_stop_is_ended_with_code_0(tmp_path, number):
    script = """
import contextlib, os, sys, types, trio
import betar_tui.peer
from betar_tui import cli

@contextlib.asynccontextmanager
async def open_peer(config, network):
    ready = trio.Event()
    ready.set()
    try:
        yield types.SimpleNamespace(peer_id="p", session=types.SimpleNamespace(ready=ready, addrs=("a",)))
    finally:
        os.read(os.pipe()[0], 1)  # never returns

betar_tui.peer.open_peer = open_peer
from betar_tui import serving
serving._STOP_TIME = 0.3
sys.exit(cli.main(["--serve", "--data-dir", sys.argv[1]]))
"""
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"ready")
        start = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert time.monotonic() - start < 5


def findings(run, *arguments):
    """The doctor's exit code and its findings, by check."""
    code, out, _ = run("doctor", "--json", *arguments)
    shown = json.loads(out)
    assert shown["ok"] == (code == 0)
    assert all(each.keys() == {"check", "state", "says", "advice"} for each in shown["checks"])
    return code, {each["check"]: each for each in shown["checks"]}


def test_the_doctor_finds_nothing_in_a_healthy_or_new_directory(run, tmp_path):
    code, found = findings(run, "--listen", "/ip4/127.0.0.1/tcp/0")
    assert (code, {each["state"] for each in found.values()}) == (0, {"ok", "note"})
    assert not (tmp_path / "data").exists()
    publish(run)
    code, found = findings(run, "--listen", "/ip4/127.0.0.1/tcp/0")
    assert (code, found["store"]["state"], found["peer"]["state"]) == (0, "ok", "note")
    code, out, _ = run("doctor")
    assert (code, out.count("\n")) == (0, 7)
    assert "catalogue: 1 listing, as the replica has them\n" in out


def test_the_doctor_names_every_mistake_in_the_settings(run, tmp_path):
    publish(run)
    file = tmp_path / "data" / "config.toml"
    file.write_text('theme = "x"\ndht_server = 3\ndht = true\n[limits]\nshoes = 1\nmax_disk = "1kb"\n'
                    '[interface]\ntheme = "pink"\n[interface.keys]\npublish = "??"\nfly = "x"\n')  # fmt: skip
    code, out, _ = run("doctor")
    wrong = [line for line in out.splitlines() if line.startswith("wrong settings: ")]
    assert code == 1
    assert [words for words in ("'theme'", "--dht-server: 3", "'shoes'", "--max-disk: '1kb'", "theme: betar-dark is used",
                                "'??'", "'fly'") if sum(words in line for line in wrong) != 1] == []  # fmt: skip
    assert len(wrong) == 7 and all(str(file) in line for line in wrong)
    assert run("list")[0] == 2  # while other commands begin with nothing that is mistaken
    file.write_text('mdns = false\n[interface]\ntheme = "nord"\n')
    code, found = findings(run)
    assert (code, found["settings"]["state"], found["settings"]["says"]) == (0, "ok", str(file))
    code, found = findings(run, "--log-level", "info")
    assert code == 0
    assert run("doctor", "--max-disk", "1kb")[0] == 2  # what is given here is wrong usage


def test_a_new_peer_made_by_looking_is_said(run, tmp_path, monkeypatch):
    note = f"betar-tui: no peer was in {tmp_path / 'data'} before, and there is a new one now: is the path right?\n"
    assert run("list", "--json") == (0, "[]\n", note)
    assert run("list", "--json") == (0, "[]\n", "")
    code, _, err = run("status", "--data-dir", str(tmp_path / "typo"))
    assert (code, err.count("is the path right?")) == (0, 1)
    code, _, err = run("show", "nothing", "--data-dir", str(tmp_path / "third"))
    assert (code, err.count("\n")) == (1, 1)
    monkeypatch.delenv("BETAR_TUI_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert run("list", "--json") == (0, "[]\n", ""), "the usual place is not mistyped"


def test_a_filter_that_was_not_quoted(run):
    code, _, err = run("list", "ocr", "price<1", "it's")
    assert code == 2
    assert (
        """a filter of several words is one text: betar-tui list 'ocr price<1 it'"'"'s'; betar-tui list --help""" in err
    )
    assert "one text" not in run("list", "ocr", "--nothing")[2]
    assert "one text" not in run("show", "ocr", "two")[2]


def test_the_doctor_says_what_is_wrong_and_what_to_do(run, tmp_path):
    publish(run)
    data = tmp_path / "data"
    (data / "identity.key").chmod(0o644)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, found = findings(run, "--listen", f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}")
    assert code == 1
    assert "chmod" in found["identity key"]["advice"]
    assert "--listen" in found["port"]["advice"]
    (data / "identity.key").chmod(0o600)
    database = sqlite3.connect(data / "replica.db")
    database.execute("UPDATE blocks SET data = x'ff', at = at + 864000000")
    database.execute("INSERT INTO incomplete SELECT n FROM blocks")
    database.commit()
    database.close()
    code, found = findings(run)
    assert (code, found["store"]["state"]) == (1, "wrong")
    assert "move" in found["store"]["advice"]
    os.truncate(data / "replica.db", 5000)
    assert findings(run)[1]["store"]["state"] == "wrong"


def test_the_doctor_knows_why_an_address_cannot_be_listened_on(run):
    code, found = findings(run, "--listen", "/ip4/203.0.113.9/tcp/4001")
    assert (code, found["port"]["says"]) == (1, "/ip4/203.0.113.9/tcp/4001 is not an address of this machine")
    assert found["port"]["advice"].startswith("choose another --listen")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}"
        found = findings(run, "--listen", address)[1]
    assert found["port"]["says"] == f"{address} is taken"
    assert found["port"]["advice"].startswith("stop what uses it")


def test_the_doctor_compares_the_catalogue_and_makes_it_afresh(run, tmp_path):
    publish(run)
    database = sqlite3.connect(tmp_path / "data" / "replica.db")
    database.execute("UPDATE listings SET price = 99")
    database.commit()
    database.close()
    code, found = findings(run)
    assert (code, found["catalogue"]["state"]) == (1, "wrong")
    assert found["catalogue"]["says"] == "1 listing; 1 of them not as the replica has them"
    assert "doctor --rebuild" in found["catalogue"]["advice"]
    code, found = findings(run, "--rebuild")
    assert (code, found["catalogue"]["says"]) == (0, "made afresh: 1 listing, as the replica has them")
    database = sqlite3.connect(tmp_path / "data" / "replica.db")
    assert database.execute("SELECT count(*) FROM listings WHERE price < 99").fetchone() == (1,)
    database.execute("DELETE FROM settings WHERE name = 'catalogue'")
    database.commit()
    database.close()
    code, found = findings(run)
    assert (code, found["catalogue"]["says"]) == (0, "it is not made yet")


async def test_the_doctor_can_be_interrupted_while_it_makes_the_catalogue_afresh(tmp_path, monkeypatch):
    async with open_peer(harness.config(tmp_path), network=False) as peer:
        await peer.publish([ListingDraft(f"agent-{n}", n) for n in range(1000)])
    slices = []
    write = Backlog.write

    def counted(self, *arguments):
        slices.append(1)
        trio.from_thread.run_sync(scope.cancel)
        return write(self, *arguments)

    monkeypatch.setattr(Backlog, "write", counted)
    with trio.CancelScope() as scope:
        await examine(harness.config(tmp_path), rebuild=True)
    assert scope.cancelled_caught and len(slices) == 1
    monkeypatch.undo()
    with open_stored(harness.config(tmp_path)) as market:
        assert (await market.listings()).total == 1000


def test_the_doctor_doubts_a_clock_that_went_back(run, monkeypatch):
    publish(run)
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    code, found = findings(run)
    assert (code, found["clock"]["state"]) == (1, "wrong")


async def test_the_doctor_asks_a_running_peer(tmp_path):
    settings = harness.config(tmp_path)
    async with harness.peer(tmp_path) as one, trio.open_nursery() as nursery:
        await nursery.start(serve_control, one, settings.control_socket)
        found = {each.check: each for each in await examine(settings)}
        assert (found["store"].state, found["connectivity"].state) == ("ok", "note")
        assert found["port"].message == f"the running peer listens on {one.session.addrs[-1]}"
        lonely = harness.config(tmp_path, bootstrap=("/ip4/127.0.0.1/tcp/1/p2p/x",))
        assert (
            "connect"
            in {each.check: each for each in await examine(lonely) if each.state == "wrong"}["connectivity"].advice
        )
        async with harness.peer(tmp_path / "other") as other:
            await harness.meet(one, other)
            assert {each.check: each.state for each in await examine(settings)}["connectivity"] == "ok"
        nursery.cancel_scope.cancel()


def test_settings_are_saved_beside_what_a_person_wrote(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('# by hand\nlog-level = "debug"  # noisy\n\n[interface]\ntheme = "old"\ndensity = "compact"\n')
    save_settings(path, {"log_level": "info", "interface": {"theme": "new", "density": None, "columns": ("name",)}})
    text = path.read_text()
    assert text.startswith("# by hand\n")
    assert "# noisy" in text
    loaded = load_config(tmp_path, {})
    assert loaded.log_level == "info"
    assert loaded.interface == {"theme": "new", "columns": ["name"]}


def test_settings_are_saved_where_there_were_none(tmp_path):
    save_settings(tmp_path / "config.toml", {"interface": {"keys": {"publish": "n,p"}}})
    assert load_config(tmp_path, {}).interface == {"keys": {"publish": "n,p"}}


def test_settings_that_cannot_be_saved_say_so_and_leave_the_file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("= broken")
    with pytest.raises(ConfigError, match="cannot save the settings"):
        save_settings(path, {"log_level": "info"})
    assert path.read_text() == "= broken"


def test_settings_that_are_saved_at_once_are_all_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(config_module, "_LOCK_TIMEOUT", 120.0)
    path = tmp_path / "config.toml"
    names = [f"key{number}" for number in range(8)]
    threads = [threading.Thread(target=save_settings, args=(path, {"interface": {name: 1}})) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert load_config(tmp_path, {}).interface == dict.fromkeys(names, 1)


def test_settings_are_saved_though_somebody_was_stopped_while_saving(tmp_path, monkeypatch):
    monkeypatch.setattr(config_module, "_LOCK_TIMEOUT", 0.05)
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    save_settings(tmp_path / "config.toml", {"log_level": "info"})
    os.close(holder)
    assert load_config(tmp_path, {}).log_level == "info"


def test_the_interface_table_must_be_one(tmp_path):
    (tmp_path / "config.toml").write_text('interface = "dark"\n')
    with pytest.raises(ConfigError, match="not a table"):
        load_config(tmp_path, {})


@pytest.mark.parametrize("arguments", [[], ["--demo"]])
def test_the_interface_says_that_it_needs_a_terminal(run, tmp_path, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "needs a terminal" in err
    assert not list(tmp_path.rglob("replica.db"))


HALF = "\udcff"  # as the byte ff of an argument comes from the system


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["show", HALF], "id"),
        (["delist", f"peer/{HALF}"], "id"),
        (["update", HALF, "--price", "1"], "id"),
        (["list", f"name:{HALF}"], "filter"),
        (["list", "--sort", HALF], "sort"),
        (["publish", "--name", HALF, "--price", "1"], "name"),
        (["publish", "--name", "a", "--price", "1", "--meta", f"a={HALF}"], "metadata"),
        (["export", "market.car", "--heads", HALF], "heads"),
        (["connect", HALF], "multiaddr"),
        (["list", "--bootstrap", HALF], "bootstrap"),
    ],
    ids=lambda each: " ".join(each).replace(HALF, "ff") if isinstance(each, list) else each,
)
def test_a_text_that_is_not_utf8_is_refused(run, arguments, name):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"betar-tui: {name}: ")
    assert err.endswith("\\xff is not valid UTF-8; type it in a terminal that is\n")


def test_a_path_may_be_any_bytes(run, tmp_path):
    publish(run)
    assert run("export", str(tmp_path / f"{HALF}.car"))[0] == 0
    code, out, _ = run("import", str(tmp_path / f"{HALF}.car"), "--json")
    assert (code, json.loads(out)["known"]) == (0, 1)
    assert run("list", "--data-dir", str(tmp_path / HALF))[0] == 0


def test_the_log_is_whole_with_a_limit_of_0(run):
    for number in range(3):
        publish(run, f"n{number}")
    assert len(json.loads(run("log", "--limit", "2", "--json")[1])) == 2
    assert len(json.loads(run("log", "--limit", "0", "--json")[1])) == 3


def test_a_number_beyond_all_is_as_good_as_none(run):
    publish(run)
    for command in ("list", "log"):
        code, out, err = run(command, "--limit", "9" * 30, "--json")
        assert (code, len(json.loads(out)), err) == (0, 1, "")


STRANGER = "12D3KooWGRUKZ8sRKx5n3xzwtTxhsHCqDM1NXGDRYrbkkmqBKqyk"


@pytest.mark.parametrize(
    ("does", "undoes", "lists", "key"),
    [("block", "unblock", "blocked", "peer_id"), ("mute", "unmute", "muted", "seller_id")],
)
def test_blocking_and_muting_are_listed_and_undone(run, does, undoes, lists, key):
    assert json.loads(run(lists, "--json")[1]) == []
    assert json.loads(run(does, STRANGER, "--json")[1]) == {key: STRANGER}
    (entry,) = json.loads(run(lists, "--json")[1])
    assert entry.keys() == {key, "at"}
    assert entry[key] == STRANGER
    assert STRANGER in run(lists)[1]
    assert STRANGER in run("status")[1]
    assert json.loads(run(undoes, STRANGER[:14], "--json")[1]) == {key: STRANGER}
    assert json.loads(run(lists, "--json")[1]) == []


def test_list_leaves_muted_sellers_out_unless_it_is_asked_for_them(run, tmp_path, monkeypatch):
    publish(run, "mine")
    run("export", str(tmp_path / "one.car"))
    seller = json.loads(run("list", "--json")[1])[0]["seller_id"]
    monkeypatch.setenv("BETAR_TUI_DATA_DIR", str(tmp_path / "other"))
    publish(run, "own")
    run("import", str(tmp_path / "one.car"))

    def names(*arguments):
        return sorted(each["name"] for each in json.loads(run("list", "--json", *arguments)[1]))

    assert names() == ["mine", "own"]
    code, out, _ = run("mute", seller[:20])
    assert (code, out) == (0, f"muted {seller}, 1 listing left out; betar-tui unmute shows them again\n")
    assert names() == ["own"]
    assert "1 of muted sellers left out (--all shows them)" in run("list")[1]
    assert names("--all") == ["mine", "own"]
    assert [line.split()[3] for line in run("list", "--all")[1].splitlines()[1:3]] == ["muted", "mine"]
    assert names("state:muted") == names("--all", "state:muted") == ["mine"]
    assert json.loads(run("unmute", seller, "--json")[1]) == {"seller_id": seller}
    assert names() == ["mine", "own"]


def test_limits_are_read_from_all_places_and_shown(run, tmp_path, monkeypatch):
    data = tmp_path / "data"
    publish(run)
    (data / "config.toml").write_text('[limits]\nlistings-per-seller = 5\nunsigned_per_peer = 6\nmax-disk = "1GiB"\n')
    monkeypatch.setenv("BETAR_TUI_UNSIGNED_PER_PEER", "7")
    limits = json.loads(run("status", "--json", "--max-disk", "64MB")[1])["limits"]
    assert {name: each["allowed"] for name, each in limits.items()} == {
        "listings_per_seller": 5,
        "unsigned_per_peer": 7,
        "disk": 64 << 20,
    }
    assert 0 < limits["disk"]["used"] < 1 << 20
    assert [each["refused"] for each in limits.values()] == [0, 0, 0]
    shown = run("status")[1]
    assert (
        "\nlimits: at most 5 listings of one seller are shown; at most 7 unsigned listings that one peer brought are shown\n"
        in shown
    )
    assert re.search(r"\nstore: a file of \S+ [KM]iB; \S+ KiB in use of 1 GiB allowed\n", shown)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("limits = 3", "write [limits]"),
        ("[limits]\nx = 3", "unknown setting 'x' in [limits]"),
        ("[limits]\nlistings-per-seller = -1", "--listings-per-seller: -1 is not a number of listings"),
        ("[limits]\nlistings-per-seller = true", "is not a number of listings"),
        ("[limits]\nunsigned-per-peer = 1.5", "is not a number of listings"),
        ('[limits]\nmax-disk = "much"', "--max-disk: 'much' is not a size"),
        ("[limits]\nmax-disk = 5", "less than the least limit"),
    ],
)
def test_wrong_limits_are_said_in_one_line(run, tmp_path, text, says):
    publish(run)
    (tmp_path / "data" / "config.toml").write_text(text)
    code, _, err = run("list")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "says", "meant"),
    [
        ("lisen = ['/ip4/0.0.0.0/tcp/4001']", "unknown setting 'lisen'", "did you mean listen?"),
        ("max-disc = '1GiB'", "unknown setting 'max_disc'", "did you mean max_disk?"),
        ("limit = 3", "unknown setting 'limit'", "did you mean limits?"),
        ("data-dir = '/elsewhere'", "unknown setting 'data_dir'", "which --data-dir and BETAR_TUI_DATA_DIR name"),
        ("listen = 4001", "4001 is nothing to listen on", "write it like /ip4/0.0.0.0/tcp/4001"),
        ("bootstrap = '203.0.113.7'", "does not end in /p2p/<peer id>", "write it like /ip4/203.0.113.7/tcp/4001/p2p/"),
    ],
)
def test_a_wrong_setting_is_said_with_the_right_one(run, tmp_path, text, says, meant):
    publish(run)
    (tmp_path / "data" / "config.toml").write_text(text)
    code, _, err = run("list")
    assert code == 2
    assert says in err and meant in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "meant"), [("LISEN", "LISTEN"), ("DATADIR", "DATA_DIR"), ("REQUIRE_GO", ""), ("X", "")]
)
def test_a_mistyped_variable_is_named(run, monkeypatch, name, meant):
    monkeypatch.setenv(f"BETAR_TUI_{name}", "1")
    code, _, err = run("list", "--json")
    assert code == 0
    said = f"betar-tui: the variable BETAR_TUI_{name} is not read; did you mean BETAR_TUI_{meant}?\n" if meant else ""
    assert err.startswith(said) and ("is not read" in err) == bool(said)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("500MB", 500 << 20), ("10 GiB", 10 << 30), ("1.5g", 3 << 29), ("17000000", 17_000_000)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


def test_list_counts_what_is_beyond_a_limit(run, tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        publish(run, name)
    run("export", str(tmp_path / "three.car"))
    monkeypatch.setenv("BETAR_TUI_DATA_DIR", str(tmp_path / "other"))
    run("import", str(tmp_path / "three.car"))
    assert len(json.loads(run("list", "--json")[1])) == 3
    shown = json.loads(run("list", "--json", "--listings-per-seller", "2")[1])
    assert len(shown) == 2
    assert "2 of 2 listings, 1 beyond a limit of their sellers not shown" in run("list", "--listings-per-seller=2")[1]
    assert json.loads(run("status", "--json", "--listings-per-seller=2")[1])["limits"]["listings_per_seller"] == {
        "allowed": 2,
        "used": 2,
        "refused": 1,
    }
    assert len(json.loads(run("list", "--json")[1])) == 3
