"""A live market on one machine, as a demonstration: `betar-tui --demo`.

Only the agents are invented: the interface has a real peer on a temporary data directory, and a child process runs five
more, which publish, change and remove listings over loopback. Nothing leaves the machine. The child ends when its
standard input does, so it cannot outlive the interface, however that ends."""

import logging
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import trio

from betar_tui import logs
from betar_tui.config import Config
from betar_tui.errors import BetarError, InterfaceError
from betar_tui.files.plain import open_append
from betar_tui.files.rules import explain
from betar_tui.leaving import leave_on_signals
from betar_tui.market.marketplace import Listing, ListingDraft, ListingPatch
from betar_tui.peer import Peer, open_peer
from betar_tui.place import freeze_garbage
from betar_tui.tui.options import TuiOptions

log = logging.getLogger(__name__)

PEERS = 5
LISTEN = ("/ip4/127.0.0.1/tcp/0",)
MAX_LISTINGS = 12
"""Maximum listings of one peer."""

AGENTS = (
    ("ocr", 0.02, "Reads scanned pages, tables and handwriting.\n\n- 40 languages\n- returns **Markdown** or JSON"),
    ("translate", 0.05, "Translates between 24 languages and keeps the formatting."),
    ("summarise", 0.01, "Three sentences of any text, with quotations to prove them."),
    ("transcribe", 0.12, "Speech to text with speakers told apart. *One hour of sound in two minutes.*"),
    ("geocode", 0.004, "Turns addresses into coordinates, and back."),
    ("image-tag", 0.03, "Names what is in a picture, with a certainty for each."),
    ("audit", 4.5, "Reads Solidity and tells what may go wrong, line by line."),
    ("forecast", 0.008, "Weather for the next ten days, hour by hour, for any coordinate."),
    ("invoice", 0.25, "Takes a PDF invoice, returns its positions, taxes and due date as JSON."),
    ("sql", 0.09, "Answers questions about your database and shows the query it ran."),
    ("proofread", 0.06, "Finds slips of grammar and style and says why they are some."),
    ("route", 0.015, "Plans a round trip of up to 200 stops."),
)
NAMES = ("amber", "brisk", "calm", "deft", "eager", "fleet", "lucid", "mellow", "nimble", "swift", "vivid", "witty")


async def run_demo(options: TuiOptions | None = None) -> int:
    """Show the demonstration until the person quits, or a signal or the loss of the terminal ends it; the exit code.

    Raises BetarError."""
    from betar_tui.tui.run import run_app

    try:
        temporary = tempfile.TemporaryDirectory(prefix="betar-tui-demo-", ignore_cleanup_errors=True)
    except OSError as error:
        otherwise = "set TMPDIR to a directory that can be written to"
        raise InterfaceError(explain(error, "cannot make a directory for the demo", otherwise)) from error
    with temporary as name:
        folder = Path(name)
        log_file = folder / logs.FILE_NAME
        logs.configure("info", "text", log_file)
        painted = trio.Event()
        chosen = replace(
            options or TuiOptions(),
            title="betar demo",
            painted=painted.set,
            log_tail=lambda: logs.tail(log_file),
            own_peer=lambda: True,
        )
        with leave_on_signals(chosen.leaving):
            async with demo_market(folder, start=painted) as peer:
                await run_app(peer, options=chosen)
    return chosen.leaving.code or 0


@asynccontextmanager
async def demo_market(folder: Path, *, start: trio.Event | None = None, seed: str = "") -> AsyncIterator[Peer]:
    """A peer that goes online at `start` and connects to five others; `seed` fixes their random choices."""
    async with (
        _neighbours(folder, seed) as child,
        open_peer(_config(folder / "you"), network=True, start=start) as peer,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_join, peer, child)
        yield peer
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _neighbours(folder: Path, seed: str = "") -> AsyncIterator[trio.Process]:
    """The child process with the other peers."""
    with open_append(folder / "peers.log") as errors:
        child = await trio.lowlevel.open_process(
            [sys.executable, "-m", "betar_tui.demo", str(folder), *filter(None, [seed])],
            stdin=-1,
            stdout=-1,
            stderr=errors,
        )
    try:
        yield child
    finally:
        with trio.CancelScope(shield=True):
            child.kill()
            await child.wait()


async def _join(peer: Peer, child: trio.Process) -> None:
    """Connect to each of the other peers when the child has written its address."""
    assert child.stdout is not None
    await peer.session.ready.wait()
    freeze_garbage()
    rest = b""
    async for piece in child.stdout:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            try:
                await peer.connect(line.decode())
            except BetarError as error:
                log.warning("a demo peer does not answer: %s", error)


def _config(directory: Path) -> Config:
    return Config(
        data_dir=directory,
        listen=LISTEN,
        listen_explicit=True,
        mdns=False,  # with these three off nothing leaves the machine
        dht=False,
        upnp=False,
        announce_interval=5.0,
    )


# In the child process


async def _market(folder: Path) -> None:
    """Five peers that trade until standard input ends."""
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        nursery.start_soon(_until_input_ends, nursery.cancel_scope)
        first = ""
        for number in range(PEERS):
            peer = await stack.enter_async_context(open_peer(_config(folder / f"peer-{number}"), network=True))
            agents = [_agent(number, at) for at in range(random.randint(3, 6))]
            await peer.publish(agents)
            await peer.session.ready.wait()
            address = peer.session.addrs[0]
            if first:
                await peer.connect(first)
            first = first or address
            sys.stdout.write(f"{address}\n")
            sys.stdout.flush()
            nursery.start_soon(_trade, peer, number)
        freeze_garbage()
        await trio.sleep_forever()


async def _until_input_ends(scope: trio.CancelScope) -> None:
    async with trio.lowlevel.FdStream(0) as stdin:
        while await stdin.receive_some():
            pass
    scope.cancel()


async def _trade(peer: Peer, number: int) -> None:
    """Act as a seller: publish an agent now and then, change prices often, remove a listing at times."""
    last = 100
    while True:
        await trio.sleep(random.expovariate(1 / 3.0) + 0.3)
        own = [item for item in (await peer.listings("state:mine")).listings if item.mine]
        dice = random.random()
        if len(own) < 3 or (dice < 0.3 and len(own) < MAX_LISTINGS):
            last += 1
            await peer.publish([_agent(number, last)])
        elif dice < 0.8:
            item = random.choice(own)
            await peer.update(item.id, _other_price(item))
        elif len(own) > 3:
            await peer.delist(random.choice(own).id)


def _agent(number: int, at: int) -> ListingDraft:
    trade, price, description = AGENTS[(at * 5 + number * 2) % len(AGENTS)]
    name = NAMES[(number * 3 + at) % len(NAMES)]
    return ListingDraft(
        name=f"{name}-{trade}" if at < 100 else f"{name}-{trade}-{at - 99}",
        price=round(price * random.uniform(0.7, 1.6), 3),
        description=description,
        metadata={"version": f"1.{random.randint(0, 9)}", "currency": "USDC"},
    )


def _other_price(item: Listing) -> ListingPatch:
    return ListingPatch(price=round(max(0.001, item.price * random.uniform(0.8, 1.25)), 3))


def main(folder: str, seed: str = "") -> None:
    """Run the child process in a folder; a seed fixes its random choices."""
    if seed:
        random.seed(seed)
    logs.configure("warning", "text", None)
    trio.run(_market, Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
