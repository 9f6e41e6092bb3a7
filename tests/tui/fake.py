"""`FakeMarketplace`: a marketplace in memory, with faults that tests switch on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import get_origin

import base58
import trio

from betar_tui.errors import (
    BetarError,
    ListingError,
    NetworkError,
    NoRunningPeerError,
    NotOwnerError,
    UnknownListingError,
)
from betar_tui.market.calls import Call, ForwardedCalls
from betar_tui.market.filter import parse, search_text
from betar_tui.market.marketplace import (
    Change,
    ChangeKind,
    Connected,
    Connectivity,
    DagNodeInfo,
    DelistReceipt,
    DeltaInfo,
    Event,
    HeadInfo,
    Listed,
    Listing,
    ListingDetail,
    ListingDraft,
    ListingPage,
    ListingPatch,
    Missed,
    Notice,
    PeerInfo,
    Place,
    Provenance,
    Receipt,
    Search,
    Status,
    StatusChanged,
    Version,
)
from betar_tui.market.names import ED25519_PREFIX, short_form
from betar_tui.market.sorting import KEYS, folded
from betar_tui.market.story import Voice, story

NOW = 1_795_390_401.0
LAN = "searching the local network"


ADDRS = ("/ip4/192.168.1.20/tcp/4001", "/ip4/127.0.0.1/tcp/4001")


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def peer_id(number: int) -> str:
    """A peer id: that of an Ed25519 key which nobody has."""
    return base58.b58encode(ED25519_PREFIX + hashlib.sha256(b"peer %d" % number).digest()).decode()


def short(number: int) -> str:
    """The short form of the same."""
    return short_form(peer_id(number))


OWN = peer_id(0)
VOICES = {
    Provenance.VERIFIED: Voice.SELLER,
    Provenance.UNSIGNED: Voice.NOBODY,
    Provenance.INVALID: Voice.ANOTHER,
}


def listing(
    name: str,
    price: float = 0.1,
    seller: int = 1,
    *,
    mine: bool = False,
    description: str = "",
    provenance: Provenance = Provenance.VERIFIED,
    seen: float = NOW - 600,
    **fields: object,
) -> Listing:
    """A listing with defaults."""
    seller_id = OWN if mine else peer_id(seller)
    values: dict[str, object] = {
        "id": f"{seller_id}/{name}",
        "name": name,
        "price": price,
        "metadata": {"description": description} if description else {},
        "seller_id": seller_id,
        "addrs": ("/ip4/203.0.113.7/tcp/4001",),
        "protocols": ("/betar/marketplace/1.0.0", "/x402/libp2p/1.0.0"),
        "timestamp": int(seen),
        "token_id": None,
        "provenance": provenance,
        "mine": mine,
        "cid": _cid(name, price),
        "height": 1,
        "description": description,
        "seen_at": seen,
    }
    values.update(fields)
    return Listing(**values)  # type: ignore[arg-type]


def _cid(*parts: object) -> str:
    return "bafyrei" + hashlib.sha256(repr(parts).encode()).hexdigest()[:45]


class FakeMarketplace(ForwardedCalls):
    """Everything in memory. `fail["name"]` makes a method raise; `gates["name"]` makes it wait for an event."""

    def __init__(self, listings: Sequence[Listing] = (), *, peers: int = 3, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.store = {item.id: item for item in listings}
        self.history: dict[str, list[Version]] = {item.id: [self._version(item)] for item in listings}
        self.withdrawn: dict[str, int] = {}
        self.connected = tuple(self._peer(number) for number in range(1, peers + 1))
        self.connectivity = Connectivity.ONLINE if peers else Connectivity.ALONE
        self.fail: dict[str, BetarError] = {}
        self.gates: dict[str, trio.Event] = {}
        self.calls: list[tuple[str, object]] = []
        self.height = 1
        self.deltas: tuple[DagNodeInfo, ...] = ()
        self.applied: tuple[DeltaInfo, ...] = ()
        self.more_status: dict[str, object] = {}
        self.muted: tuple[str, ...] = ()
        self.blocked: tuple[str, ...] = ()
        self.searches = (Search(LAN, self.clock() + 20), Search("dialling 2 remembered peers", self.clock() + 45))
        self.exact = True
        self._ids: list[str] = []
        self._numbers: dict[str, int] = {}
        self._streams: set[trio.MemorySendChannel[Event]] = set()

    # The calls of `Marketplace`

    async def listings(
        self,
        query: str = "",
        sort: str = "",
        limit: int = 0,
        after: Place | None = None,
        before: Place | None = None,
        around: str = "",
        skip: int = 0,
        muted: Sequence[str] = (),
    ) -> ListingPage:
        await self._enter("listings", query)
        backwards, column = sort.startswith("-"), sort.removeprefix("-") or "name"
        rows = sorted(self._matching(query, muted), key=lambda each: self._key(column, each), reverse=backwards)
        keys = [self._key(column, each) for each in rows]
        start, end = skip, skip + limit

        def beyond(place: Place, itself: bool = False) -> int:
            key = (place.value, place.name, self._ids[place.number] if place.number >= 0 else "")
            return sum((each > key if backwards else each < key) or (itself and each == key) for each in keys)

        if after is not None:
            start = beyond(after, True)
            end = start + limit
        elif before is not None:
            end = beyond(before)
            start = max(0, end - limit) if limit else 0
        elif around:
            at = next((at for at, each in enumerate(rows) if each.id == around), 0)
            start = max(0, at - limit // 2)
            end = start + limit
        found = rows[start : end if limit or before else None]
        return ListingPage(
            tuple(found),
            len(self.store),
            matching=len(rows),
            exact=self.exact,
            first=self._place(column, found[0]) if found else None,
            last=self._place(column, found[-1]) if found else None,
            muted=sum(each.seller_id in muted for each in self.store.values()),
            start=start if self.exact or not start else None,
        )

    async def count(self, query: str = "", muted: Sequence[str] = ()) -> int:
        await self._enter("count", query)
        return len(self._matching(query, muted))

    async def find(self, ids: Sequence[str]) -> tuple[Listing, ...]:
        await self._enter("find", tuple(ids))
        return tuple(self.store[each] for each in ids[:200] if each in self.store)

    async def show(self, listing_id: str) -> ListingDetail:
        await self._enter("show", listing_id)
        item = self._get(listing_id)
        history = tuple(reversed(self.history[listing_id]))
        told = story(item, [Voice(each.voice) for each in history], self.withdrawn.get(listing_id))
        return ListingDetail(item, self._raw(item), history, story=told)

    async def publish(self, drafts: Sequence[ListingDraft]) -> tuple[Receipt, ...]:
        await self._enter("publish", tuple(drafts))
        return tuple(self._publish(draft) for draft in drafts)

    async def update(self, listing_id: str, patch: ListingPatch) -> Receipt:
        await self._enter("update", (listing_id, patch))
        old = self._own(listing_id)
        changes = {
            name: getattr(patch, name)
            for name in ("name", "price", "description", "addrs", "protocols", "token_id")
            if getattr(patch, name) is not None
        }
        if patch.metadata is not None:
            changes["metadata"] = {**(old.metadata if isinstance(old.metadata, dict) else {}), **patch.metadata}
        new = self.put(replace(old, **changes), via="local")
        return Receipt(new.id, new.cid, new.height, len(self.connected))

    async def delist(self, listing_id: str) -> DelistReceipt:
        await self._enter("delist", listing_id)
        self._own(listing_id)
        cid, height = self.remove(listing_id, via="local")
        return DelistReceipt(listing_id, cid, height, 1, len(self.connected))

    async def status(self) -> Status:
        await self._enter("status", None)
        return Status(
            version="0.1.0",
            running=True,
            peer_id=OWN,
            peers=len(self.connected),
            topic_peers=sum(peer.on_topic for peer in self.connected),
            listings=len(self.store),
            height=self.height,
            blocks=len(self.store) * 2,
            bytes=len(self.store) * 900,
            pending=0,
            tombstones=0,
            searches=self.searches,
            muted=self.muted,
            blocked=self.blocked,
            **{"addrs": ADDRS, "heads": 2, "uptime": 12.0, "connectivity": self.connectivity, **self.more_status},  # type: ignore[arg-type]
        )

    async def peers(self) -> tuple[PeerInfo, ...]:
        await self._enter("peers", None)
        if self.connectivity is Connectivity.STOPPED:
            raise NoRunningPeerError("no peer runs on this data directory: start one with betar-tui --serve")
        sellers = [item.seller_id for item in self.store.values()]
        return tuple(replace(each, listings=sellers.count(each.peer_id)) for each in self.connected)

    async def connect(self, address: str) -> Connected:
        await self._enter("connect", address)
        if "refuse" in address:
            raise NetworkError(f"{address} does not answer: is the peer running?")
        peer = replace(self._peer(9), addrs=(address,))
        already = any(each.peer_id == peer.peer_id for each in self.connected)
        self.connected = (*(each for each in self.connected if each.peer_id != peer.peer_id), peer)
        self.connectivity = Connectivity.ONLINE
        self.emit(StatusChanged())
        return Connected(peer, already)

    async def disconnect(self, peer_id: str) -> None:
        await self._enter("disconnect", peer_id)
        self.connected = tuple(each for each in self.connected if each.peer_id != peer_id)
        self.connectivity = Connectivity.ONLINE if self.connected else Connectivity.ALONE
        self.emit(StatusChanged())

    async def block(self, peer_id: str) -> str:
        await self._enter("block", peer_id)
        self.blocked = (*self.blocked, peer_id)
        await self.disconnect(peer_id)
        return peer_id

    async def unblock(self, peer_id: str) -> str:
        await self._enter("unblock", peer_id)
        self.blocked = tuple(each for each in self.blocked if each != peer_id)
        self.emit(StatusChanged())
        return peer_id

    async def mute(self, seller_id: str) -> str:
        await self._enter("mute", seller_id)
        self.muted = (*self.muted, seller_id)
        self.emit(StatusChanged())
        return seller_id

    async def unmute(self, seller_id: str) -> str:
        await self._enter("unmute", seller_id)
        self.muted = tuple(each for each in self.muted if each != seller_id)
        self.emit(StatusChanged())
        return seller_id

    async def mutes(self) -> tuple[Listed, ...]:
        return tuple(Listed(each, NOW) for each in self.muted)

    async def go_online(self, free_port: bool = False) -> None:
        await self._enter("go_online", free_port)
        self.more_status.update(offline="", port_taken="")
        self.go(Connectivity.ALONE)

    async def choose_dialect(self, dialect: str) -> None:
        await self._enter("choose_dialect", dialect)
        written = "documents" if dialect == "documents" else "betar-go"
        self.more_status.update(dialect_choice=dialect, dialect=written, peers_unable_to_read=0)
        self.emit(StatusChanged())

    async def hold_sync(self, held: bool) -> None:
        await self._enter("hold_sync", held)
        self.more_status.update(sync_held=held)
        self.emit(StatusChanged())

    async def heads(self) -> tuple[HeadInfo, ...]:
        return (HeadInfo(_cid("head"), self.height),)

    async def dag(self, limit: int = 200) -> tuple[DagNodeInfo, ...]:
        await self._enter("dag", limit)
        return self.deltas[:limit]

    async def log(self, limit: int = 50) -> tuple[DeltaInfo, ...]:
        return self.applied[:limit]

    async def _call(self, call: Call, *args: object, **kwargs: object) -> object:
        """Calls that no test looks at return nothing."""
        await self._enter(call.name, args)
        return () if get_origin(call.result) is tuple else None

    @asynccontextmanager
    async def events(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        await self._enter("events", None)
        send, receive = trio.open_memory_channel[Event](1000)
        self._streams.add(send)
        try:
            async with receive:
                yield receive
        finally:
            self._streams.discard(send)

    # What tests do to it

    def emit(self, *events: Event) -> None:
        """Send events to all streams."""
        for stream in self._streams:
            for event in events:
                try:
                    stream.send_nowait(event)
                except trio.WouldBlock:
                    stream.send_nowait(Missed(1))

    def put(self, item: Listing, *, via: str = "", kind: ChangeKind | None = None, silent: bool = False) -> Listing:
        """A listing arrives, or changes."""
        self.height += 1
        known = self.store.get(item.id)
        now = self.clock()
        item = replace(item, height=self.height, cid=_cid(item.id, self.height), seen_at=now, timestamp=int(now))
        self.store[item.id] = item
        self.history.setdefault(item.id, []).append(self._version(item))
        if not silent:
            kind = kind or (ChangeKind.UPDATE if known else ChangeKind.PUT)
            via, price = via or peer_id(2), known.price if known else None
            self.emit(
                Change(
                    kind, item.id, item.cid, item.height, via, now, item, 612, 0.0004, item.name, item.seller_id, price
                )
            )
        return item

    def remove(self, listing_id: str, *, via: str = "") -> tuple[str, int]:
        """A listing goes."""
        self.height += 1
        cid = _cid("removed", listing_id, self.height)
        item = self.store.pop(listing_id)
        self.history[listing_id].append(Version(cid, self.height, None, VOICES[item.provenance]))
        self.emit(
            Change(
                ChangeKind.DELIST,
                listing_id,
                cid,
                self.height,
                via or peer_id(2),
                self.clock(),
                name=item.name,
                seller_id=item.seller_id,
                old_price=item.price,
            )
        )
        return cid, self.height

    def notice(self, text: str, level: str = "info") -> None:
        """Something a person should know."""
        self.emit(Notice(level, text, self.clock()))

    def go(self, connectivity: Connectivity, peers: int = 0) -> None:
        """The network changes."""
        self.connectivity = connectivity
        self.connected = tuple(self._peer(number) for number in range(1, peers + 1))
        self.emit(StatusChanged())

    def break_stream(self) -> None:
        """The connection to the peer is lost."""
        for stream in list(self._streams):
            stream.close()
        self._streams.clear()

    # How

    async def _enter(self, name: str, argument: object) -> None:
        self.calls.append((name, argument))
        await trio.lowlevel.checkpoint()
        if name in self.gates:
            await self.gates[name].wait()
        if error := self.fail.get(name):
            raise error

    def _matching(self, query: str, muted: Sequence[str]) -> list[Listing]:
        wanted, now = parse(query).muting(frozenset(muted)), self.clock()
        return [each for each in self.store.values() if wanted.matches_text(each, search_text(each), now)]

    def _key(self, column: str, item: Listing) -> tuple[object, str, str]:
        return KEYS[column](item), folded(item.name), item.id

    def _place(self, column: str, item: Listing) -> Place:
        number = self._numbers.setdefault(item.id, len(self._ids))
        if number == len(self._ids):
            self._ids.append(item.id)
        return Place(KEYS[column](item), folded(item.name), number)

    def _publish(self, draft: ListingDraft) -> Receipt:
        if draft.name == "taken":
            raise ListingError("you already list an agent called taken: edit that one", "name")
        item = self.put(
            listing(
                draft.name,
                draft.price,
                mine=True,
                description=draft.description,
                metadata={**draft.metadata, "description": draft.description},
                token_id=draft.token_id,
            ),
            via="local",
        )
        return Receipt(item.id, item.cid, item.height, len(self.connected))

    def _get(self, listing_id: str) -> Listing:
        if listing_id not in self.store:
            raise UnknownListingError(f"there is no listing {listing_id}")
        return self.store[listing_id]

    def _own(self, listing_id: str) -> Listing:
        item = self._get(listing_id)
        if not item.mine:
            raise NotOwnerError(f"{listing_id} belongs to {item.seller_id}")
        return item

    def _raw(self, item: Listing) -> str:
        return json.dumps(
            {
                "id": item.id,
                "name": item.name,
                "price": item.price,
                "metadata": item.metadata,
                "seller_id": item.seller_id,
                "addrs": item.addrs,
                "protocols": item.protocols,
                "timestamp": item.timestamp,
            },
            default=str,
        )

    def _version(self, item: Listing) -> Version:
        return Version(item.cid, item.height, self._raw(item), VOICES[item.provenance])

    def _peer(self, number: int) -> PeerInfo:
        return PeerInfo(
            peer_id=peer_id(number),
            addrs=(f"/ip4/203.0.113.{number}/tcp/4001",),
            direction="out" if number % 2 else "in",
            latency_ms=12.4 * number if number != 3 else None,
            agent="go-betar/0.3" if number % 2 else "betar-tui/0.1.0",
            protocols=("/meshsub/1.1.0",),
            on_topic=number != 3,
            connected_since=NOW - 100 * number,
            bytes_in=48_211 * number,
            bytes_out=31_007 * number,
            found=("incoming", "bootstrap", "mdns", "remembered")[number % 4] if number % 2 else "incoming",
            behind={1: 0, 2: 4}.get(number),
        )


def silent(fake: FakeMarketplace) -> None:
    """Nothing was seen of what the peers hold."""
    fake.connected = tuple(replace(peer, behind=None) for peer in fake.connected)
