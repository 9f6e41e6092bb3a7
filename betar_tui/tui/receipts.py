"""The delivery of this peer's deltas: pending, sent to n peers, seen by n of m. Pure.

A receipt has the CID of a delta and the number of peers that it was sent to; later events give the number of peers
that have shown that they have it. Either may come first. Only the newest delta of a listing counts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from betar_tui.market.marketplace import DelistReceipt, Receipt, Seen
from betar_tui.tui import format as fmt

MAX_REMEMBERED = 4096
"""Maximum statuses kept, and maximum CIDs of superseded deltas, whose late events are ignored."""


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """The delivery of the newest delta of a listing. `stored` is False until its receipt has come, and `height` is 0."""

    cid: str
    sent_to: int = 0
    seen_by: int = 0
    stored: bool = False
    height: int = 0

    @property
    def pending(self) -> bool:
        """Whether the delta waits for a first peer."""
        return self.stored and not self.sent_to and not self.seen_by

    @property
    def sign(self) -> str:
        """The sign before the words."""
        return "↑" if self.pending else "✓"

    @property
    def text(self) -> str:
        """The status in words."""
        if self.seen_by and self.sent_to:
            return f"seen by {self.seen_by} of {max(self.sent_to, self.seen_by)}"
        if self.seen_by:
            return f"seen by {fmt.plural(self.seen_by, 'peer')}"
        if self.pending:
            return "pending: waits for a peer"
        return f"stored, sent to {fmt.plural(self.sent_to, 'peer')}"


class Receipts:
    """The delivery statuses by listing. Each update returns the changed ones."""

    def __init__(self) -> None:
        self._statuses: dict[str, DeliveryStatus] = {}
        self._superseded: dict[str, None] = {}

    def get(self, listing_id: str) -> DeliveryStatus | None:
        """The status of the newest delta of a listing, or None if this run does not know it."""
        return self._statuses.get(listing_id)

    @property
    def pending(self) -> tuple[str, ...]:
        """The listings whose newest delta waits for a first peer."""
        return tuple(listing_id for listing_id, status in self._statuses.items() if status.pending)

    def stored(self, receipt: Receipt | DelistReceipt) -> Mapping[str, DeliveryStatus]:
        """A delta of this peer is stored."""
        known = self._statuses.get(receipt.id)
        seen_by = known.seen_by if known and known.cid == receipt.cid else 0
        return self._update({receipt.id: DeliveryStatus(receipt.cid, receipt.sent_to, seen_by, True, receipt.height)})

    def seen(self, seen: Seen) -> Mapping[str, DeliveryStatus]:
        """Peers have shown that they have a delta of this peer."""
        news = {}
        for listing_id in seen.ids:
            known = self._statuses.get(listing_id)
            if seen.cid in self._superseded:
                continue
            if known and known.cid == seen.cid:
                news[listing_id] = replace(known, seen_by=max(known.seen_by, seen.peers))
            else:
                news[listing_id] = DeliveryStatus(seen.cid, seen_by=seen.peers)
        return self._update(news)

    def pending_sent(self, peers: int) -> Mapping[str, DeliveryStatus]:
        """`peers` are on the topic now, and pending deltas are sent to them."""
        if not peers:
            return {}
        return self._update({key: replace(self._statuses[key], sent_to=peers) for key in self.pending})

    def level(self, peers: int, height: int) -> Mapping[str, DeliveryStatus]:
        """`peers` hold everything that this peer had when its highest delta was at `height`: these deltas too.

        A delta that came to a peer with its announcement is not fetched, so that nothing else may tell of it."""
        late = {
            key: status
            for key, status in self._statuses.items()
            if status.stored and status.height <= height and status.seen_by < peers
        }
        return self._update({key: replace(status, seen_by=peers) for key, status in late.items()})

    def _update(self, news: Mapping[str, DeliveryStatus]) -> Mapping[str, DeliveryStatus]:
        changed = {key: status for key, status in news.items() if self._statuses.get(key) != status}
        for key, status in changed.items():
            old = self._statuses.pop(key, None)
            self._statuses[key] = status
            if old and old.cid != status.cid:
                self._superseded[old.cid] = None
        for memory in (self._statuses, self._superseded):
            while len(memory) > MAX_REMEMBERED:
                del memory[next(iter(memory))]
        return changed
