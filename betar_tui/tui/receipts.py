"""What became of what we stored: pending, sent to n peers, seen by n of m. Pure.

A publish, an edit or a delist answers with the CID of its delta and how many peers it was sent to; later events say
how many peers have shown that they hold it. Either may come first. Only the newest delta of a listing counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from betar_tui.market.marketplace import DelistReceipt, Receipt, Seen
from betar_tui.tui import format as fmt

MAX_REMEMBERED = 4096
"""Outcomes remembered, and CIDs of deltas that newer ones replaced: a late word of those says nothing."""


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """How far the newest delta of one listing got. `stored` is False where only other peers told of it."""

    cid: str
    sent_to: int = 0
    seen_by: int = 0
    stored: bool = False

    @property
    def pending(self) -> bool:
        """Whether it waits for a first peer."""
        return self.stored and not self.sent_to and not self.seen_by

    @property
    def sign(self) -> str:
        """The sign before the words."""
        return "↑" if self.pending else "✓"

    @property
    def text(self) -> str:
        """The status in words."""
        if self.seen_by:
            known = max(self.sent_to, self.seen_by)
            return (
                f"seen by {self.seen_by} of {known}" if self.sent_to else f"seen by {fmt.plural(self.seen_by, 'peer')}"
            )
        if self.pending:
            return "pending: waits for a peer"
        return f"stored, sent to {fmt.plural(self.sent_to, 'peer')}"


class Receipts:
    """The outcomes by listing. Each feed returns those that are different now."""

    def __init__(self) -> None:
        self._statuses: dict[str, DeliveryStatus] = {}
        self._superseded: dict[str, None] = {}

    def get(self, listing_id: str) -> DeliveryStatus | None:
        """What became of a listing's newest delta, as far as this run knows."""
        return self._statuses.get(listing_id)

    @property
    def pending(self) -> tuple[str, ...]:
        """The listings whose newest delta waits for a first peer."""
        return tuple(listing_id for listing_id, status in self._statuses.items() if status.pending)

    def stored(self, receipt: Receipt | DelistReceipt) -> Mapping[str, DeliveryStatus]:
        """One of our deltas is stored."""
        known = self._statuses.get(receipt.id)
        seen_by = known.seen_by if known and known.cid == receipt.cid else 0
        return self._update({receipt.id: DeliveryStatus(receipt.cid, receipt.sent_to, seen_by, stored=True)})

    def seen(self, seen: Seen) -> Mapping[str, DeliveryStatus]:
        """Peers have shown that they hold a delta of ours."""
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
        """So many peers are on the topic now: what was pending is on its way to them."""
        if not peers:
            return {}
        return self._update({key: replace(self._statuses[key], sent_to=peers) for key in self.pending})

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
