"""What became of what we stored: pending, sent to n peers, seen by n of m. Pure.

A publish, an edit or a delist answers with the CID of its delta and how many peers it was sent to; later events say
how many peers have shown that they hold it. Either may come first. Only the newest delta of a listing counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from betar_tui.market.marketplace import DelistReceipt, Receipt, Seen
from betar_tui.tui import format as fmt

KEPT = 4096
"""Outcomes remembered, and CIDs of deltas that newer ones replaced: a late word of those says nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
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
        """The outcome in words."""
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
        self._outcomes: dict[str, Outcome] = {}
        self._past: dict[str, None] = {}

    def get(self, listing_id: str) -> Outcome | None:
        """What became of a listing's newest delta, as far as this run knows."""
        return self._outcomes.get(listing_id)

    @property
    def pending(self) -> tuple[str, ...]:
        """The listings whose newest delta waits for a first peer."""
        return tuple(listing_id for listing_id, outcome in self._outcomes.items() if outcome.pending)

    def stored(self, receipt: Receipt | DelistReceipt) -> Mapping[str, Outcome]:
        """One of our deltas is stored."""
        known = self._outcomes.get(receipt.id)
        seen_by = known.seen_by if known and known.cid == receipt.cid else 0
        return self._take({receipt.id: Outcome(receipt.cid, receipt.sent_to, seen_by, stored=True)})

    def seen(self, seen: Seen) -> Mapping[str, Outcome]:
        """Peers have shown that they hold a delta of ours."""
        news = {}
        for listing_id in seen.ids:
            known = self._outcomes.get(listing_id)
            if seen.cid in self._past:
                continue
            if known and known.cid == seen.cid:
                news[listing_id] = replace(known, seen_by=max(known.seen_by, seen.peers))
            else:
                news[listing_id] = Outcome(seen.cid, seen_by=seen.peers)
        return self._take(news)

    def went_out(self, peers: int) -> Mapping[str, Outcome]:
        """So many peers are on the topic now: what was pending is on its way to them."""
        if not peers:
            return {}
        return self._take({key: replace(self._outcomes[key], sent_to=peers) for key in self.pending})

    def _take(self, news: Mapping[str, Outcome]) -> Mapping[str, Outcome]:
        changed = {key: outcome for key, outcome in news.items() if self._outcomes.get(key) != outcome}
        for key, outcome in changed.items():
            old = self._outcomes.pop(key, None)
            self._outcomes[key] = outcome
            if old and old.cid != outcome.cid:
                self._past[old.cid] = None
        for memory in (self._outcomes, self._past):
            while len(memory) > KEPT:
                del memory[next(iter(memory))]
        return changed
