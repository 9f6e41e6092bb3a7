"""The seller's signed word that a listing is no longer on offer (docs/protocol.md#provenance). Pure.

It is a value of the map beside the listing, under `/withdrawn/<base64url(id)>`, and signed as a listing is:
`{"id", "seller_id", "timestamp", "signature"}`. It has exactly these fields: a listing has more, so that neither passes for
the other."""

from collections.abc import Iterable

from betar_tui.errors import ListingError
from betar_tui.market.listing import SIGNED, encode, judge, parse_value
from betar_tui.market.marketplace import Provenance
from betar_tui.market.provenance import Signer
from betar_tui.replica import keys

_FIELDS = {"id", "seller_id", "timestamp", "signature"}
MAX_TIMESTAMP = (1 << 63) - 1
"""Greatest timestamp of a listing or a withdrawal, in Unix seconds."""
KEPT = 30 * 86_400
"""Seconds for which a withdrawal stays in the map; then its seller drops it."""


def withdrawal(listing_id: str, signer: Signer, timestamp: int) -> bytes:
    """The value that withdraws an own listing, and every version of it up to `timestamp`, in Unix seconds."""
    fields: dict[str, object] = {"id": listing_id, "seller_id": signer.peer_id, "timestamp": timestamp}
    return encode({**fields, "signature": signer.sign(fields)})


def withdrawn_at(key: str, value: bytes, least: int | None = None) -> int | None:
    """The timestamp of a verified withdrawal, in Unix seconds; None for a value under `key` that is not one.

    One that is not above `least` counts as none, and its signature is not checked."""
    listing_id = keys.withdrawn_id(key)
    if listing_id is None or SIGNED not in value:
        return None
    try:
        fields = parse_value(value)
    except ListingError:
        return None
    timestamp, seller_id = fields.get("timestamp"), fields.get("seller_id")
    if fields.keys() != _FIELDS or fields["id"] != listing_id or not isinstance(seller_id, str):
        return None
    if type(timestamp) is not int or not -MAX_TIMESTAMP - 1 <= timestamp <= MAX_TIMESTAMP:
        return None
    if least is not None and timestamp <= least:
        return None
    verified = judge(fields, value, listing_id, seller_id) is Provenance.VERIFIED
    return timestamp if verified else None


def newest_withdrawal(key: str, values: Iterable[bytes]) -> int | None:
    """The greatest timestamp of the verified withdrawals among the values under a key, None without one."""
    latest: int | None = None
    for value in values:
        at = withdrawn_at(key, value, latest)
        latest = latest if at is None else at
    return latest
