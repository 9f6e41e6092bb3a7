"""The own listings that a peer has to put again (docs/protocol.md#announcing). Pure: values in, reasons out.

Any peer can tombstone or replace any key of this CRDT, so a peer puts its own listings back, less often each time the
same one is taken away. Nothing is written for a listing that is intact and whose timestamp is young.

A listing is intact when its value is, byte for byte, its document rendered at the value's own timestamp: Ed25519
signatures are deterministic. What another device of the same seller signed later, a version or a withdrawal, is that
person's newer word and is adopted, whether or not it is what the map has; what was signed earlier is a replay."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from betar_tui.errors import ListingError
from betar_tui.market.compose import Document
from betar_tui.market.listing import dialect_of, parse_value
from betar_tui.market.marketplace import RepublishReason

FIRST_RETRY = 5.0
"""Seconds until a listing is put back a second time; doubled with each repair that does not last."""
LONGEST_RETRY = 3600.0
"""Maximum seconds between two repairs of a listing."""
QUIET_TIME = 2 * LONGEST_RETRY
"""Seconds without need of repair after which the next one is again the first."""
Render = Callable[[Document, str, int, tuple[str, ...]], bytes]
"""The value of a document in a dialect at a timestamp with these default addresses. Raises ListingError."""


@dataclass(frozen=True, slots=True)
class OwnListing:
    """A listing that this peer means to have published: its document and when it was last written, in Unix seconds. An
    empty list of addresses stands for the peer's own."""

    document: Document
    at: int


class Said(NamedTuple):
    """What a seller has said last of a listing: the timestamps of the newest verified version and of the newest withdrawal,
    None without one, and the value of that version where it is not what the map has."""

    signed: int | None = None
    withdrawn: int | None = None
    value: bytes | None = None

    @property
    def last(self) -> int:
        """The timestamp of the last word, the least that there is without one."""
        return max(each for each in (self.signed, self.withdrawn, -(1 << 63)) if each is not None)


NOTHING_SAID = Said()


@dataclass(slots=True)
class _Backoff:
    """When an own listing may be put back again: `delay` doubles with every repair that does not last."""

    next_at: float = 0.0
    delay: float = FIRST_RETRY


class RepublishPolicy:
    """Decides which own listings to put. Times are Unix seconds."""

    def __init__(self, refresh_interval: float, render: Render) -> None:
        self._refresh = refresh_interval
        self._render = render
        self._backoffs: dict[str, _Backoff] = {}

    def forget(self, key: str) -> None:
        """Forget the repairs of a listing that is not kept published any more."""
        self._backoffs.pop(key, None)

    def due(
        self,
        own: Mapping[str, OwnListing],
        values: Mapping[str, bytes],
        said: Mapping[str, Said],
        dialect: str,
        default_addrs: tuple[str, ...],
        now: float,
    ) -> dict[str, RepublishReason]:
        """The keys to put now, or to adopt. `own` is meant to be published, `values` are the map's, `said` is what this
        seller, on any device, has said last."""
        due: dict[str, RepublishReason] = {}
        for key, listing in own.items():
            value = values.get(key)
            reason = self.newer(listing, said.get(key, NOTHING_SAID), value)
            if reason is None:
                reason = self._reason(listing, value, dialect, default_addrs, now)
            if reason is None or (reason.healing and not self._may_repair(key, now)):
                continue
            due[key] = reason
        return due

    def newer(self, listing: OwnListing, said: Said, value: bytes | None) -> RepublishReason | None:
        """Whether another device has said something else since: ADOPTED or WITHDRAWN. `value` is the map's."""
        if said.last <= listing.at:
            return None
        if said.withdrawn == said.last:
            return RepublishReason.WITHDRAWN
        signed = said.value or value
        if signed is None:
            return None
        try:
            fields = parse_value(signed)
        except ListingError:  # the map's, replaced since it was the signed one
            return None
        intact = self._is_intact(listing, fields, said.last, _addrs(fields), signed)
        return None if intact else RepublishReason.ADOPTED

    def _reason(
        self, listing: OwnListing, value: bytes | None, dialect: str, default_addrs: tuple[str, ...], now: float
    ) -> RepublishReason | None:
        if value is None:
            return RepublishReason.MISSING
        try:
            fields = parse_value(value)
        except ListingError:
            return RepublishReason.REPLACED
        timestamp = fields.get("timestamp")
        if type(timestamp) is not int:
            return RepublishReason.REPLACED
        addrs = _addrs(fields)
        if not self._is_intact(listing, fields, timestamp, addrs, value):
            return RepublishReason.REPLACED
        if dialect_of(fields) != dialect:
            return RepublishReason.DIALECT
        if not listing.document["addrs"] and default_addrs and addrs != default_addrs:
            return RepublishReason.ADDRESSED
        return None if now - timestamp < self._refresh else RepublishReason.STALE

    def _is_intact(
        self,
        listing: OwnListing,
        fields: Mapping[str, object],
        timestamp: int,
        addrs: tuple[str, ...],
        value: bytes,
    ) -> bool:
        try:
            return self._render(listing.document, dialect_of(fields), timestamp, addrs) == value
        except ListingError:
            return False

    def _may_repair(self, key: str, now: float) -> bool:
        backoff = self._backoffs.setdefault(key, _Backoff())
        if now < backoff.next_at:
            return False
        if now > backoff.next_at + QUIET_TIME:
            backoff.delay = FIRST_RETRY
        backoff.next_at = now + backoff.delay
        backoff.delay = min(backoff.delay * 2, LONGEST_RETRY)
        return True


def _addrs(fields: Mapping[str, object]) -> tuple[str, ...]:
    listed = fields.get("addrs")
    return tuple(str(each) for each in listed) if isinstance(listed, list) else ()
