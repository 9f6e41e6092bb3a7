"""The calls of the control socket: for each, the types of its parameters and of its result, and how a result with very
many things in it is cut into parts and put together again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from betar_tui.market.marketplace import (
    DagNodeInfo,
    DelistReceipt,
    DeltaInfo,
    Exported,
    HeadInfo,
    Imported,
    Listing,
    ListingDetail,
    ListingDraft,
    ListingPage,
    ListingPatch,
    PeerInfo,
    Receipt,
    Status,
)

PART = 250
"""How many things an answer carries in one message."""


@dataclass(frozen=True, slots=True)
class Method:
    """One call of `Marketplace`: parameter names with their types, in order, the result's type and that of its parts."""

    parameters: Mapping[str, Any]
    result: Any
    part: Any = None


METHODS: Mapping[str, Method] = {
    "listings": Method({"query": str, "sort": str, "limit": int}, ListingPage, tuple[Listing, ...]),
    "show": Method({"listing_id": str}, ListingDetail),
    "publish": Method({"drafts": tuple[ListingDraft, ...]}, tuple[Receipt, ...]),
    "update": Method({"listing_id": str, "patch": ListingPatch}, Receipt),
    "delist": Method({"listing_id": str}, DelistReceipt),
    "status": Method({}, Status),
    "peers": Method({}, tuple[PeerInfo, ...]),
    "connect": Method({"address": str}, PeerInfo),
    "disconnect": Method({"peer_id": str}, None),
    "choose_dialect": Method({"dialect": str}, None),
    "hold_sync": Method({"held": bool}, None),
    "heads": Method({}, tuple[HeadInfo, ...]),
    "export_car": Method({"path": str, "heads": tuple[str, ...]}, Exported),
    "import_car": Method({"path": str}, Imported),
    "dag": Method({"limit": int}, tuple[DagNodeInfo, ...]),
    "log": Method({"limit": int}, tuple[DeltaInfo, ...]),
}


def cut(result: Any) -> tuple[list[Any], Any]:
    """The parts that go ahead of a result, of `PART` things each, and what is left of it."""
    many = result.listings if isinstance(result, ListingPage) else result
    if not isinstance(many, tuple) or len(many) <= PART:
        return [], result
    parts = [many[i : i + PART] for i in range(0, len(many), PART)]
    return parts, replace(result, listings=()) if isinstance(result, ListingPage) else ()


def joined(parts: list[Any], result: Any) -> Any:
    """The result that `cut` took apart."""
    if not parts:
        return result
    many = tuple(each for part in parts for each in part)
    return replace(result, listings=many) if isinstance(result, ListingPage) else many
