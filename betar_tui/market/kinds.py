"""The enumerations among the values of `market.marketplace`."""

from enum import StrEnum


class Provenance(StrEnum):
    """What the signature inside a listing proves (docs/protocol.md#provenance)."""

    VERIFIED = "verified"
    UNSIGNED = "unsigned"
    INVALID = "invalid"


class Difference(StrEnum):
    """How what is shown of a listing, its seller's newest signed word, differs from what the map has."""

    NONE = ""
    REMOVED = "removed by another peer; its seller has not withdrawn it"
    REPLACED = "replaced by another peer; this is what its seller signed last"
    WITHDRAWN = "withdrawn by its seller"


class ChangeKind(StrEnum):
    """How an applied delta changed one listing. A refresh changed only the timestamp."""

    PUT = "put"
    UPDATE = "update"
    REFRESH = "refresh"
    DELIST = "delist"


class RepublishReason(StrEnum):
    """Why a peer puts one of its own listings again; for ADOPTED and WITHDRAWN, why it does not."""

    MISSING = "removed by another peer"
    REPLACED = "replaced by another peer"
    ADDRESSED = "this peer's addresses changed"
    STALE = "refreshed"
    DIALECT = "rewritten in the other dialect"
    ADOPTED = "changed on another device of yours"
    WITHDRAWN = "delisted on another device of yours"

    @property
    def healing(self) -> bool:
        """Whether this undoes what another peer did."""
        return self in (RepublishReason.MISSING, RepublishReason.REPLACED)


class Connectivity(StrEnum):
    """The state of the peer's network: still starting, without peers, with peers, failed, or not running."""

    STARTING = "starting"
    ALONE = "alone"
    ONLINE = "online"
    FAILED = "failed"
    STOPPED = "stopped"
