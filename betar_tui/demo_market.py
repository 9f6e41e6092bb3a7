"""The other peers of the demonstration: a process that runs five, which publish, change and remove listings.

Only the agents are invented. The process ends when its standard input does, so it cannot outlive the interface, however
that ends; and then it removes what both have stored."""

import os
import random
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import trio

from betar_tui import logs
from betar_tui.choices import CURRENCY
from betar_tui.config import Config
from betar_tui.files.temporary import remove_leftover
from betar_tui.market.marketplace import Listing, ListingDraft, ListingPatch
from betar_tui.memory import freeze_garbage
from betar_tui.peer import Peer, open_peer

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
STORED = "stored"
"""The first line of output: the market of before is in the file of `market_file`. The other lines are addresses of peers."""


def market_file(folder: Path) -> Path:
    """The listings that the market begins with, as a CAR file."""
    return folder / "market.car"


def demo_config(directory: Path) -> Config:
    """The settings of a peer of the demonstration."""
    return Config(
        data_dir=directory,
        listen=LISTEN,
        listen_explicit=True,
        mdns=False,  # with these three off nothing leaves the machine
        dht=False,
        upnp=False,
        announce_interval=5.0,
    )


async def _market(folder: Path) -> None:
    """Five peers that trade until standard input ends."""
    configs = [demo_config(folder / f"peer-{number}") for number in range(PEERS)]
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        nursery.start_soon(_until_input_ends, nursery.cancel_scope)
        await _publish_offline(configs, market_file(folder))
        _tell(STORED)
        first = ""
        for number, config in enumerate(configs):
            peer = await stack.enter_async_context(open_peer(config, network=True))
            await peer.session.ready.wait()
            address = peer.session.addrs[0]
            if first:
                await peer.connect(first)
            first = first or address
            _tell(address)
            nursery.start_soon(_trade, peer, number)
        freeze_garbage()
        await trio.sleep_forever()


async def _publish_offline(configs: list[Config], file: Path) -> None:
    """What each peer lists before its network is up, which takes a while; each knows what those before it list."""
    for number, config in enumerate(configs):
        async with open_peer(config, network=False) as peer:
            if number:
                await peer.import_car(str(file))
            await peer.publish([_agent(number, at) for at in range(random.randint(3, 6))])
            await peer.export_car(str(file))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


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
        metadata={"version": f"1.{random.randint(0, 9)}", "currency": CURRENCY},
    )


def _other_price(item: Listing) -> ListingPatch:
    return ListingPatch(price=round(max(0.001, item.price * random.uniform(0.8, 1.25)), 3))


def main(folder: str, lock: str = "", seed: str = "") -> None:
    """Run the process in a folder, whose lock it holds by a file descriptor; a seed fixes its random choices."""
    if seed:
        random.seed(seed)
    logs.configure("warning", "text", None)
    try:
        trio.run(_market, Path(folder))
    finally:
        if lock:
            # It was not killed, so the process that would have removed the folder is gone; else that one holds it still.
            os.close(int(lock))
            remove_leftover(Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
