"""How much a peer takes of others, as the person has chosen it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of others a peer takes: listings shown of one seller, unsigned ones shown that one peer brought, and the
    bytes of the replica at which nothing more is fetched. 0 stands for no limit; None leaves the bytes to the free space.

    Unsigned listings have no limit unless the person sets one: a whole market of Go peers comes through one neighbour."""

    listings_per_seller: int = 10_000
    unsigned_per_peer: int = 0
    disk: int | None = None
