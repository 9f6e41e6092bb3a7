"""Makes a row of a value: decodes it, checks its signature and gathers what is searched. Pure."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from betar_tui.errors import DecodeError, ListingError
from betar_tui.ipld import cid as cids
from betar_tui.ipld import unixfs
from betar_tui.market.facts import facts_text
from betar_tui.market.filter import search_text
from betar_tui.market.kinds import Difference
from betar_tui.market.listing import content_hash, decode_fields, in_metadata, parse_value
from betar_tui.market.marketplace import Listing, Provenance
from betar_tui.market.sorting import folded
from betar_tui.market.words import Spoken
from betar_tui.replica.facts import Winner

log = logging.getLogger(__name__)

MINE, VERIFIED, UNSIGNED = 0, 1, 2
"""The states of shown listings, in the order in which they sort."""
INVALID = ""
"""The reason why a listing with a wrong signature is not shown."""

MAX_REASON = 200
"""Maximum characters of another reason, which may quote what a value says."""

FileReader = Callable[[bytes], bytes | None]
"""Reads the block of a metadata file by its CID, None where it is not here."""


@dataclass(frozen=True, slots=True)
class Projected:
    """A value as it is shown.

    `metadata` is the CID of its metadata file, None without one, and `described` whether that is not missing. `content` is
    the same for versions that differ in nothing but their stamps. `via` is the peer that brought an unsigned one, "" for
    this peer."""

    listing: Listing
    content: int
    metadata: str | None
    described: bool
    text: str
    facts: str
    via: str = ""

    @property
    def state(self) -> int:
        """Where it stands in the order of states."""
        if self.listing.mine:
            return MINE
        return VERIFIED if self.listing.provenance is Provenance.VERIFIED else UNSIGNED


def project(
    key: str, winner: Winner, at: float, own_peer_id: str, file: FileReader, provenance: Provenance | None = None
) -> Projected | str:
    """The row of a value, or the reason why it is not shown. `provenance` as in `market.listing.decode`. Never raises."""
    return _guarded(
        key,
        lambda: _project(
            fields := parse_value(winner.value), decode_fields(fields, key, winner, at, own_peer_id, provenance), file
        ),
    )


def project_spoken(key: str, spoken: Spoken, file: FileReader) -> Projected | str:
    """The same of a version that is decoded and verified already."""
    return _guarded(key, lambda: _project(spoken.fields, spoken.listing, file))


def reader_of(
    key: str, own_peer_id: str, applied: Callable[[bytes], int], is_own_value: Callable[[bytes], bool]
) -> Callable[[Mapping[str, object], Winner], Listing]:
    """Decodes versions of a key and checks their signatures, but those of own values; `applied` says when the version of a
    block was applied, Unix ms. What it returns raises ListingError alone."""

    def read(fields: Mapping[str, object], winner: Winner) -> Listing:
        known = Provenance.VERIFIED if is_own_value(winner.value) else None
        try:
            return decode_fields(fields, key, winner, applied(winner.cid) / 1000, own_peer_id, known)
        except ListingError:
            raise
        except Exception as error:
            log.exception("a version of %s cannot be read", key)
            raise ListingError(f"reading it failed: {type(error).__name__}") from error

    return read


def differing(made: Projected | str, difference: Difference) -> Projected | str:
    """The row of a version that differs from what the map has."""
    if difference is Difference.NONE or isinstance(made, str):
        return made
    return replace(made, listing=replace(made.listing, difference=difference))


def brought_by(made: Projected | str, via: str) -> Projected | str:
    """The row of a version that a peer brought: what is not signed counts against that peer."""
    if isinstance(made, str) or made.state != UNSIGNED or not via:
        return made
    return replace(made, via=via)


def _project(fields: Mapping[str, object], listing: Listing, file: FileReader) -> Projected | str:
    if listing.provenance is Provenance.INVALID:
        return INVALID
    cid = metadata_cid(listing)
    document = read_document(cid, file) if cid is not None else None
    described = described_by(listing, document)
    return Projected(
        described,
        content_hash(fields),
        cids.to_str(cid) if cid is not None else None,
        cid is None or document is not None,
        search_text(described),
        facts_text(described, document),
    )


def _guarded(key: str, made: Callable[[], Projected | str]) -> Projected | str:
    try:
        return made()
    except ListingError as error:
        return str(error)[:MAX_REASON] or "it is not a listing"
    except Exception as error:
        # One value must never cost the others.
        log.exception("the value of %s cannot be read", key)
        return f"reading it failed: {type(error).__name__}"


def name_as_written(folded_name: str, value: bytes | None) -> str:
    """The name of a listing that went, from the value that it had last, where that is the one with this folded name."""
    try:
        name = parse_value(value)["name"] if value is not None else folded_name
    except (ListingError, KeyError):
        return folded_name
    return name if isinstance(name, str) and folded(name) == folded_name else folded_name


def metadata_cid(listing: Listing) -> bytes | None:
    """The CID of the metadata file that a listing points at, None for one that has its metadata itself or names no file."""
    return unixfs.parse_cid(listing.metadata) if isinstance(listing.metadata, str) else None


def read_document(cid: bytes, file: FileReader) -> Mapping[str, object] | None:
    """The content of a metadata file, None where it is not here or is not one."""
    block = file(cid)
    if block is None:
        return None
    try:
        return parse_value(unixfs.decode_file(cid, block))
    except (DecodeError, ListingError):
        return None


def described_by(listing: Listing, document: Mapping[str, object] | None) -> Listing:
    """The listing with what its metadata file says of it."""
    return replace(listing, **in_metadata(document)) if document is not None else listing
