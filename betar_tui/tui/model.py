"""The view model: the state of the market as the interface shows it. Pure, apart from the clock that it is given.

The app passes loaded data and events to it, widgets read it. Each update returns `News`: the parts to redraw."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from betar_tui.market.differences import WITHOUT_NEWS, differing_fields
from betar_tui.market.fields import FIELDS, STAMPS
from betar_tui.market.marketplace import (
    Change,
    ChangeKind,
    Connectivity,
    DelistReceipt,
    Event,
    Listing,
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
from betar_tui.tui.changes import changes_of, fields_of
from betar_tui.tui.company import Company
from betar_tui.tui.format import price
from betar_tui.tui.keymap import KeyMap
from betar_tui.tui.provenance import DIFFERENCES
from betar_tui.tui.receipts import DeliveryStatus, Receipts
from betar_tui.tui.settings import InterfaceSettings, Settings
from betar_tui.tui.table import MarketTable
from betar_tui.tui.undo import DelistedListings
from betar_tui.tui.window import View

MARK_SECONDS = 30.0
"""Seconds that a new or changed row keeps its sign."""
FLASH_SECONDS = 3.0
"""Seconds that changed cells are highlighted."""
MAX_MARKS = 2000
"""Maximum marks kept; most are of rows that are out of sight."""
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
    """The parts of the model that an update changed, and the loads that it asks for.

    After a load anything may be other than before (`replaced`); `own` says that an own listing has changed."""

    listings: bool = False
    replaced: bool = False
    own: bool = False
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
        self.table = MarketTable(clock, _view(self.settings.now))
        self.activity = ActivityLog()
        self.rate = RateMeter(clock)
        self.marks: dict[str, Mark] = {}
        self.status: Status | None = None
        self.up_since = 0.0  # Unix seconds at which the peer was started
        self.own_id = ""
        self.muting = 0  # calls under way, before whose end a status may have the list of before
        self.peers: tuple[PeerInfo, ...] = ()
        self.listings_load, self.listings_error = Load.LOADING, ""
        self.own: dict[str, Listing] = {}
        self.own_load, self.own_error = Load.LOADING, ""
        self.peers_load, self.peers_error = Load.LOADING, ""
        self.link_error = self.silence = ""
        self.can_run_here = False  # whether a peer that another process has lost can run in this one
        self._company = Company()
        self.receipts = Receipts()
        self.healed: dict[str, str] = {}
        self.delisted = DelistedListings()

    # Reading

    @property
    def connectivity(self) -> Connectivity:
        """The connectivity of the peer; STARTING while it is unknown."""
        if self.link_error:
            return Connectivity.FAILED
        return self.status.connectivity if self.status else Connectivity.STARTING

    @property
    def gone(self) -> bool:
        """Whether the peer was another process, is lost, and can run here."""
        return bool(self.link_error) and self.can_run_here and not self.silence

    @property
    def alone(self) -> bool:
        """Whether the network is open and no peer of the market is connected."""
        return self.connectivity is Connectivity.ALONE

    @property
    def listings_ready(self) -> bool:
        """Whether listings were loaded."""
        return self.listings_load is Load.READY

    def listing(self, listing_id: str) -> Listing | None:
        """A listing that is shown somewhere, by its id; also one that was delisted meanwhile."""
        return self.table.get(listing_id) or self.own.get(listing_id)

    def mark(self, listing_id: str) -> Mark | None:
        """The mark of a row, or None after it has expired. One from a time to come is from before the clock was set back."""
        mark = self.marks.get(listing_id)
        if mark is None:
            return None
        old = not 0 <= self.clock() - mark.at < MARK_SECONDS
        expired = old if mark.sign != "×" else self.table.is_listed(listing_id)
        if expired:
            del self.marks[listing_id]
        return None if expired else mark

    def own_disabled_reason(self, listing: Listing | None) -> str:
        """The reason why a listing cannot be edited or removed here; empty if it can."""
        if listing is None:
            return "no listing is chosen"
        if not self.table.is_listed(listing.id):
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
        return frozenset(self.settings.now.muted)

    @property
    def blocked(self) -> frozenset[str]:
        """The peers with which this one has nothing to do."""
        return frozenset(self.status.blocked if self.status else ())

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

    def loaded(self, replaced: bool = False) -> News:
        """Rows have come; with `replaced` because of a load."""
        self.listings_load, self.listings_error = Load.READY, ""
        return News(listings=True, replaced=replaced, status=True)

    def load_failed(self, message: str) -> News:
        """The listings could not be loaded; the shown ones stay."""
        self.listings_load, self.listings_error = Load.FAILED, message
        return News(listings=True, status=True)

    def own_loaded(self, own: Sequence[Listing]) -> None:
        """The own listings have come."""
        self.own, self.own_load, self.own_error = {each.id: each for each in own}, Load.READY, ""

    def own_failed(self, message: str) -> None:
        """The own listings could not be loaded; those known stay."""
        self.own_load, self.own_error = Load.FAILED, message

    def status_loaded(self, status: Status, peers: tuple[PeerInfo, ...] | None, peers_error: str = "") -> News:
        """Set the status and the connected peers; ignored while the peer is lost."""
        if self.link_error:
            return News()
        self.silence = ""
        if told := self._company.tell(self.status, status):
            self.activity.notice(*told, self.clock())
        self.status, self.own_id, self.up_since = status, status.peer_id, self.clock() - status.uptime
        if status.muted is not None and not self.muting and set(status.muted) != self.muted:
            self.settings.change(muted=status.muted)
        if peers is None:
            self.peers, self.peers_load, self.peers_error = (), Load.FAILED, peers_error
        else:
            self.peers, self.peers_load, self.peers_error = peers, Load.READY, ""
        news = News(status=True, listings=True, activity=bool(told))
        self._update_deliveries(self.receipts.pending_sent(status.topic_peers), news)
        level = sum(peer.on_topic and peer.behind == 0 for peer in self.peers)
        return self._update_deliveries(self.receipts.level(level, status.height), news)

    def status_failed(self, message: str, silent: bool = False) -> News:
        """The status could not be loaded; the last one stays. `silent` says that the peer gives no sign of life."""
        self.silence = message if silent else ""
        if not self.peers:
            self.peers_load, self.peers_error = Load.FAILED, message
        return News(status=True)

    def link_lost(self, message: str, silent: bool = False) -> News:
        """The peer is gone, or gives no sign of life: its listings stay, everything else about it is unknown."""
        if not self.link_error:
            self.activity.notice("error", f"Lost the peer: {message}", self.clock())
        self.link_error, self.silence, self.status = message, message if silent else "", None
        self.peers, self.peers_load, self.peers_error = (), Load.FAILED, message
        return News(listings=True, status=True, activity=True)

    def link_restored(self) -> News:
        """The peer answers, for the first time or again."""
        if not self.link_error:
            return News()
        self.link_error = self.silence = ""
        self.peers_load, self.peers_error = Load.LOADING, ""
        self.activity.notice("info", "The peer is back", self.clock())
        return News(status=True, activity=True)

    def apply(self, events: Sequence[Event]) -> News:
        """Apply a batch of events."""
        news = News()
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
        """Drop the delisted listings that no row shows any more, except `keep`."""
        for listing_id in self.table.forget_gone(keep):
            self.marks.pop(listing_id, None)

    def _update_deliveries(self, statuses: Mapping[str, DeliveryStatus], news: News) -> News:
        for listing_id, status in statuses.items():
            self.activity.set_delivery(status.cid, listing_id, status.text)
        news.activity = news.activity or bool(statuses)
        return news

    def _change(self, change: Change, news: News) -> None:
        if _is_without_news(change, self.listing(change.id)):
            change = replace(change, kind=ChangeKind.REFRESH)
        old, added = self.table.change(change)
        new = None if change.kind is ChangeKind.DELIST else change.listing
        if new is None:
            if old is not None:
                self._set_mark(change.id, Mark("×", self.clock()))
        else:
            self._mark(change, old, new)
            if added:
                news.added.add(change.id)
        old = old or self.own.get(change.id)
        if new is None:
            self.own.pop(change.id, None)
        elif new.mine:
            self.own[change.id] = new
            self.delisted.forget(change.id)
        news.ids.add(change.id)
        shown = new or old
        news.own = news.own or bool(shown and shown.mine) or (change.seller_id == self.own_id != "")
        name = change.name or (shown.name if shown else change.id)
        seller = change.seller_id or (shown.seller_id if shown else "")
        self.activity.change(change, name, seller, _note(change, old, new))

    def _mark(self, change: Change, old: Listing | None, new: Listing) -> None:
        now = self.clock()
        if old is None and change.kind is ChangeKind.PUT:
            self._set_mark(new.id, Mark("+", now))
            return
        before = change.old_price if old is None else old.price
        columns = _changed_columns(old, new) if old else {"price"} if before not in (None, new.price) else set()
        if not columns:
            return
        arrow = "" if before in (None, new.price) else "↑" if new.price > (before or 0.0) else "↓"
        self._set_mark(new.id, Mark("~", now, frozenset(columns), arrow))

    def _set_mark(self, listing_id: str, mark: Mark) -> None:
        self.marks.pop(listing_id, None)
        self.marks[listing_id] = mark
        if len(self.marks) > MAX_MARKS:
            del self.marks[next(iter(self.marks))]


def _view(settings: InterfaceSettings) -> View:
    return View("", settings.sort, settings.muted)


def _is_without_news(change: Change, old: Listing | None) -> bool:
    """Whether an update only changed what a reader need not be told of, such as where its seller is reached."""
    new, changed = change.listing, change.changed
    if change.kind is not ChangeKind.UPDATE or new is None:
        return False
    if old is not None and (old.provenance, old.difference) != (new.provenance, new.difference):
        return False
    if changed is None and old is not None:
        changed = differing_fields(old, new)
    return bool(changed) and WITHOUT_NEWS.issuperset(changed or ())


def _changed_columns(old: Listing, new: Listing) -> set[str]:
    changed = [field for field in FIELDS if getattr(old, field.name) != getattr(new, field.name)]
    columns = {field.column or field.name for field in changed if field.name not in WITHOUT_NEWS.union(STAMPS)}
    same = (old.provenance, old.difference) == (new.provenance, new.difference)
    return columns if same else columns | {"state"}


def _note(change: Change, old: Listing | None, new: Listing | None) -> str:
    if new is None:
        return ""
    before = change.old_price if old is None else old.price
    if old is not None:
        notes = changes_of(old, new)
    else:
        notes = [] if before in (None, new.price) else [f"price {price(before)} → {price(new.price)}"]
        if others := [name for name in change.changed or () if name != "price"]:
            notes.append(f"{fields_of(others)} changed")
    if new.difference and (old is None or old.difference is not new.difference):
        notes.append(DIFFERENCES[new.difference])
    return ", ".join(notes)
