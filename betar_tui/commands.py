"""The commands: each opens a marketplace, the running peer's or the store itself, asks it, and prints the answer.

They start without an event loop, and await `event_loop` before all that needs trio; see `eventloop`. Those that only read
need none."""

import argparse
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from betar_tui import local_commands, output, wording
from betar_tui.choices import STDIO
from betar_tui.complaints import complain
from betar_tui.config import Config, prepare_data_dir
from betar_tui.control.command import CommandClient
from betar_tui.drafts import drafts_of, entered, remarks
from betar_tui.errors import ControlError, NetworkError, UsageError
from betar_tui.eventloop import event_loop
from betar_tui.market.dialling import dialling_warning, own_addresses
from betar_tui.market.marketplace import (
    Change,
    ChangeKind,
    Connected,
    DelistReceipt,
    ListingPatch,
    Marketplace,
    Missed,
    Receipt,
)
from betar_tui.market.names import is_peer_id
from betar_tui.market.prices import other_currency
from betar_tui.multiaddrs import is_path, split_peer
from betar_tui.naming import abbreviated, listing_id, named_in_full
from betar_tui.output import confirmed, print_entries, print_entry, print_fields, print_json, print_table, say
from betar_tui.plurals import plural
from betar_tui.stdout import width, write

if TYPE_CHECKING:
    from betar_tui.stored import StoredMarket  # not more: a command that asks a running peer does without the store

Arguments = argparse.Namespace

_ALL_DELTAS = 10_000
"""As many deltas as a peer tells at once."""
_EMPTY = "the replica is empty: nothing was published here, and no peer has sent anything"
_MUTED_FOR = 1.0
"""Seconds for which the list of muted sellers is taken to stay as it is."""
_RECEIPTS = 10
"""Maximum receipts that are shown in a terminal."""


@asynccontextmanager
async def open_marketplace(config: Config, *, need_peer: bool = False) -> AsyncIterator[Marketplace]:
    """The running peer of the data directory, else its store. With `need_peer` only the former will do.

    Only the store, and `events`, need an event loop."""
    client = CommandClient(config.control_socket)  # type: ignore[abstract]
    if need_peer or client.running():
        yield client
        return
    await event_loop()
    from betar_tui.peer import open_peer

    async with open_peer(config, network=False) as peer:
        yield peer


@asynccontextmanager
async def read_marketplace(config: Config) -> "AsyncIterator[Marketplace | StoredMarket]":
    """The same for a command that only reads: neither needs an event loop."""
    client = CommandClient(config.control_socket)  # type: ignore[abstract]
    if client.running():
        yield client
        return
    from betar_tui.progress_line import progress_line
    from betar_tui.stored import open_stored

    with progress_line() as tell, open_stored(config, tell) as stored:
        yield stored


async def list_(config: Config, arguments: Arguments) -> None:
    """Print the listings that match."""
    wanted, leaves_out = arguments.filter, _leaves_out_muted(arguments)
    async with read_marketplace(config) as market:
        mutes = [each.peer_id for each in await market.mutes()]
        muted = mutes if leaves_out else []
        page = await market.listings(wanted, arguments.sort, arguments.limit, muted=muted)
        matching = max(page.matching, len(page.listings))
        if not page.exact and not arguments.json:
            matching = await market.count(wanted, muted)
    if arguments.json:
        print_json([output.listing_json(each) for each in page.listings])
        return
    if page.listings:
        print_table(wording.LISTINGS, wording.listing_rows(page.listings, mutes))
    say(wording.page_text(page, matching, wanted, bool(muted)))
    if not page.total:
        say("nothing has come yet: betar-tui doctor says whether peers are there, betar-tui publish begins")
    elif not page.listings:
        from betar_tui.market.advice import advice  # deferred: mostly something is found

        if hint := advice(wanted):
            say(hint)


def _leaves_out_muted(arguments: Arguments) -> bool:
    """Whether the muted sellers matter: with --all only to a filter that asks for them."""
    from betar_tui.market.filter import parse  # deferred: few commands take a filter

    return not arguments.all or ("muted" in arguments.filter.lower() and parse(arguments.filter).asks_for_muted)


async def show(config: Config, arguments: Arguments) -> None:
    """Print one listing with its history."""
    async with read_marketplace(config) as market:
        detail = await market.show(await listing_id(market, arguments.id))
    if arguments.json:
        shown = {"raw": detail.raw, "history": [asdict(each) for each in detail.history], "document": detail.document}
        print_json({**output.listing_json(detail.listing), **shown, "story": list(detail.story)})
    else:
        output.print_lines(wording.detail_lines(detail, time.time()))


async def publish(config: Config, arguments: Arguments) -> None:
    """Publish one listing from options, or many from a file."""
    sellers: dict[str, str] = {}
    drafts = drafts_of(arguments, sellers.__setitem__)
    async with open_marketplace(config) as market:
        peer = await market.status()
        told = list(remarks(drafts, sellers, peer.peer_id))
        for remark in told[:_RECEIPTS]:
            complain(remark)
        if len(told) > _RECEIPTS:
            complain(f"and {plural(len(told) - _RECEIPTS, 'more remark')} like these")
        warning = dialling_warning([each.addrs for each in drafts], peer)
        receipts, running = await market.publish(drafts), isinstance(market, CommandClient)
    if warning:
        complain(warning)
    if arguments.json:
        shown = [asdict(each) for each in receipts]
        print_json(shown if arguments.file else shown[0])
        return
    whole = width() is None
    most = len(receipts) if whole else _RECEIPTS
    for each in receipts[:most]:
        say(wording.receipt_text("published", each, whole=whole, running=running))
    if len(receipts) > most:
        say(f"and {len(receipts) - most:,} more; betar-tui list seller:you shows them")


async def update(config: Config, arguments: Arguments) -> None:
    """Change an own listing."""
    given = entered(arguments)
    if arguments.no_meta:
        given["metadata"] = {**given.get("metadata", {}), **dict.fromkeys(arguments.no_meta)}
    if not given:
        raise UsageError("nothing to change is given; betar-tui update --help has the options")
    if currency := other_currency(given.get("metadata")):
        complain(currency)
    async with open_marketplace(config) as market:
        receipt = await market.update(await listing_id(market, arguments.id, own=True), ListingPatch(**given))
    _print_receipt(arguments, "updated", receipt, market)


async def delist(config: Config, arguments: Arguments) -> int:
    """Remove an own listing. At a terminal, one that was not named in full is asked about."""
    async with open_marketplace(config) as market:
        found = await listing_id(market, arguments.id, own=True)
        for listing in await market.find([found]):
            named = arguments.json or named_in_full(listing, arguments.id)
            if not named and not confirmed(f"delist {listing.name}, {found}?"):
                complain("nothing is delisted")
                return 1
        receipt = await market.delist(found)
    _print_receipt(arguments, "delisted", receipt, market)
    return 0


def _print_receipt(arguments: Arguments, done: str, receipt: Receipt | DelistReceipt, market: Marketplace) -> None:
    if arguments.json:
        print_json(asdict(receipt))
    else:
        running = isinstance(market, CommandClient)
        say(wording.receipt_text(done, receipt, whole=width() is None, running=running))


async def watch(config: Config, arguments: Arguments) -> None:
    """Print changes as they are applied, until interrupted."""
    await event_loop()
    async with open_marketplace(config, need_peer=True) as market, market.events() as events:
        muted = _Muted(market)
        async for event in events:
            if isinstance(event, Missed):
                left_out = plural(event.count, "event came too fast and was", "events came too fast and were")
                complain(f"{left_out} left out; run betar-tui list for the state")
            if not isinstance(event, Change):
                continue
            if not arguments.all and (event.kind is ChangeKind.REFRESH or await muted.has_seller(event)):
                continue
            if arguments.json:
                print_json(wording.change_json(event))
            else:
                say(wording.change_text(event, whole=width() is None))
    raise ControlError("the peer has stopped; start it again with betar-tui --serve")


class _Muted:
    """The muted sellers while changes come, asked for again when they may be other ones, once a second."""

    def __init__(self, market: Marketplace) -> None:
        self._market, self._sellers, self._asked = market, frozenset[str](), -math.inf

    async def has_seller(self, change: Change) -> bool:
        """Whether the seller of a listing that changed is muted."""
        if time.monotonic() - self._asked >= _MUTED_FOR:
            self._sellers = frozenset(each.peer_id for each in await self._market.mutes())
            self._asked = time.monotonic()
        return (change.listing.seller_id if change.listing else change.seller_id) in self._sellers


async def status(config: Config, arguments: Arguments) -> None:
    """Print the peer and its replica in numbers."""
    async with open_marketplace(config) as market:
        found = await market.status()
    if arguments.json:
        fields = asdict(found)
        fields["deaf_peers"] = fields.pop("peers_unable_to_read")  # the key that scripts rely on
        print_json(fields)
    else:
        print_fields(wording.status_fields(found, time.time()))


async def address(config: Config, arguments: Arguments) -> None:
    """Print the multiaddr that others dial to reach this peer."""
    async with open_marketplace(config, need_peer=True) as market:
        found = await market.status()
    known = own_addresses(found)
    if arguments.json:
        print_json({"peer_id": found.peer_id, "address": next(iter(known), None), "addresses": known})
        return
    if not known:
        why = found.offline or "its network is starting"
        raise NetworkError(f"the peer listens on no address: {why}; betar-tui doctor says what to do")
    write(f"{known[0]}\n")  # in one piece, however narrow the terminal is: it is copied
    if width() is not None:
        say(wording.reach_text(found))


async def peers(config: Config, arguments: Arguments) -> None:
    """Print the connected peers."""
    async with open_marketplace(config, need_peer=True) as market:
        connected = await market.peers()
        if arguments.json:
            print_json([asdict(each) for each in connected])
            return
        if connected:
            print_table(wording.PEERS, wording.peer_rows(connected, time.time()))
        for each in connected:
            if each.refused or each.misbehaved:
                say(
                    f"{each.peer_id}: {each.refused:,} of its messages refused, {plural(each.misbehaved, 'rule')} broken"
                )
        if not any(p.on_topic for p in connected):
            found = await market.status()
            text = f"no peer {'of these is on the topic' if connected else 'is connected'}"
            say("; ".join(filter(None, (text, wording.alone_text(found)))))


async def connect(config: Config, arguments: Arguments) -> None:
    """Dial a peer now and remember it."""
    given = arguments.multiaddr.strip()
    peer_id = split_peer(given)[1]
    form = "write it like /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW…; betar-tui address prints that of a peer"
    if not is_path(given) or not peer_id:
        raise UsageError(f"{given[:200]!r} is not a multiaddr that ends in /p2p/<peer id>; {form}")
    async with open_marketplace(config, need_peer=True) as market:
        connected = await _connected(market, given, peer_id, form)
    peer = connected.peer
    if arguments.json:
        print_json({**asdict(peer), "already_connected": connected.already})
    else:
        how = "already connected" if connected.already else "connected"
        say(f"{how} to {peer.peer_id} ({peer.agent or 'agent unknown'})")


async def _connected(market: Marketplace, given: str, peer_id: str, form: str) -> Connected:
    """Raises UsageError for what only stands where a peer id belongs: a peer cannot dial that."""
    try:
        return await market.connect(given)
    except NetworkError as error:
        if not is_peer_id(peer_id):
            raise UsageError(f"{peer_id[:80]!r} is not a peer id; {form}") from error
        raise


async def block(config: Config, arguments: Arguments) -> None:
    """Have nothing to do with a peer from now on."""
    async with open_marketplace(config) as market:
        peer = await market.block(abbreviated(arguments.peer))
    print_entry(arguments.json, "peer_id", peer, f"blocked {peer}; betar-tui unblock lets it in again")


async def unblock(config: Config, arguments: Arguments) -> None:
    """Let a blocked peer in again."""
    async with open_marketplace(config) as market:
        peer = await market.unblock(abbreviated(arguments.peer))
    print_entry(arguments.json, "peer_id", peer, f"unblocked {peer}")


async def blocked(config: Config, arguments: Arguments) -> None:
    """Print the blocked peers."""
    async with read_marketplace(config) as market:
        print_entries(arguments.json, "peer_id", await market.blocks())


async def mute(config: Config, arguments: Arguments) -> None:
    """Leave a seller's listings out from now on."""
    async with open_marketplace(config) as market:
        seller = await market.mute(abbreviated(arguments.seller))
        count = await market.count("state:muted", [seller])
    hidden = f"{plural(count, 'listing')} left out"
    print_entry(arguments.json, "seller_id", seller, f"muted {seller}, {hidden}; betar-tui unmute shows them again")


async def unmute(config: Config, arguments: Arguments) -> None:
    """Show a muted seller's listings again."""
    async with open_marketplace(config) as market:
        seller = await market.unmute(abbreviated(arguments.seller))
    print_entry(arguments.json, "seller_id", seller, f"unmuted {seller}")


async def muted(config: Config, arguments: Arguments) -> None:
    """Print the muted sellers."""
    async with read_marketplace(config) as market:
        print_entries(arguments.json, "seller_id", await market.mutes())


async def heads(config: Config, arguments: Arguments) -> None:
    """Print the heads of the Merkle-DAG."""
    async with read_marketplace(config) as market:
        found = await market.heads()
    if arguments.json:
        print_json([asdict(each) for each in found])
    elif not found:
        say(_EMPTY)
    else:
        print_table(wording.HEADS, ((each.height, each.cid) for each in found))


async def log(config: Config, arguments: Arguments) -> None:
    """Print the deltas applied last."""
    async with read_marketplace(config) as market:
        deltas = await market.log(arguments.limit or _ALL_DELTAS)
    if arguments.json:
        print_json([asdict(each) for each in deltas])
        return
    if not deltas:
        say(_EMPTY)
        return
    print_table(wording.DELTAS, wording.delta_rows(deltas, whole=width() is None))


async def export(config: Config, arguments: Arguments) -> None:
    """Write the replica's DAG as a CARv1 file."""
    from betar_tui.parsing import file_and_heads
    from betar_tui.transfers import absolute, exported_to, shown

    path, chosen = file_and_heads(arguments.file, arguments.heads)
    prepare_data_dir(config.data_dir)
    with exported_to(path, config.data_dir) as file:
        async with open_marketplace(config) as market:
            exported = await market.export_car(shown(path, "stdout"), chosen, file.fileno())
    exported = replace(exported, path=absolute(path, "stdout"))
    files = f", {plural(exported.files, 'of them a metadata file', 'of them metadata files')}" if exported.files else ""
    wrote = f"{plural(exported.blocks, 'block')} of {plural(exported.bytes, 'byte')} in all"
    text = f"wrote {wrote} to {exported.path}{files}"  # the file has more bytes: the CIDs, and a header
    if str(path) == STDIO:
        complain(text)  # stdout has the archive
    elif arguments.json:
        print_json(asdict(exported))
    else:
        say(text)


async def import_(config: Config, arguments: Arguments) -> None:
    """Merge a CAR file."""
    from betar_tui.transfers import absolute, imported_from, shown

    prepare_data_dir(config.data_dir)
    with imported_from(arguments.file, config.data_dir) as file:
        async with open_marketplace(config) as market:
            imported = await market.import_car(shown(arguments.file), file.fileno())
    if arguments.json:
        print_json({**asdict(imported), "path": absolute(arguments.file)})
        return
    for line in output.import_report(imported):
        say(line)


COMMANDS: Mapping[str, Callable[[Config, Arguments], Coroutine[Any, Any, int | None]]] = {
    "list": list_,
    "show": show,
    "publish": publish,
    "update": update,
    "delist": delist,
    "watch": watch,
    "peers": peers,
    "connect": connect,
    "block": block,
    "unblock": unblock,
    "blocked": blocked,
    "mute": mute,
    "unmute": unmute,
    "muted": muted,
    "heads": heads,
    "log": log,
    "export": export,
    "import": import_,
    "status": status,
    "address": address,
    "doctor": local_commands.doctor,
    "locate": local_commands.locate,
    "help": local_commands.help_,
    "completion": local_commands.completion,
    "man": local_commands.man,
}
