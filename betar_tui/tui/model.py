"""The view model: the state of the market as the interface shows it. Pure, apart from the clock that it is given.

The app passes loaded data and events to it, widgets read it. Each update returns `News`: the parts to redraw."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from betar_tui.market.fields import FIELDS, STAMPS
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
    Repaired,
    Seen,
    Status,
    StatusChanged,
)
from betar_tui.tui.activity import ActivityLog
from betar_tui.tui.keymap import KeyMap
from betar_tui.tui.receipts import DeliveryStatus, Receipts
from betar_tui.tui.settings import Settings

MARK_SECONDS = 30.0
"""Seconds that a new or changed row keeps its sign."""
FLASH_SECONDS = 3.0
"""Seconds that changed cells are highlighted."""
ONLY_SELLER = "only its seller can"


class Load(StrEnum):
    """The state of the data of a pane."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of a new, changed or removed row: sign, time and changed columns. `arrow` is the direction of the price."""

    sign: str
    at: float
    columns: frozenset[str] = frozenset()
    arrow: str = ""


@dataclass(slots=True)
class News:
    """The parts of the model that an update changed, and the loads that it asks for."""

    listings: bool = False
    replaced: bool = False
    status: bool = False
    activity: bool = False
    stale: bool = False
    ask_status: bool = False
    ids: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)


class RateMeter:
    """Counts the deltas of each of the last seconds."""

    def __init__(self, clock: Callable[[], float], seconds: int = 8) -> None:
        self._clock = clock
        self._seconds = seconds
        self._bins: deque[tuple[int, int]] = deque(maxlen=seconds + 1)

    def add(self, count: int) -> None:
        """Count deltas applied now."""
        now = int(self._clock())
        if self._bins and self._bins[-1][0] == now:
            count += self._bins.pop()[1]
        self._bins.append((now, count))

    def history(self) -> list[int]:
        """The counts of the last seconds, oldest first, including the current second."""
        now = int(self._clock())
        bins = dict(self._bins)
        return [bins.get(second, 0) for second in range(now - self._seconds + 1, now + 1)]

    def rate(self) -> float:
        """Deltas per second over the last three full seconds, or over the current one if that gives more."""
        recent = self.history()[-4:]
        return max(sum(recent[:-1]) / 3, recent[-1] / 3)


class MarketModel:
    """Listings, marks, activity, status and peers as last received, and the settings of the interface."""

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
        """The connectivity of the peer; STARTING while it is unknown."""
        if self.link_error:
            return Connectivity.FAILED
        return self.status.connectivity if self.status else Connectivity.STARTING

    @property
    def alone(self) -> bool:
        """Whether the network is open and no peer of the market is connected."""
        return self.connectivity is Connectivity.ALONE

    def listing(self, listing_id: str) -> Listing | None:
        """A listing by id, including one that was removed while it was on the screen."""
        return self.index.get(listing_id) or self.gone.get(listing_id)

    def listing_at(self, slot: int) -> Listing | None:
        """A listing by its slot in the index, including one that was removed."""
        return self.index.at(slot) or self.gone.get(self._gone_from.get(slot, ""))

    def mark(self, listing_id: str) -> Mark | None:
        """The mark of a row, or None after it has expired."""
        mark = self.marks.get(listing_id)
        if mark and mark.sign != "×" and self.clock() - mark.at >= MARK_SECONDS:
            del self.marks[listing_id]
            return None
        return mark

    def own_disabled_reason(self, listing: Listing | None) -> str:
        """The reason why a listing cannot be edited or removed here; empty if it can."""
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
        """The sellers whose listings are hidden."""
        return self.index.muted

    # Settings

    def mute(self, seller_id: str, muted: bool) -> News:
        """Hide the listings of a seller, or show them again."""
        self.settings.mute(seller_id, muted)
        return News(listings=True, replaced=True, status=True, activity=True)

    # Updates

    def stored(self, receipt: Receipt | DelistReceipt) -> News:
        """A publish, edit or delist of this peer is stored."""
        self.healed.pop(receipt.id, None)
        return self._update_deliveries(self.receipts.stored(receipt), News(status=True))

    def begin_load(self) -> None:
        """A load has begun. Its page may be older than the events from now on, which wait until it is complete."""
        self._queued_events = self._queued_events or []

    def loading(self, page: ListingPage) -> Iterator[None]:
        """Replace all listings, in slices; after `begin_load`."""
        yield from self.index.replacing(page.listings)

    def loaded(self, all: bool = True) -> News:
        """The load is complete; or, if not `all`, the first listings can be shown."""
        self.listings_load, self.listings_error = Load.READY if all else Load.LOADING, ""
        self.gone.clear()
        self._gone_from.clear()
        self.marks = {key: mark for key, mark in self.marks.items() if key in self.index}
        waiting, self._queued_events = self._queued_events or [], None
        news = self.apply(waiting)
        news.listings = news.replaced = True
        return news

    def load_failed(self, message: str) -> News:
        """The listings could not be loaded; the shown ones stay."""
        self.listings_load, self.listings_error = Load.FAILED, message
        waiting, self._queued_events = self._queued_events or [], None
        news = self.apply(waiting)
        news.listings = news.status = True
        return news

    def status_loaded(self, status: Status, peers: tuple[PeerInfo, ...] | None, peers_error: str = "") -> News:
        """Set the status and the connected peers; ignored while the peer is lost."""
        if self.link_error:
            return News()
        before, found = self.status, status.connectivity
        # A restarted peer has not lost its connections: it has not made them yet.
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
        """The status could not be loaded; the last one stays."""
        if not self.peers:
            self.peers_load, self.peers_error = Load.FAILED, message
        return News(status=True)

    def link_lost(self, message: str) -> News:
        """The peer no longer answers: its listings stay, everything else about it is unknown."""
        if not self.link_error:
            self.activity.notice("error", f"Lost the peer: {message}", self.clock())
        self.link_error, self.status = message, None
        self.peers, self.peers_load, self.peers_error = (), Load.FAILED, message
        return News(listings=True, status=True, activity=True)

    def link_restored(self) -> News:
        """The peer answers, for the first time or again."""
        if not self.link_error:
            return News()
        self.link_error = ""
        self.peers_load, self.peers_error = Load.LOADING, ""
        self.activity.notice("info", "The peer is back", self.clock())
        return News(status=True, activity=True)

    def apply(self, events: Sequence[Event]) -> News:
        """Apply a batch of events; during a load they wait."""
        news = News()
        if self._queued_events is not None:
            self._queued_events += events
            return news
        for event in events:
            if isinstance(event, Change):
                self._change(event, news)
            elif isinstance(event, Notice):
                self.activity.notice(event.level, event.text, event.at)
                news.activity = True
            elif isinstance(event, Repaired):
                self.activity.notice(event.level, f"{event.name}: {event.text}", event.at)
                if event.healed:
                    self.healed[event.listing_id] = event.text
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
        """Drop the removed listings, which no row shows any more, except `keep`."""
        self._gone_from.clear()
        self.index.reclaim()
        for listing_id in [listing_id for listing_id in self.gone if listing_id != keep]:
            del self.gone[listing_id]
            self.marks.pop(listing_id, None)

    def _update_deliveries(self, statuses: Mapping[str, DeliveryStatus], news: News) -> News:
        for listing_id, status in statuses.items():
            self.activity.set_delivery(status.cid, listing_id, status.text)
        news.activity = news.activity or bool(statuses)
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
        changed = [field for field in FIELDS if getattr(old, field.name) != getattr(new, field.name)]
        columns = {field.column or field.name for field in changed if field.name not in STAMPS}
        if old.provenance is not new.provenance:
            columns.add("state")
        if not columns:
            return
        arrow = "" if old.price == new.price else "↑" if new.price > old.price else "↓"
        self.marks[new.id] = Mark("~", now, frozenset(columns), arrow)


def _note(old: Listing | None, new: Listing | None) -> str:
    if old is None or new is None or old.price == new.price:
        return ""
    return f"price {old.price:g} → {new.price:g}"
