"""Reads listings: their values from the blocks, what else is known of them from their rows. Keeps nothing in memory."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from betar_tui.catalogue.files import stored_file
from betar_tui.catalogue.projecting import MINE, UNSIGNED, VERIFIED, described_by, metadata_cid, read_document
from betar_tui.catalogue.quotas import read_withheld
from betar_tui.catalogue.versions import Version, read_versions
from betar_tui.errors import ListingError
from betar_tui.market.listing import decode
from betar_tui.market.marketplace import Listing, Provenance
from betar_tui.replica import keys
from betar_tui.store.merging import key_numbers
from betar_tui.store.readers import Reader
from betar_tui.store.sql import in_list

_PROVENANCE = {MINE: Provenance.VERIFIED, VERIFIED: Provenance.VERIFIED, UNSIGNED: Provenance.UNSIGNED}


def read_listings(
    reader: Reader, numbers: Sequence[int], own_peer_id: str, *, hidden: bool = False
) -> dict[int, Listing]:
    """The listings of keys, given by their numbers; also those with a wrong signature if `hidden`. What is not a listing is
    left out.

    The row says whether the signature is right. Where the row is not there or not made of the version that is shown now,
    it is checked here."""
    states = _states(reader.db, numbers)
    documents: dict[bytes, Mapping[str, object] | None] = {}

    def document(cid: bytes) -> Mapping[str, object] | None:
        if cid not in documents:
            documents[cid] = read_document(cid, lambda name: stored_file(reader.db, name))
        return documents[cid]

    found: dict[int, Listing] = {}
    for version in read_versions(reader.db, reader.history, numbers):
        listing = _decode(version, own_peer_id, states.get(version.k))
        if listing is None or (listing.provenance is Provenance.INVALID and not hidden):
            continue
        cid = metadata_cid(listing)
        found[version.k] = described_by(listing, document(cid)) if cid is not None else listing
    return found


def find(reader: Reader, listing_id: str, own_peer_id: str) -> Listing | None:
    """A listing, also one with a wrong signature, None where there is none."""
    numbers = numbers_of(reader, [listing_id]).values()
    return next(iter(read_listings(reader, list(numbers), own_peer_id, hidden=True).values()), None)


def find_all(reader: Reader, ids: Sequence[str], own_peer_id: str) -> tuple[Listing, ...]:
    """The listings of these ids, in their order, without those that are not there, withheld, or have a wrong signature."""
    numbers = numbers_of(reader, ids)
    withheld = read_withheld(reader.db, numbers.values())
    numbers = {listing_id: k for listing_id, k in numbers.items() if k not in withheld}
    found = read_listings(reader, list(numbers.values()), own_peer_id)
    return tuple(found[numbers[each]] for each in ids if each in numbers and numbers[each] in found)


def numbers_of(reader: Reader, ids: Sequence[str]) -> dict[str, int]:
    """The numbers of the keys of those ids that the replica knows."""
    wanted = {keys.of_agent(each): each for each in ids if _is_text(each)}
    return {wanted[key]: k for key, (k, _) in key_numbers(reader.db, wanted).items()}


def _is_text(listing_id: str) -> bool:
    """Whether something can have this id: it is text, and no character is cut in half (a lone surrogate)."""
    try:
        listing_id.encode()
    except UnicodeEncodeError:
        return False
    return True


def _states(db: sqlite3.Connection, numbers: Collection[int]) -> dict[int, int]:
    """The states of those rows that are made of the version that is shown now."""
    sql = (
        "SELECT k, state FROM listings"
        " WHERE NOT EXISTS (SELECT 1 FROM unprojected WHERE unprojected.k = listings.k) AND k IN"
    )
    return dict(in_list(db, sql, list(numbers)))


def _decode(version: Version, own_peer_id: str, state: int | None) -> Listing | None:
    provenance = _PROVENANCE[state] if state is not None else None
    if version.signed:
        provenance = Provenance.VERIFIED
    try:
        listing = decode(version.key, version.winner, version.at / 1000, own_peer_id, provenance)
        return replace(listing, difference=version.difference) if version.difference else listing
    except ListingError:
        return None
