"""The calls of the control socket: for each, the types of its parameters and of its result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from betar_tui.market.marketplace import (
    DagNode,
    DelistReceipt,
    DeltaInfo,
    Exported,
    HeadInfo,
    Imported,
    ListingDetail,
    ListingDraft,
    ListingPage,
    ListingPatch,
    PeerInfo,
    Receipt,
    Status,
)


@dataclass(frozen=True, slots=True)
class Method:
    """One call of `Marketplace`: parameter names with their types, in order, and the result's type."""

    parameters: Mapping[str, Any]
    result: Any


METHODS: Mapping[str, Method] = {
    "listings": Method({"query": str, "sort": str, "limit": int}, ListingPage),
    "show": Method({"listing_id": str}, ListingDetail),
    "publish": Method({"drafts": tuple[ListingDraft, ...]}, tuple[Receipt, ...]),
    "update": Method({"listing_id": str, "patch": ListingPatch}, Receipt),
    "delist": Method({"listing_id": str}, DelistReceipt),
    "status": Method({}, Status),
    "peers": Method({}, tuple[PeerInfo, ...]),
    "connect": Method({"address": str}, PeerInfo),
    "heads": Method({}, tuple[HeadInfo, ...]),
    "export_car": Method({"path": str, "heads": tuple[str, ...]}, Exported),
    "import_car": Method({"path": str}, Imported),
    "dag": Method({"limit": int}, tuple[DagNode, ...]),
    "log": Method({"limit": int}, tuple[DeltaInfo, ...]),
}
