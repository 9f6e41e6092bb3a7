"""What the interface knows of the market: the view model. Pure, apart from the clock it is given.

The app feeds it with loads and events; widgets read it. Each feed returns `News`, which says what must be redrawn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from betar_tui.market.index import ListingIndex
from betar_tui.market.marketplace import (
    Change,
    ChangeKind,
    Connectivity,
    DelistReceipt,
    Event,
    Listing,
    ListingPage,
    Missed,
    Notice,
    PeerInfo,
    Receipt,
    Seen,
    Status,
    StatusChanged,
)
from betar_tui.tui.activity import ActivityLog
from betar_tui.tui.keymap import KeyMap
from betar_tui.tui.receipts import DeliveryStatus, Receipts
from betar_tui.tui.settings import Settings

MARK_SECONDS = 30.0
"""How long a new or changed row carries its sign, in seconds."""

FLASH_SECONDS = 3.0
"""How long changed cells are drawn to stand out."""


ONLY_SELLER = "only its seller can"


class Load(StrEnum):
    """How far a pane's data is."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Mark:
    """Why a row stands out: sign, since when, and which columns changed. `arrow` is the price's direction."""

    sign: str
    at: float
    columns: frozenset[str] = frozenset()
    arrow: str = ""


HEALED = "; put again"
"""How the notice of a repair that was made ends; the name of the listing stands before it, with a colon."""


@dataclass(slots=True)
class News:
    """What a feed changed."""

    listings: bool = False
    replaced: bool = False
    status: bool = False
    activity: bool = False
    stale: bool = False
    ask_status: bool = False
    ids: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)


class RateMeter:
    """Deltas in each of the last seconds."""

    def __init__(self, clock: Callable[[], float], seconds: int = 8) -> None:
        self._clock = clock
        self._seconds = seconds
        self._bins: deque[tuple[int, int]] = deque(maxlen=seconds + 1)

    def add(self, count: int) -> None:
        """Count deltas that were applied now."""
        now = int(self._clock())
        if self._bins and self._bins[-1][0] == now:
            count += self._bins.pop()[1]
        self._bins.append((now, count))

    def history(self) -> list[int]:
        """Counts of the last seconds, oldest first, the running one included."""
        now = int(self._clock())
        bins = dict(self._bins)
        return [bins.get(second, 0) for second in range(now - self._seconds + 1, now + 1)]

    def rate(self) -> float:
        """Deltas a second, over the last three full seconds or what has just begun."""
        recent = self.history()[-4:]
        return max(sum(recent[:-1]) / 3, recent[-1] / 3)


class MarketModel:
    """Listings, marks, activity, status and peers, as last heard, and how the person wants to see them."""

    def __init__(self, clock: Callable[[], float], settings: Settings | None = None) -> None:
        self.clock = clock
        self.settings = settings or Settings()
        self.index = ListingIndex(clock)
        self.index.set_sort(*self.settings.now.order)
        self.index.set_muted(frozenset(self.settings.now.muted))
        self.settings.subscribe(lambda old, new: self.index.set_muted(frozenset(new.muted)))
        self.activity = ActivityLog()
        self.rate = RateMeter(clock)
        self.marks: dict[str, Mark] = {}
        self.gone: dict[str, Listing] = {}
        self._gone_from: dict[int, str] = {}
        self._queued_events: list[Event] | None = None
        self.status: Status | None = None
        self.own_id = ""
        self.peers: tuple[PeerInfo, ...] = ()
        self.listings_load, self.listings_error = Load.LOADING, ""
        self.peers_load, self.peers_error = Load.LOADING, ""
        self.link_error = ""
        self.receipts = Receipts()
        self.healed: dict[str, str] = {}

    # Reading

    @property
    def connectivity(self) -> Connectivity:
        """How far the network is; unknown counts as starting."""
        if self.link_error:
            return Connectivity.FAILED
        return self.status.connectivity if self.status else Connectivity.STARTING

    def listing(self, listing_id: str) -> Listing | None:
        """A listing by id, also one that was removed while it was on the screen."""
        return self.index.get(listing_id) or self.gone.get(listing_id)

    def listing_at(self, slot: int) -> Listing | None:
        """The same by its slot in the index."""
        return self.index.at(slot) or self.gone.get(self._gone_from.get(slot, ""))

    def mark(self, listing_id: str) -> Mark | None:
        """The mark of a row, while it lasts."""
        mark = self.marks.get(listing_id)
        if mark and mark.sign != "×" and self.clock() - mark.at >= MARK_SECONDS:
            del self.marks[listing_id]
            return None
        return mark

    def own_disabled_reason(self, listing: Listing | None) -> str:
        """Why a listing cannot be edited or removed here; empty if it can."""
        if listing is None:
            return "no listing is chosen"
        if listing.id not in self.index:
            return "it is no longer listed"
        return "" if listing.mine else ONLY_SELLER

    @property
    def keys(self) -> KeyMap:
        """The keys in force."""
        return self.settings.now.keys

    def peer(self, peer_id: str) -> PeerInfo | None:
        """A connected peer by its id."""
        return next((peer for peer in self.peers if peer.peer_id == peer_id), None)

    @property
    def muted(self) -> frozenset[str]:
        """The sellers whose listings are left out."""
        return self.index.muted

    # Choosing

    def mute(self, seller_id: str, muted: bool) -> News:
        """Leave out the listings of a seller, or show them again."""
        self.settings.mute(seller_id, muted)
        return News(listings=True, replaced=True, status=True, activity=True)

    # Feeding

    def stored(self, receipt: Receipt | DelistReceipt) -> News:
        """A publish, an edit or a delist of ours is stored."""
        if listing := self.index.get(receipt.id):
            self.healed.pop(listing.name, None)
        return self._update_deliveries(self.receipts.stored(receipt), News(status=True))

    def begin_load(self) -> None:
        """A load is asked for: its page may be older than what changes from now on, which waits until it is through."""
        self._queued_events = self._queued_events or []

    def loading(self, page: ListingPage) -> Iterator[None]:
        """Take a fresh load of all listings, in slices; after `begin_load`."""
        yield from self.index.replacing(page.listings)

    def loaded(self, all: bool = True) -> News:
        """The load is through; or, where it is not `all`, the first listings can be shown."""
        self.listings_load, self.listings_error = Load.READY if all else Load.LOADING, ""
        self.gone.clear()
        self._gone_from.clear()
        self.marks = {key: mark for key, mark in self.marks.items() if key in self.index}
        waiting, self._queued_events = self._queued_events or [], None
        news = self.apply(waiting)
        news.listings = news.replaced = True
        return news

    def load_failed(self, message: str) -> News:
        """The listings could not be had; what is shown stays."""
        self.listings_load, self.listings_error = Load.FAILED, message
        waiting, self._queued_events = self._queued_events or [], None
        news = self.apply(waiting)
        news.listings = news.status = True
        return news

    def status_loaded(self, status: Status, peers: tuple[PeerInfo, ...] | None, peers_error: str = "") -> News:
        """Take the peer's numbers; not of one that cannot be followed."""
        if self.link_error:
            return News()
        before, found = self.status, status.connectivity
        # A peer that was started anew has lost nobody.
        alone = bool(before and before.peers and found is Connectivity.ALONE and status.uptime >= before.uptime)
        if alone:
            self.activity.notice("warning", "The last peer is gone", self.clock())
        self.status, self.own_id = status, status.peer_id
        if peers is None:
            self.peers, self.peers_load, self.peers_error = (), Load.FAILED, peers_error
        else:
            self.peers, self.peers_load, self.peers_error = peers, Load.READY, ""
        news = News(status=True, listings=True, activity=alone)
        return self._update_deliveries(self.receipts.pending_sent(status.topic_peers), news)

    def status_failed(self, message: str) -> News:
        """The peer's numbers could not be had; the last ones stay."""
        if not self.peers:
            self.peers_load, self.peers_error = Load.FAILED, message
        return News(status=True)

    def link_lost(self, message: str) -> News:
        """The peer cannot be followed any more: its listings stay, all else about it is unknown from now on."""
        if not self.link_error:
            self.activity.notice("error", f"Lost the peer: {message}", self.clock())
        self.link_error, self.status = message, None
        self.peers, self.peers_load, self.peers_error = (), Load.FAILED, message
        return News(listings=True, status=True, activity=True)

    def link_restored(self) -> News:
        """The peer is followed, for the first time or again."""
        if not self.link_error:
            return News()
        self.link_error = ""
        self.peers_load, self.peers_error = Load.LOADING, ""
        self.activity.notice("info", "The peer is back", self.clock())
        return News(status=True, activity=True)

    def apply(self, events: Sequence[Event]) -> News:
        """Follow a batch of events."""
        news = News()
        if self._queued_events is not None:
            self._queued_events += events
            return news
        for event in events:
            if isinstance(event, Change):
                self._change(event, news)
            elif isinstance(event, Notice):
                self.activity.notice(event.level, event.text, event.at)
                name, colon, why = event.text.rpartition(": ")
                if colon and why.endswith(HEALED) and event.level == "warning":
                    self.healed[name] = why
                news.activity = True
            elif isinstance(event, Seen):
                self._update_deliveries(self.receipts.seen(event), news)
            elif isinstance(event, Missed):
                news.stale = True
            elif isinstance(event, StatusChanged):
                news.ask_status = True
        if news.ids:
            self.rate.add(sum(isinstance(event, Change) for event in events))
            news.listings = news.activity = news.status = news.ask_status = True
        return news

    def forget_gone(self, keep: str = "") -> None:
        """Drop removed listings that no row shows any more, but `keep`."""
        self._gone_from.clear()
        self.index.reclaim()
        for listing_id in [listing_id for listing_id in self.gone if listing_id != keep]:
            del self.gone[listing_id]
            self.marks.pop(listing_id, None)

    def _update_deliveries(self, outcomes: Mapping[str, DeliveryStatus], news: News) -> News:
        for listing_id, outcome in outcomes.items():
            self.activity.set_delivery(outcome.cid, listing_id, outcome.text)
        news.activity = news.activity or bool(outcomes)
        return news

    def _change(self, change: Change, news: News) -> None:
        old = self.index.get(change.id)
        if change.kind is ChangeKind.DELIST or change.listing is None:
            if old is not None:
                self.gone[change.id] = old
                self._gone_from[self.index.slot(change.id) or 0] = change.id
                self.marks[change.id] = Mark("×", self.clock())
        else:
            self.gone.pop(change.id, None)
            self._mark(old, change.listing)
            if old is None:
                news.added.add(change.id)
        self.index.apply(change)
        news.ids.add(change.id)
        shown = change.listing or old
        name = shown.name if shown else change.id
        self.activity.change(change, name, shown.seller_id if shown else "", _note(old, change.listing))

    def _mark(self, old: Listing | None, new: Listing) -> None:
        now = self.clock()
        if old is None:
            self.marks[new.id] = Mark("+", now)
            return
        columns = frozenset(
            column
            for column, before, after in (
                ("name", old.name, new.name),
                ("price", old.price, new.price),
                ("seller", old.seller_id, new.seller_id),
                ("state", old.provenance, new.provenance),
                ("description", old.description, new.description),
                ("addrs", old.addrs, new.addrs),
                ("protocols", old.protocols, new.protocols),
                ("token", old.token_id, new.token_id),
            )
            if before != after
        )
        if not columns and old.metadata == new.metadata:
            return
        arrow = "" if old.price == new.price else "↑" if new.price > old.price else "↓"
        self.marks[new.id] = Mark("~", now, columns, arrow)


def _note(old: Listing | None, new: Listing | None) -> str:
    if old is None or new is None or old.price == new.price:
        return ""
    return f"price {old.price:g} → {new.price:g}"
