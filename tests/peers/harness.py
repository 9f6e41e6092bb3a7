"""Real peers for tests: in this process (`peer`) or as `betar-tui --serve` (`served`). Loopback only."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, overload

import trio

from betar_tui.config import Config
from betar_tui.control.client import ControlClient
from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import Peer, open_peer
from betar_tui.store.database import open_store
from tests.store.reading import values as read_values

T = TypeVar("T")

LISTEN = ("/ip4/127.0.0.1/tcp/0",)
QUIET = {"BETAR_TUI_MDNS": "0", "BETAR_TUI_DHT": "0", "BETAR_TUI_UPNP": "0"}
"""Settings with which a peer looks for no others."""
PATIENCE = 30.0


@overload
async def eventually(check: Callable[[], Awaitable[T]], *, within: float = ..., what: str = ...) -> T: ...


@overload
async def eventually(check: Callable[[], T], *, within: float = ..., what: str = ...) -> T: ...


async def eventually(check: Callable[[], object], *, within: float = PATIENCE, what: str = "") -> object:
    """The first truthy result of `check`, asked every few milliseconds; fails after `within` seconds."""
    result: object = None
    with trio.move_on_after(within):
        while True:
            result = check()
            if isinstance(result, Awaitable):
                result = await result
            if result:
                return result
            await trio.sleep(0.01)
    raise AssertionError(f"{what or check} did not come true within {within:g} s; last: {result!r}")


def config(directory: Path, **settings: object) -> Config:
    """Settings of a peer on loopback."""
    defaults: dict[str, object] = {"listen": LISTEN, "listen_explicit": True}
    return Config(data_dir=directory, **{**defaults, **settings})  # type: ignore[arg-type]


@asynccontextmanager
async def peer(directory: Path, **settings: object) -> AsyncIterator[Peer]:
    """A peer in this process whose network is up."""
    async with open_peer(config(directory, **settings), network=True) as node:
        await eventually(node.session.ready.is_set, what="the network")
        yield node


async def meet(one: Peer, other: Peer) -> None:
    """Connect two peers and wait until each sees the other on the topic."""
    await one.connect(other.session.addrs[0])
    await eventually(lambda: one.session.topic_peers and other.session.topic_peers, what="both on the topic")


def values(directory: Path) -> dict[str, bytes]:
    """The whole map that a data directory holds, by key."""
    store = open_store(directory / "replica.db")
    try:
        return {key: winner.value for key, winner, _ in read_values(store, ("/", "0"))}
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class Served:
    """A `betar-tui --serve` process. `address` ends in /p2p/<peer id>."""

    process: trio.Process
    directory: Path
    peer_id: str
    address: str
    control: Path
    log: Path

    @property
    def market(self) -> ControlClient:
        """The peer's marketplace through its control socket."""
        return ControlClient(self.control)  # type: ignore[abstract]

    async def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run a command on this peer's data directory."""
        return await command("--data-dir", str(self.directory), *arguments, check=check)


async def command(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    """Run `betar-tui` with these arguments."""
    return await trio.run_process(
        [sys.executable, "-m", "betar_tui", *arguments],
        capture_stdout=True,
        capture_stderr=True,
        check=check,
        env=clean_environment(),
    )


def clean_environment() -> dict[str, str]:
    """The environment without settings for betar-tui, except that it looks for no other peers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BETAR_TUI_")}
    return {**kept, **QUIET}


async def level(one: Served, other: Served, word: str, *, within: float = PATIENCE) -> None:
    """Publish at both, and wait until each shows all listings of the other."""
    for number, each in enumerate((one, other)):
        await each.market.publish([ListingDraft(f"{word}-{number}", 1)])

    async def same() -> bool:
        first, second = [{each.name for each in (await p.market.listings()).listings} for p in (one, other)]
        return first == second >= {f"{word}-0", f"{word}-1"}

    await eventually(same, within=within, what=f"{word}: both have the same listings")


@asynccontextmanager
async def served(
    directory: Path,
    *options: str,
    listen: Sequence[str] = LISTEN,
    inside: Sequence[str] = (),
    checkout: Path | None = None,
) -> AsyncIterator[Served]:
    """A `betar-tui --serve` process, ended by SIGKILL at the latest when the block ends.

    `inside` is a command that runs it elsewhere, such as in a network namespace; `checkout` is another version's code."""
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "stderr.log"
    where = [part for each in listen for part in ("--listen", each)]
    with log.open("ab") as errors:
        process = await trio.lowlevel.open_process(
            [*inside, sys.executable, "-m", "betar_tui", "--serve", "--data-dir", str(directory), *where, *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=clean_environment() | ({"PYTHONPATH": str(checkout)} if checkout else {}),
            cwd=checkout,
        )
    try:
        with trio.fail_after(PATIENCE):
            line = await _first_line(process)
        assert line.startswith("ready "), f"{line!r}; {log.read_text()}"
        fields = dict(part.split("=", 1) for part in line.split()[1:])
        yield Served(process, directory, fields["peer_id"], fields["addr"], Path(fields["control"]), log)
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
            if process.stdout is not None:
                await process.stdout.aclose()


async def _first_line(process: trio.Process) -> str:
    assert process.stdout is not None
    buffer = b""
    while b"\n" not in buffer:
        chunk = await process.stdout.receive_some(4096)
        if not chunk:
            break
        buffer += chunk
    return buffer.split(b"\n")[0].decode()
