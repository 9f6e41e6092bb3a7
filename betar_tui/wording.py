"""What people read of a market and of a peer: rows of tables, fields and sentences. `output` prints them."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from betar_tui.layout import Column, aligned_at_the_point, cut, cut_id, cut_middle, whole
from betar_tui.market.dialling import (
    LOOPBACK_ADVICE,
    NO_OTHER_NETWORK,
    leads_from_anywhere,
    leads_here_only,
    listens_everywhere,
    own_address,
)
from betar_tui.market.fields import are_texts
from betar_tui.market.marketplace import (
    Change,
    ChangeKind,
    DelistReceipt,
    DeltaInfo,
    Listing,
    ListingDetail,
    ListingPage,
    PeerInfo,
    Receipt,
    Status,
)
from betar_tui.market.origin import origin_text
from betar_tui.market.peer_facts import STARTING, disk_text, head_text, limits_text, looking_text, size_text
from betar_tui.market.prices import other_currency, price_text
from betar_tui.market.text import neutralise_lines
from betar_tui.output import duration, seller_of, state_of
from betar_tui.plurals import plural


def cut_ids(text: str, width: int, mark: str) -> str:
    """The id of a listing, or one "and 303 more", in `width` columns: the number is kept."""
    first, and_more, number = text.rpartition(MORE)
    return cut_id(first, width - len(MORE + number), mark) + MORE + number if and_more else cut_id(text, width, mark)


MORE = " and "
LISTINGS = (
    Column("NAME", cut, 20),
    Column("PRICE", whole),
    Column("STATE", cut, 8, rank=2),
    Column("", whole, rank=1),
    Column("SELLER", cut_id, 13, rank=3),
    Column("ID", cut_id, 30),
)
PEERS = (
    Column("PEER", cut_id, 13),
    Column("DIRECTION", cut, 3, rank=3),
    Column("FOUND", cut, 4, rank=4),
    Column("LATENCY", whole, rank=2),
    Column("AGENT", cut, 8, rank=1),
    Column("ON TOPIC", whole, rank=5),
    Column("NEWEST HEAD", cut, 11),
)
HEADS = Column("HEIGHT", whole), Column("CID", cut_middle, 12)
DELTAS = (
    Column("HEIGHT", whole),
    Column("CHANGES", whole, rank=1),
    Column("BYTES", whole, rank=4),
    Column("VIA", cut_id, 9, rank=3),
    Column("CID", cut_middle, 12, rank=2),
    Column("LISTINGS", cut_ids, 30),
)
"""Columns of the tables."""
_SHORT = 48
"""Columns of an id in a sentence in a terminal."""
_LATER = "stored here; no peer is on the topic, and it goes out as soon as one is"
_NEXT_START = "stored here; it goes out when betar-tui or betar-tui --serve runs and a peer is there"
_STOPPED = "no; commands use the store itself, and betar-tui --serve starts a peer"


def listing_rows(listings: Sequence[Listing], muted: Collection[str] = ()) -> Iterator[tuple[str, ...]]:
    """The rows of a table of listings; those of `muted` sellers are marked."""
    prices = aligned_at_the_point([price_text(each.price) for each in listings])
    for each, price in zip(listings, prices, strict=True):
        mark = "mine" if each.mine else "muted" if each.seller_id in muted else ""
        yield each.name, price, state_of(each), mark, seller_of(each), each.id


def page_text(page: ListingPage, matching: int, filter_text: str, muted: bool) -> str:
    """How many listings are shown, of how many that match; what is left out, and why. `muted` says whether the muted sellers
    are."""
    shown = len(page.listings)
    text = f"{shown:,} of {plural(page.total, 'listing')}"
    if filter_text.strip():
        found = f"{shown:,} of {plural(matching, 'that matches', 'that match')}" if matching else "nothing matches"
        text = f"{found}, of {plural(page.total, 'listing')}"
    if page.invalid:
        text += f", {page.invalid:,} with a wrong signature hidden"
    if page.withheld:
        text += f", {page.withheld:,} beyond a limit of their sellers not shown"
    if page.muted and muted and "muted" not in filter_text.lower():
        text += f", {page.muted:,} of muted sellers left out (--all shows them)"
    return text


def detail_lines(detail: ListingDetail, now: float) -> Iterator[str]:
    """One listing: what it does, what it costs, who offers it, how fresh it is; then the rest, and its history. Lines that
    begin with spaces belong to the one above."""
    from betar_tui.market.history import version_changes  # deferred: one command shows a history

    it = detail.listing
    yield f"name: {it.name}"
    yield from _paragraphs("description", it.description)
    yield f"price: {price_text(it.price)}"
    metadata = detail.document if detail.document is not None else it.metadata
    if currency := other_currency(metadata):
        yield f"  {currency}"
    yield f"seller_id: {seller_of(it)}{' (you)' if it.mine else ''}"
    yield f"state: {state_of(it)}"
    if it.timestamp > 0:
        yield f"renewed: {_ago(it.timestamp, now)} by its seller"
    if it.seen_at:
        yield f"seen: {_ago(it.seen_at, now)}"
    if isinstance(metadata, Mapping):
        yield from _block(
            "metadata", (f"{key}: {_value(value)}" for key, value in metadata.items() if key != "description")
        )
    elif metadata:
        yield f"metadata: {metadata}; the file is not here yet"
    yield from _block("addresses", it.addrs)
    yield from _block("protocols", it.protocols)
    if it.token_id:
        yield f"token_id: {it.token_id}"
    yield from _block("further fields", (f"{key}: {value}" for key, value in it.extra.items()))
    yield f"id: {it.id}"
    yield f"cid: {it.cid}"
    yield f"story: {'; '.join(detail.story)}"
    yield "history:"
    for change in version_changes(detail.history):
        voice = f", {change.voice}" if change.voice else ""
        place = f" at height {change.height}{voice}: {change.cid}" if change.cid else voice
        yield f"  {change.summary}{place}"
        yield from (f"    {line}" for line in change.lines)


def _value(value: object) -> object:
    return ", ".join(value) if are_texts(value) else value


def _ago(then: float, now: float) -> str:
    return f"{duration(max(0.0, now - then))} ago"


def _paragraphs(name: str, text: str) -> Iterator[str]:
    first, *others = neutralise_lines(text.strip()).split("\n")
    yield f"{name}: {first or '-'}"
    yield from (f"  {line}" for line in others)


def _block(name: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield f"{name}:"
        yield from (f"  {line}" for line in found)


def change_json(change: Change) -> dict[str, object]:
    """The same with the keys that scripts rely on; the price is None where the listing is gone. `changed` names the fields
    of an update, with their old values in `old`; it is None where they are not known."""
    is_update = change.kind is ChangeKind.UPDATE
    return {
        "event": change.kind,
        "id": change.id,
        "cid": change.cid,
        "height": change.height,
        "via": change.via,
        "at": change.at,
        "name": change.listing.name if change.listing else change.name,
        "price": change.listing.price if change.listing else None,
        "old_price": change.old_price,
        "seller_id": change.listing.seller_id if change.listing else change.seller_id,
        "changed": [] if not is_update else None if change.changed is None else list(change.changed),
        "old": change.changed or {},
    }


def change_text(change: Change, *, whole: bool) -> str:
    """One change as it is applied, in a line that begins with the time; unless all is `whole`, ids are short."""
    name = change.listing.name if change.listing else change.name
    listing_id = change.id if whole else cut_id(change.id, _SHORT)
    text = f"{change.kind:7} {name or listing_id}"
    if change.listing:
        price = price_text(change.listing.price)
        old = price_text(change.old_price) if change.old_price is not None else price
        text += f" at {price}" if old == price else f" at {price}, before {old}"
        if others := [name for name in change.changed or () if name != "price"]:
            text += f", changed {', '.join(others)}"
    text += f", {listing_id}" if name else ""
    came = origin_text(change.via, lambda via: via if whole else cut_id(via, _SHORT))
    at = time.strftime("%H:%M:%S", time.localtime(change.at))
    return f"{at} {text}, {came} at height {change.height}" if came else f"{at} {text}"


def receipt_text(done: str, receipt: Receipt | DelistReceipt, *, whole: bool, running: bool) -> str:
    """What was done to a listing, and how many peers were told, or when they are: by the `running` peer, or the next that is
    started. Ids as in `change_text`."""
    sent = f"sent to {plural(receipt.sent_to, 'peer')}" if receipt.sent_to else _LATER if running else _NEXT_START
    ids = (receipt.id, receipt.cid) if whole else (cut_id(receipt.id, _SHORT), cut_middle(receipt.cid, 16))
    return f"{done} {ids[0]} in {ids[1]} at height {receipt.height}, {sent}"


def delta_rows(deltas: Sequence[DeltaInfo], *, whole: bool) -> Iterator[tuple[object, ...]]:
    """The rows of a table of deltas; unless all is `whole`, a long list of listings is counted."""
    for each in deltas:
        ids = " ".join(each.ids)
        if not whole and len(each.ids) > 1:
            ids = f"{each.ids[0]}{MORE}{len(each.ids) - 1:,} more"
        changes = f"+{each.elements} -{each.tombstones}"
        yield each.height, changes, each.bytes, each.via, each.cid, ids


def peer_rows(peers: Sequence[PeerInfo], now: float) -> Iterator[tuple[str, ...]]:
    """The rows of a table of connected peers."""
    for p in peers:
        latency = "-" if p.latency_ms is None else f"{p.latency_ms:.1f} ms"
        topic = "yes" if p.on_topic else "no"
        yield p.peer_id, p.direction, p.found or "-", latency, p.agent, topic, head_text(p, now)


def status_fields(status: Status, now: float) -> dict[str, object]:
    """The peer and its replica in words."""
    s = status
    hidden = [(s.invalid, "with a wrong signature"), (s.unreadable, "that cannot be read")]
    unshown = ", ".join(f"{number:,} {why} hidden" for number, why in hidden if number)
    chosen = "chosen by itself, with --listing-dialect auto" if s.dialect_choice == "auto" else "as it was set"
    deaf = s.peers_unable_to_read
    fields: dict[str, object] = {
        "version": s.version,
        "running": f"yes; {s.connectivity}" if s.running else _STOPPED,
        "offline": s.offline,
        "uptime": duration(s.uptime) if s.running else "",
        "peer id": s.peer_id,
        "own address": own_address(s) if s.running else "",
        "listens on": s.addrs if s.running and s.addrs != (own_address(s),) else "",
        "port": s.listen_notice,
        "reachability": s.reachability.text if s.running else "",
        "peers": _connected(s) if s.running else "",
        "finding peers": searches_text(s, now),
        "listings": f"{s.listings:,}{f', {unshown}' if unshown else ''}",
        "indexing": s.indexing.text if s.indexing else "",
        "replica": f"{plural(s.blocks, 'block')}, {s.packed:,} of them packed; {plural(s.tombstones, 'tombstone')}",
        "store": f"a file of {size_text(s.bytes)}; {disk_text(s.limits.disk)}",
        "heads": f"{s.heads:,}, the highest at height {s.height:,}",
        "missing": _missing(s),
        "limits": limits_text(s.limits),
        "listings are written": f"in the dialect {s.dialect}, {chosen}",
        "cannot read it": f"{deaf:,} of the Go peers on the topic" if deaf else "",
        "muted sellers": s.muted or "",
        "blocked peers": s.blocked or "",
        "troubles": s.troubles or "",
    }
    return {name: value for name, value in fields.items() if value != ""}


def _connected(status: Status) -> str:
    return f"{status.peers:,}, {status.topic_peers:,} of them on the topic" if status.peers else "none"


def _missing(status: Status) -> str:
    text = plural(status.pending, "block") if status.pending else ""
    if status.sync is not None:
        rate = f", {plural(round(status.sync.rate), 'delta')} a second" if status.sync.rate else ""
        text = f"{text or 'nothing known'}; {status.sync.fetched:,} fetched since the sync began{rate}"
    return f"{text or 'nothing'}; fetching history is paused" if status.sync_held else text


def searches_text(status: Status, now: float) -> str:
    """What is done to find peers, in words; see `looking_text`."""
    text = looking_text(status, now)
    return text if status.searches or text in ("", STARTING) else f"{text}; betar-tui connect MULTIADDR adds a peer"


def alone_text(status: Status) -> str:
    """What is done while no peer is on the topic."""
    text = f"offline: {status.offline}" if status.offline else searches_text(status, time.time())
    return text[:1].lower() + text[1:]


def reach_text(status: Status) -> str:
    """Who can dial the first of the addresses, and what to do with it."""
    if leads_here_only(own_address(status)):
        if listens_everywhere(status):
            return f"only programs on this machine can dial this, for {NO_OTHER_NETWORK}; ask again when it has one"
        return f"only programs on this machine can dial this, for the peer listens nowhere else; {LOOPBACK_ADVICE}"
    if leads_from_anywhere(own_address(status)):
        return "others give this to betar-tui connect, or paste it after the key a in the interface"
    return (
        "peers on this machine and on its network can dial this; for others, forward the port in your router, or start"
        " with --upnp: betar-tui doctor says more"
    )
