"""Listings to test with."""

from betar_tui.ipld import cid
from betar_tui.market.compose import Document, new_document, render
from betar_tui.market.fields import DOCUMENTS
from betar_tui.market.filter import Filter, search_text
from betar_tui.market.marketplace import Listing, ListingDraft
from betar_tui.market.provenance import Signer
from betar_tui.replica import keys
from betar_tui.replica.facts import Winner

SEED = bytes(range(32))
SIGNER = Signer(SEED)
NOW = 1_795_390_401
ADDRS = ("/ip4/192.0.2.7/tcp/4001",)


def document(name: str = "swift-ocr", price: float = 0.05, **fields: object) -> Document:
    draft = ListingDraft(name=name, price=price, description="reads scans")
    return {**new_document(draft, SIGNER.peer_id, ADDRS), **fields}


def value(
    name: str = "swift-ocr", dialect: str = DOCUMENTS, timestamp: int = NOW, price: float = 0.05, **fields: object
) -> bytes:
    return render(document(name, price, **fields), dialect, SIGNER, timestamp, ADDRS).value


def key(name: str = "swift-ocr") -> str:
    return keys.of_agent(f"{SIGNER.peer_id}/{name}")


def winner(content: bytes, height: int = 1) -> Winner:
    return Winner(height, content, cid.of(content))


def matches(parsed: Filter, listing: Listing, now: float, first_seen: float | None = None) -> bool:
    """Whether a listing meets a filter."""
    return parsed.matches_text(listing, search_text(listing), now, first_seen)
