"""The commands: each opens a marketplace, the running peer's or the store itself, asks it, and prints the answer.

They start without an event loop, and await `event_loop` before all that needs trio; see `eventloop`. Those that only read
need none."""

import argparse
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from betar_tui.config import Config
from betar_tui.control.command import CommandClient
from betar_tui.drafts import drafts_in
from betar_tui.errors import ArchiveError, ControlError, UsageError
from betar_tui.eventloop import event_loop
from betar_tui.files.plain import place_of
from betar_tui.files.rules import explain
from betar_tui.market.dialling import dialling_warning
from betar_tui.market.fields import ENTERED, Kind
from betar_tui.market.marketplace import (
    Change,
    ChangeKind,
    ListingDraft,
    ListingPatch,
    Marketplace,
    Missed,
    Status,
)
from betar_tui.market.peer_facts import STARTING, head_text, limits_text, looking_text
from betar_tui.output import (
    complain,
    duration,
    import_report,
    listing_json,
    print_entries,
    print_entry,
    print_fields,
    print_json,
    print_table,
    say,
    seller_of,
    state_of,
)

if TYPE_CHECKING:
    from betar_tui.stored import StoredMarket  # not more: a command that asks a running peer does without the store

Arguments = argparse.Namespace


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
    from betar_tui.stored import open_stored

    with open_stored(config) as stored:
        yield stored


async def list_(config: Config, arguments: Arguments) -> None:
    """Print the listings that match."""
    async with read_marketplace(config) as market:
        muted = [each.peer_id for each in await market.mutes()] if _leaves_out_muted(arguments) else []
        page = await market.listings(arguments.filter, arguments.sort, arguments.limit, muted=muted)
    if arguments.json:
        print_json([listing_json(each) for each in page.listings])
        return
    rows = ((e.name, f"{e.price:g}", state_of(e), "mine" if e.mine else "", seller_of(e), e.id) for e in page.listings)
    print_table(("NAME", "PRICE", "STATE", "", "SELLER", "ID"), rows)
    hidden = f", {page.invalid} with a wrong signature hidden" if page.invalid else ""
    if page.withheld:
        hidden += f", {page.withheld} beyond a limit of their sellers not shown"
    if page.muted and muted and "muted" not in arguments.filter.lower():
        hidden += f", {page.muted} of muted sellers left out (--all shows them)"
    say(f"{len(page.listings)} of {page.total} listings{hidden}")


def _leaves_out_muted(arguments: Arguments) -> bool:
    """Whether the muted sellers matter: with --all only to a filter that asks for them."""
    from betar_tui.market.filter import parse  # deferred: few commands take a filter

    return not arguments.all or ("muted" in arguments.filter.lower() and parse(arguments.filter).asks_for_muted)


async def show(config: Config, arguments: Arguments) -> None:
    """Print one listing with its history."""
    async with read_marketplace(config) as market:
        detail = await market.show(arguments.id)
    result = {
        **listing_json(detail.listing),
        "raw": detail.raw,
        "history": [asdict(each) for each in detail.history],
        "document": detail.document,
        "story": list(detail.story),
    }
    if arguments.json:
        print_json(result)
        return
    history = [
        f"{each.height} {each.cid} {'removed' if each.value is None else 'put'}{each.voice and f' ({each.voice})'}"
        for each in detail.history
    ]
    shown = {"seller_id": seller_of(detail.listing), "description": detail.listing.description, "history": history}
    print_fields({**result, **shown, "story": "; ".join(detail.story)})


async def publish(config: Config, arguments: Arguments) -> None:
    """Publish one listing from options, or many from a file."""
    drafts = _drafts_of(arguments)
    async with open_marketplace(config) as market:
        if warning := dialling_warning([each.addrs for each in drafts], await market.status()):
            complain(warning)
        receipts = await market.publish(drafts)
    if arguments.json:
        shown = [asdict(each) for each in receipts]
        print_json(shown if arguments.file else shown[0])
        return
    for each in receipts:
        say(f"published {each.id} in {each.cid} at height {each.height}, {_sent(each.sent_to)}")


async def update(config: Config, arguments: Arguments) -> None:
    """Change an own listing."""
    patch = ListingPatch(**_entered(arguments))
    async with open_marketplace(config) as market:
        receipt = await market.update(arguments.id, patch)
    if arguments.json:
        print_json(asdict(receipt))
    else:
        say(f"updated {receipt.id} in {receipt.cid} at height {receipt.height}, {_sent(receipt.sent_to)}")


async def delist(config: Config, arguments: Arguments) -> None:
    """Remove an own listing."""
    async with open_marketplace(config) as market:
        receipt = await market.delist(arguments.id)
    if arguments.json:
        print_json(asdict(receipt))
    else:
        say(f"delisted {receipt.id} in {receipt.cid} at height {receipt.height}, {_sent(receipt.sent_to)}")


async def watch(config: Config, arguments: Arguments) -> None:
    """Print changes as they are applied, until interrupted."""
    await event_loop()
    async with open_marketplace(config, need_peer=True) as market, market.events() as events:
        async for event in events:
            if isinstance(event, Missed):
                complain(f"{event.count} events came too fast and were left out; run betar-tui list for the state")
            if not isinstance(event, Change) or (event.kind is ChangeKind.REFRESH and not arguments.all):
                continue
            shown = {"event": event.kind, "id": event.id, "cid": event.cid, "height": event.height}
            if arguments.json:
                print_json({**shown, "via": event.via, "at": event.at})
            else:
                where = f" via {event.via} at height {event.height}" if event.via else ""
                say(f"{event.kind:7} {event.id}{where}")
    raise ControlError("the peer has stopped; start it again with betar-tui --serve")


async def status(config: Config, arguments: Arguments) -> None:
    """Print the peer and its replica in numbers."""
    async with open_marketplace(config) as market:
        found = await market.status()
    fields = asdict(found)
    if arguments.json:
        fields["deaf_peers"] = fields.pop("peers_unable_to_read")  # the key that scripts rely on
        print_json(fields)
        return
    fields.update(uptime=duration(found.uptime), searches=_searches(found), reachability=found.reachability.text)
    fields["limits"] = limits_text(found.limits)
    fields["indexing"] = found.indexing.text if found.indexing else ""
    print_fields({name: value for name, value in fields.items() if value != ""})


def _searches(status: Status) -> str:
    """What is done to find peers, in words; see `looking_text`."""
    text = looking_text(status, time.time())
    return text if status.searches or text in ("", STARTING) else f"{text}; betar-tui connect MULTIADDR adds a peer"


async def peers(config: Config, arguments: Arguments) -> None:
    """Print the connected peers."""
    async with open_marketplace(config, need_peer=True) as market:
        connected = await market.peers()
        if arguments.json:
            print_json([asdict(each) for each in connected])
            return
        now = time.time()
        rows = (
            (
                p.peer_id,
                p.direction,
                p.found or "-",
                "-" if p.latency_ms is None else f"{p.latency_ms:.1f} ms",
                p.agent,
                "yes" if p.on_topic else "no",
                head_text(p, now),
            )
            for p in connected
        )
        if connected:
            print_table(("PEER", "DIRECTION", "FOUND", "LATENCY", "AGENT", "ON TOPIC", "NEWEST HEAD"), rows)
        for each in connected:
            if each.refused or each.misbehaved:
                say(f"{each.peer_id}: {each.refused} of its messages refused, {each.misbehaved} rules broken")
        if not any(p.on_topic for p in connected):
            found = await market.status()
            text = f"no peer {'of these is on the topic' if connected else 'is connected'}"
            say("; ".join(filter(None, (text, _alone(found)))))


def _alone(status: Status) -> str:
    """What is done while no peer is on the topic."""
    text = f"offline: {status.offline}" if status.offline else _searches(status)
    return text[:1].lower() + text[1:]


async def connect(config: Config, arguments: Arguments) -> None:
    """Dial a peer now and remember it."""
    async with open_marketplace(config, need_peer=True) as market:
        connected = await market.connect(arguments.multiaddr)
    peer = connected.peer
    if arguments.json:
        print_json({**asdict(peer), "already_connected": connected.already})
    else:
        how = "already connected" if connected.already else "connected"
        say(f"{how} to {peer.peer_id} ({peer.agent or 'agent unknown'})")


async def block(config: Config, arguments: Arguments) -> None:
    """Have nothing to do with a peer from now on."""
    async with open_marketplace(config) as market:
        peer = await market.block(arguments.peer)
    print_entry(arguments.json, "peer_id", peer, f"blocked {peer}; betar-tui unblock lets it in again")


async def unblock(config: Config, arguments: Arguments) -> None:
    """Let a blocked peer in again."""
    async with open_marketplace(config) as market:
        peer = await market.unblock(arguments.peer)
    print_entry(arguments.json, "peer_id", peer, f"unblocked {peer}")


async def blocked(config: Config, arguments: Arguments) -> None:
    """Print the blocked peers."""
    async with read_marketplace(config) as market:
        print_entries(arguments.json, "peer_id", await market.blocks())


async def mute(config: Config, arguments: Arguments) -> None:
    """Leave a seller's listings out from now on."""
    async with open_marketplace(config) as market:
        seller = await market.mute(arguments.seller)
        count = await market.count("state:muted", [seller])
    hidden = f"{count} listing{'' if count == 1 else 's'} left out"
    print_entry(arguments.json, "seller_id", seller, f"muted {seller}, {hidden}; betar-tui unmute shows them again")


async def unmute(config: Config, arguments: Arguments) -> None:
    """Show a muted seller's listings again."""
    async with open_marketplace(config) as market:
        seller = await market.unmute(arguments.seller)
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
    else:
        print_table(("HEIGHT", "CID"), ((each.height, each.cid) for each in found))


async def log(config: Config, arguments: Arguments) -> None:
    """Print the deltas applied last."""
    async with read_marketplace(config) as market:
        deltas = await market.log(arguments.limit)
    if arguments.json:
        print_json([asdict(each) for each in deltas])
        return
    rows = ((d.height, f"+{d.elements} -{d.tombstones}", d.bytes, d.via, d.cid, " ".join(d.ids)) for d in deltas)
    print_table(("HEIGHT", "CHANGES", "BYTES", "VIA", "CID", "LISTINGS"), rows)


async def export(config: Config, arguments: Arguments) -> None:
    """Write the replica's DAG as a CARv1 file."""
    if arguments.file.name in ("", "..") or arguments.file.is_dir():
        raise UsageError(f"{arguments.file} is not a file's name; write it like {arguments.file / 'market.car'}")
    async with open_marketplace(config) as market:
        exported = await market.export_car(str(arguments.file.absolute()), arguments.heads)
    if arguments.json:
        print_json(asdict(exported))
    else:
        files = f", {exported.files} of them metadata files" if exported.files else ""
        say(f"wrote {exported.blocks} blocks, {exported.bytes} bytes, to {exported.path}{files}")


async def import_(config: Config, arguments: Arguments) -> None:
    """Merge a CAR file."""
    try:
        place = place_of(arguments.file)
    except OSError as error:
        raise ArchiveError(explain(error, f"cannot read {arguments.file}", "name another file")) from error
    async with open_marketplace(config) as market:
        imported = await market.import_car(str(place))
    if arguments.json:
        print_json(asdict(imported))
        return
    for line in import_report(imported):
        say(line)


async def doctor(config: Config, arguments: Arguments) -> int:
    """Check the data directory and its peer, and say what to do."""
    await event_loop()
    from betar_tui.doctor import ERROR, OK, examine

    findings = await examine(config, arguments.rebuild)
    healthy = all(each.state != ERROR for each in findings)
    if arguments.json:
        checks = [  # with the keys that scripts rely on
            {"check": each.check, "state": each.state, "says": each.message, "advice": each.advice} for each in findings
        ]
        print_json({"ok": healthy, "checks": checks})
        return 0 if healthy else 1
    for each in findings:
        advice = f" -> {each.advice}" if each.advice and each.state != OK else ""
        say(f"{each.state:5} {each.check}: {each.message}{advice}")
    return 0 if healthy else 1


async def locate(config: Config, arguments: Arguments) -> None:
    """Print where things are kept."""
    paths = {
        "data_dir": config.data_dir,
        "database": config.database,
        "identity": config.key_file,
        "settings": config.settings_file,
        "control": config.control_socket,
    }
    shown = {name: str(path) for name, path in paths.items()}
    if arguments.json:
        print_json(shown)
    else:
        print_fields(shown)


def _sent(peers_count: int) -> str:
    if not peers_count:
        return "it goes out when a peer is there"
    return f"sent to {peers_count} peer{'s' if peers_count > 1 else ''}"


def _drafts_of(arguments: Arguments) -> tuple[ListingDraft, ...]:
    if arguments.file:
        if arguments.name is not None or arguments.price is not None:
            raise UsageError("--file brings its own names and prices; leave out --name and --price")
        return drafts_in(arguments.file)
    if arguments.name is None or arguments.price is None:
        raise UsageError("a listing needs --name and --price, or --file with both")
    return (ListingDraft(**_entered(arguments)),)


def _entered(arguments: Arguments) -> dict[str, Any]:
    """The fields of a listing that were given as options."""
    given = {field: value for field in ENTERED if (value := getattr(arguments, field.name)) is not None}
    readers: Mapping[Kind, Callable[[list[str]], Any]] = {Kind.TEXTS: tuple, Kind.OBJECT: _metadata}
    return {
        field.name: readers[field.kind](value) if field.kind in readers else value for field, value in given.items()
    }


def _metadata(pairs: list[str]) -> dict[str, object]:
    result: dict[str, object] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise UsageError(f"--meta {pair!r} is not of the form NAME=VALUE")
        result[name] = value
    return result


COMMANDS: Mapping[str, Callable[[Config, Arguments], Coroutine[Any, Any, int | None]]] = {
    "list": list_,
    "show": show,
    "publish": publish,
    "update": update,
    "delist": delist,
    "watch": watch,
    "status": status,
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
    "doctor": doctor,
    "locate": locate,
}
