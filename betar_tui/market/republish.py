"""What a peer does for its own listings each round (PROTOCOL 7, 8). Pure: facts in, what to put out.

Anyone can tombstone or replace anything in this CRDT, so a peer puts its own listings back, less often each time the
same one is taken away. A round writes nothing for a listing that stands as it should and whose timestamp is young.

A listing stands as it should when its value is, byte for byte, what its document makes at the value's own timestamp:
Ed25519 signatures are deterministic. A value that another device of the same seller signed later is that person's newer
word and is taken over; one that was signed earlier is a replay.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from betar_tui.errors import ListingError
from betar_tui.market.compose import Document
from betar_tui.market.listing import dialect_of, parse_value
from betar_tui.market.marketplace import Provenance
from betar_tui.market.provenance import verify

FIRST_RETRY = 5.0
LONGEST_RETRY = 3600.0
QUIET_TIME = 2 * LONGEST_RETRY
CLOCK_SKEW = 120.0
"""How far ahead of ours another device's clock may be, in seconds."""

Render = Callable[[Document, str, int, tuple[str, ...]], bytes]
"""The value of a document in a dialect at a timestamp with these default addresses. Raises ListingError."""


class RepublishReason(StrEnum):
    """RepublishReason an own listing is put again, or, for ADOPTED, why it is not."""

    MISSING = "removed by another peer"
    REPLACED = "replaced by another peer"
    ADDRESSED = "this peer's addresses changed"
    STALE = "refreshed"
    DIALECT = "rewritten in the other dialect"
    ADOPTED = "changed on another device of yours"

    @property
    def healing(self) -> bool:
        """Whether this repairs what another peer did."""
        return self in (RepublishReason.MISSING, RepublishReason.REPLACED)


@dataclass(frozen=True, slots=True)
class Intent:
    """A listing that this peer means to have published: its document and when it was last written, Unix seconds. An
    empty list of addresses stands for the peer's own."""

    document: Document
    at: int


@dataclass(slots=True)
class _Patience:
    """When an own listing may be put back again: `delay` doubles with every repair that does not last."""

    next_at: float = 0.0
    delay: float = FIRST_RETRY


class RepublishPolicy:
    """Decides which own listings to put. Times are Unix seconds."""

    def __init__(self, refresh_interval: float, seller_id: str, render: Render) -> None:
        self._refresh = refresh_interval
        self._seller_id = seller_id
        self._render = render
        self._patience: dict[str, _Patience] = {}

    def forget(self, key: str) -> None:
        """The listing under this key is not ours to keep up any more."""
        self._patience.pop(key, None)

    def due(
        self,
        own: Mapping[str, Intent],
        values: Mapping[str, bytes],
        dialect: str,
        default_addrs: tuple[str, ...],
        now: float,
    ) -> dict[str, RepublishReason]:
        """The keys to put now, or to adopt. `own` is meant to be published, `values` is what the replica holds."""
        due: dict[str, RepublishReason] = {}
        for key, intent in own.items():
            why = self._why(intent, values.get(key), dialect, default_addrs, now)
            if why is None or (why.healing and not self._patient(key, now)):
                continue
            due[key] = why
        return due

    def _why(
        self, intent: Intent, value: bytes | None, dialect: str, default_addrs: tuple[str, ...], now: float
    ) -> RepublishReason | None:
        if value is None:
            return RepublishReason.MISSING
        try:
            fields = parse_value(value)
        except ListingError:
            return RepublishReason.REPLACED
        timestamp = fields.get("timestamp")
        if isinstance(timestamp, bool) or not isinstance(timestamp, int) or timestamp > now + CLOCK_SKEW:
            return RepublishReason.REPLACED
        listed = fields.get("addrs")
        addrs = tuple(str(each) for each in listed) if isinstance(listed, list) else ()
        if not self._stands(intent, fields, timestamp, addrs, value):
            newer = timestamp > intent.at and verify(fields, self._seller_id) is Provenance.VERIFIED
            return RepublishReason.ADOPTED if newer else RepublishReason.REPLACED
        if dialect_of(fields) != dialect:
            return RepublishReason.DIALECT
        if not intent.document["addrs"] and default_addrs and addrs != default_addrs:
            return RepublishReason.ADDRESSED
        return None if now - timestamp < self._refresh else RepublishReason.STALE

    def _stands(
        self, intent: Intent, fields: Mapping[str, object], timestamp: int, addrs: tuple[str, ...], value: bytes
    ) -> bool:
        try:
            return self._render(intent.document, dialect_of(fields), timestamp, addrs) == value
        except ListingError:
            return False

    def _patient(self, key: str, now: float) -> bool:
        patience = self._patience.setdefault(key, _Patience())
        if now < patience.next_at:
            return False
        if now > patience.next_at + QUIET_TIME:
            patience.delay = FIRST_RETRY
        patience.next_at = now + patience.delay
        patience.delay = min(patience.delay * 2, LONGEST_RETRY)
        return True
