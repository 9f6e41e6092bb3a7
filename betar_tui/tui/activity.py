"""The log of changes and notices. Pure.

Go peers renew every listing each half minute. The refreshes of one listing are therefore folded into a single entry,
which counts them and keeps its place, so that puts and delists stay in sight. The entry of a change by this peer also
shows its delivery status, which changes as other peers receive the delta."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from betar_tui.market.marketplace import Change, ChangeKind
from betar_tui.market.origin import LOCAL

MAX_ENTRIES = 2000
"""Maximum entries kept; older ones are dropped."""
MAX_EARLY_DELIVERIES = 100
"""Maximum delivery statuses kept for entries that do not exist yet."""
SIGNS = {"put": "+", "update": "~", "refresh": "·", "delist": "×", "info": "i", "warning": "!", "error": "✗"}


@dataclass(slots=True)
class ActivityEntry:
    """A change of a listing, or a notice, with an empty `listing_id`. `count` is the number of folded refreshes."""

    at: float
    kind: str
    text: str
    listing_id: str = ""
    seller: str = ""
    via: str = ""
    cid: str = ""
    height: int = 0
    note: str = ""
    count: int = 1
    bytes: int = 0
    took: float = 0.0
    delivery: str = ""

    @property
    def sign(self) -> str:
        """The sign before the entry, which shows its kind without colour."""
        return SIGNS.get(self.kind, "i")

    @property
    def verb(self) -> str:
        """The kind in a word, with the number of folded refreshes."""
        word = "refreshed" if self.kind == "refresh" else self.kind
        return f"{word} ×{self.count}" if self.count > 1 else word


@dataclass(frozen=True, slots=True)
class ActivityFilter:
    """Selects entries that have every word, and no "!word", in name, kind or seller, except those of muted sellers."""

    text: str = ""
    muted: frozenset[str] = frozenset()

    def shows(self, entry: ActivityEntry) -> bool:
        """Whether an entry passes the filter."""
        if entry.seller in self.muted:
            return False
        words = [word for word in self.text.lower().split() if word != "!"]
        haystack = f"{entry.text} {entry.verb} {entry.seller}".lower() if words else ""
        return all((word.removeprefix("!") in haystack) is not word.startswith("!") for word in words)


class ActivityLog:
    """The entries, oldest first. During a pause new ones wait."""

    def __init__(self, keep: int = MAX_ENTRIES) -> None:
        self.entries: deque[ActivityEntry] = deque(maxlen=keep)
        self._refreshes: dict[str, ActivityEntry] = {}
        self._own: dict[tuple[str, str], ActivityEntry] = {}
        self._early_deliveries: dict[tuple[str, str], str] = {}
        self._waiting: list[Callable[[], None]] = []
        self.paused = False

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def waiting(self) -> int:
        """Number of changes that wait for the end of the pause."""
        return len(self._waiting)

    def latest(self, muted: frozenset[str] = frozenset()) -> ActivityEntry | None:
        """The newest entry that is not a refresh."""
        news = (entry for entry in reversed(self.entries) if entry.kind != "refresh" and entry.seller not in muted)
        return next(news, None)

    def change(self, change: Change, name: str, seller: str, note: str = "") -> None:
        """Add the entry of a change of a listing, or fold it into an earlier one."""
        entry = ActivityEntry(
            at=change.at,
            kind=change.kind.value,
            text=name,
            listing_id=change.id,
            seller=seller,
            via=change.via,
            cid=change.cid,
            height=change.height,
            note=note,
            bytes=change.bytes,
            took=change.took,
        )
        self._apply(lambda: self._fold(entry) if change.kind is ChangeKind.REFRESH else self._append(entry))

    def set_delivery(self, cid: str, listing_id: str, text: str) -> None:
        """Set the delivery status of a listing in this peer's delta `cid`, whose entry may not exist yet."""
        if entry := self._own.get((cid, listing_id)):
            entry.delivery = text
            return
        self._early_deliveries[cid, listing_id] = text
        while len(self._early_deliveries) > MAX_EARLY_DELIVERIES:
            del self._early_deliveries[next(iter(self._early_deliveries))]

    def notice(self, level: str, text: str, at: float) -> None:
        """Add the entry of a notice."""
        self._apply(lambda: self._append(ActivityEntry(at=at, kind=level, text=text)))

    def toggle_pause(self) -> bool:
        """Pause the log, or resume it and add what waits; returns whether it is paused now."""
        self.paused = not self.paused
        if not self.paused:
            waiting, self._waiting = self._waiting, []
            for action in waiting:
                action()
        return self.paused

    def _apply(self, action: Callable[[], None]) -> None:
        if not self.paused:
            action()
        elif len(self._waiting) < MAX_ENTRIES:
            self._waiting.append(action)

    def _fold(self, entry: ActivityEntry) -> None:
        known = self._refreshes.get(entry.listing_id)
        if known is None:
            self._refreshes[entry.listing_id] = entry
            self._append(entry)
        else:
            known.count += 1
            known.at, known.via, known.height, known.cid = entry.at, entry.via, entry.height, entry.cid
            known.bytes, known.took = entry.bytes, entry.took

    def _append(self, entry: ActivityEntry) -> None:
        if len(self.entries) == self.entries.maxlen:
            dropped = self.entries[0]
            if self._refreshes.get(dropped.listing_id) is dropped:
                del self._refreshes[dropped.listing_id]
            self._own.pop((dropped.cid, dropped.listing_id), None)
        if entry.via == LOCAL:
            self._own[entry.cid, entry.listing_id] = entry
            entry.delivery = self._early_deliveries.pop((entry.cid, entry.listing_id), "")
        self.entries.append(entry)
