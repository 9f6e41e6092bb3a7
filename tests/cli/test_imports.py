"""What each command imports: no more than it needs, since a command's time is mostly that of its imports."""

from __future__ import annotations

import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
import trio

from betar_tui import __version__
from betar_tui.cli import main
from betar_tui.control.server import serve_control
from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import open_peer
from tests.peers.harness import clean_environment, config

PROGRAM = """
import sys
from betar_tui.__main__ import main
try:
    code = main()
finally:
    print("imported:", *sys.modules, file=sys.stderr)
raise SystemExit(code)
"""

NETWORK = {"libp2p", "multiaddr", "google", "cryptography", "coincurve", "zeroconf", "psutil", "dns", "miniupnpc"}
"""What `p2p` brings: libp2p and the protobuf stack and cryptography below it, discovery."""
INTERFACE = {"textual", "trio_asyncio", "asyncio", "betar_tui.tui"}
STORE = {"sqlite3", "zstandard", "nacl", "base58", "cbor2"} | {
    f"betar_tui.{room}" for room in ("peer", "store", "sync", "p2p", "replica", "ipld", "catalogue")
}
START = {"betar_tui", "betar_tui.__main__", "betar_tui.cli", "betar_tui.errors"}
GRAMMAR = START | {"betar_tui.arguments", "betar_tui.choices", "betar_tui.parsing", "betar_tui.stdout"}
"""All of this package that says what the arguments are."""


async def imported(*arguments: str, code: int = 0) -> set[str]:
    """The modules that a process with these arguments has imported in the end, packages included."""
    result = await trio.run_process(
        [sys.executable, "-c", PROGRAM, *arguments], capture_stdout=True, capture_stderr=True, check=False,
        env=clean_environment(),
    )  # fmt: skip
    assert result.returncode == code, result.stderr
    *_, last = result.stderr.decode().splitlines()
    label, *modules = last.split(" ")
    assert label == "imported:"
    assert "betar_tui.cli" in modules
    return set(modules)


async def test_the_version_alone_needs_no_grammar():
    modules = await imported("--version")
    assert {each for each in modules if each.startswith("betar_tui")} == START
    assert not modules & {"argparse", "typing", "dataclasses", "trio"}


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "--json"], ["--data-dir", "x", "--version"]])
def test_the_version_is_the_same_however_it_is_asked_for(arguments, capsys):
    try:
        code = main(arguments)
    except SystemExit as exit_:
        code = exit_.code
    assert (code, *capsys.readouterr()) == (0, f"betar-tui {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["--version", "status"], ["status", "--help"], ["list", "--help"]])
async def test_help_imports_the_grammar_alone(arguments):
    modules = await imported(*arguments)
    assert {each for each in modules if each.startswith("betar_tui")} == GRAMMAR
    by_argparse = {"dataclasses"} if "_colorize" in modules else set()  # of Python 3.14, which has colours for help
    assert not modules & ({"trio", "typing", "dataclasses", "logging", "json", "socket"} - by_argparse)


@pytest.mark.parametrize(
    ("arguments", "code"), [(["list", "--limit", "x"], 2), (["nonsense"], 2), (["publish", "-h"], 0)]
)
async def test_mistakes_and_the_help_of_fields_import_no_more_than_the_fields(arguments, code):
    modules = await imported(*arguments, code=code)
    assert not modules & ({"trio", "logging", "json", "betar_tui.config"} | STORE | INTERFACE | NETWORK)


async def test_locate_asks_nobody(tmp_path):
    modules = await imported("--data-dir", str(tmp_path), "locate")
    assert not modules & ({"trio"} | STORE | INTERFACE | NETWORK)


READING = [["status"], ["list", "--limit", "5"], ["list", "--json"], ["show", "ID"], ["heads"], ["log"]]


@asynccontextmanager
async def market(tmp_path, *, running: bool):
    """A data directory with one listing, and the listing's id; with `running`, a peer answers on its socket."""
    settings = config(tmp_path / "data")
    async with open_peer(settings, network=False) as peer, trio.open_nursery() as nursery:
        (receipt,) = await peer.publish([ListingDraft("a", 1)])
        if running:
            await nursery.start(serve_control, peer, settings.control_socket)
            yield receipt.id
        nursery.cancel_scope.cancel()
    if not running:
        yield receipt.id


@pytest.mark.parametrize("running", [True, False])
async def test_a_command_that_reads_imports_what_it_reads_with(tmp_path, running):
    async with market(tmp_path, running=running) as listing_id:
        for arguments in READING:
            filled = [listing_id if each == "ID" else each for each in arguments]
            modules = await imported("--data-dir", str(tmp_path / "data"), *filled)
            assert not modules & (INTERFACE | NETWORK), arguments
            if running:  # the peer reads: the command sends one request, without an event loop
                assert not modules & ({"trio"} | STORE), arguments
            else:
                assert "betar_tui.store" in modules
                assert ("trio" in modules) is (arguments == ["status"]), arguments


async def test_a_command_that_needs_a_peer_does_without_the_store(tmp_path):
    modules = await imported("--data-dir", str(tmp_path), "peers", code=1)
    assert not modules & ({"trio"} | STORE | INTERFACE | NETWORK)


def test_a_command_has_all_its_arguments_although_its_parser_is_made_late(tmp_path):
    command = [sys.executable, "-m", "betar_tui", "publish", "--help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, env=clean_environment()).stdout
    assert shown.startswith("usage: betar-tui publish ")
    for option in ("--data-dir", "--json", "--name", "--meta", "--file"):
        assert f"  {option} " in shown
