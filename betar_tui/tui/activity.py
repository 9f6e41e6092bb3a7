"""What happened, as lines of a log. Pure.

A refresh is no news: Go peers renew each listing every half minute. The refreshes of one listing are folded into a
single entry that counts them and stays where it is, so that a put or a delist is not pushed out of sight. The entry of
a change of our own carries what became of it, and is drawn again when peers have it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from betar_tui.market.marketplace import Change, ChangeKind

MAX_ENTRIES = 2000
"""Entries kept; older ones are dropped."""

MAX_EARLY_DELIVERIES = 100
"""Outcomes kept for lines that are not there yet."""

SIGNS = {"put": "+", "update": "~", "refresh": "·", "delist": "×", "info": "i", "warning": "!", "error": "✗"}


@dataclass(slots=True)
class ActivityEntry:
    """One line: a change of a listing or a notice (then `listing_id` is empty). `count` folds repeated refreshes."""

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
        """The sign in front: the kind must be readable without colour."""
        return SIGNS.get(self.kind, "i")

    @property
    def verb(self) -> str:
        """What was done, in a word, with how often where that is folded."""
        word = "refreshed" if self.kind == "refresh" else self.kind
        return f"{word} ×{self.count}" if self.count > 1 else word


@dataclass(frozen=True, slots=True)
class ActivityFilter:
    """Which entries are shown: those that contain every word, in name, kind or seller, of sellers that are not muted."""

    text: str = ""
    muted: frozenset[str] = frozenset()

    def shows(self, entry: ActivityEntry) -> bool:
        """Whether an entry is shown."""
        if entry.seller in self.muted:
            return False
        words = [word for word in self.text.lower().split() if word != "!"]
        hay = f"{entry.text} {entry.verb} {entry.seller}".lower() if words else ""
        return all((word.removeprefix("!") in hay) is not word.startswith("!") for word in words)


class ActivityLog:
    """The entries, oldest first, with a pause that holds newcomers back."""

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
        """How many changes wait for the pause to end."""
        return len(self._waiting)

    def latest(self, muted: frozenset[str] = frozenset()) -> ActivityEntry | None:
        """The youngest entry that is news."""
        news = (entry for entry in reversed(self.entries) if entry.kind != "refresh" and entry.seller not in muted)
        return next(news, None)

    def change(self, change: Change, name: str, seller: str, note: str = "") -> None:
        """Take in a change of a listing."""
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
        """What became of a listing in our delta `cid`: in its own line, which may only be coming."""
        if entry := self._own.get((cid, listing_id)):
            entry.delivery = text
            return
        self._early_deliveries[cid, listing_id] = text
        while len(self._early_deliveries) > MAX_EARLY_DELIVERIES:
            del self._early_deliveries[next(iter(self._early_deliveries))]

    def notice(self, level: str, text: str, at: float) -> None:
        """Take in a message for the person."""
        self._apply(lambda: self._append(ActivityEntry(at=at, kind=level, text=text)))

    def toggle_pause(self) -> bool:
        """Hold the log still, or let in what came meanwhile; returns whether it is paused now."""
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
        if entry.via == "local":
            self._own[entry.cid, entry.listing_id] = entry
            entry.delivery = self._early_deliveries.pop((entry.cid, entry.listing_id), "")
        self.entries.append(entry)
