"""What a peer does for its own listings each round (PROTOCOL 7, 8). Pure: facts in, what to put out.

Anyone can tombstone or replace anything in this CRDT, so a peer puts its own listings back, less often each time the
same one is taken away. A round writes nothing for a listing that stands as it should and whose timestamp is young.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from betar_tui.errors import ListingError
from betar_tui.market.compose import Document
from betar_tui.market.listing import dialect_of, parse_value

FIRST_RETRY = 5.0
LONGEST_RETRY = 3600.0
QUIET_TIME = 2 * LONGEST_RETRY


class Why(StrEnum):
    """Why an own listing is put again."""

    MISSING = "removed by another peer"
    REPLACED = "replaced by another peer"
    ADDRESSED = "published before this peer had addresses"
    STALE = "refreshed"
    DIALECT = "rewritten in the other dialect"

    @property
    def healing(self) -> bool:
        """Whether this repairs what another peer did."""
        return self in (Why.MISSING, Why.REPLACED)


@dataclass(slots=True)
class _Patience:
    """When an own listing may be put back again: `delay` doubles with every repair that does not last."""

    next_at: float = 0.0
    delay: float = FIRST_RETRY


class Announcer:
    """Decides which own listings to put. Times are Unix seconds."""

    def __init__(self, refresh_interval: float) -> None:
        self._refresh = refresh_interval
        self._patience: dict[str, _Patience] = {}
        self._written: dict[str, bytes] = {}

    def wrote(self, key: str, value: bytes) -> None:
        """This value of ours was put."""
        self._written[key] = value

    def forget(self, key: str) -> None:
        """The listing under this key is not ours to keep up any more."""
        self._written.pop(key, None)
        self._patience.pop(key, None)

    def due(self, own: Mapping[str, Document], values: Mapping[str, bytes], dialect: str, now: float) -> dict[str, Why]:
        """The keys to put now. `own` are the documents meant to be published, `values` what the replica holds."""
        due: dict[str, Why] = {}
        for key, document in own.items():
            why = self._why(key, document, values.get(key), dialect, now)
            if why is None:
                continue
            if why.healing and not self._patient(key, now):
                continue
            due[key] = why
        return due

    def _why(self, key: str, document: Document, value: bytes | None, dialect: str, now: float) -> Why | None:
        if value is None:
            return Why.MISSING
        try:
            fields = parse_value(value)
        except ListingError:
            return Why.REPLACED
        if key in self._written:
            if self._written[key] != value:
                return Why.REPLACED
        elif fields.get("name") != document.get("name") or fields.get("price") != document.get("price"):
            return Why.REPLACED
        if dialect_of(fields).name != dialect:
            return Why.DIALECT
        timestamp = fields.get("timestamp")
        young = isinstance(timestamp, int) and now - timestamp < self._refresh
        return None if young else Why.STALE

    def _patient(self, key: str, now: float) -> bool:
        patience = self._patience.setdefault(key, _Patience())
        if now < patience.next_at:
            return False
        if now > patience.next_at + QUIET_TIME:
            patience.delay = FIRST_RETRY
        patience.next_at = now + patience.delay
        patience.delay = min(patience.delay * 2, LONGEST_RETRY)
        return True
