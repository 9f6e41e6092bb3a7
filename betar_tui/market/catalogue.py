"""The market as one replica has it: the value of every key decoded as a listing, or counted as unreadable.

`Catalogue` takes the effects of merges and returns the changes that people and scripts are notified of. Pure."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from betar_tui.errors import FilterError, ListingError
from betar_tui.ipld import cid as cids
from betar_tui.market.index import ListingIndex
from betar_tui.market.listing import decode as decode_listing
from betar_tui.market.listing import in_metadata, parse_value, same_but_for_time
from betar_tui.market.marketplace import Change, ChangeKind, Listing, ListingPage, Provenance
from betar_tui.market.sorting import SORT_COLUMNS
from betar_tui.replica import Applied, DagNode, Effect, keys
from betar_tui.replica.facts import Winner

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DecodedChange:
    """A changed key, decoded.

    `now` is its listing, the reason why its value is not one, or None without a value. `removed_by` is the (CID,
    height) of a delta that removed versions of it, `bytes` the size of the one that changed it; its merge took `took`
    seconds."""

    key: str
    via: str
    at: float
    now: Listing | str | None
    refresh: bool
    removed_by: tuple[bytes, int] | None
    bytes: int
    took: float


@dataclass(frozen=True, slots=True)
class _Document:
    """A metadata file, kept as it came: parsed it may be many times as large, and few are ever looked at. `attributes`
    are those of the listings that point at it."""

    attributes: Mapping[str, Any]
    content: bytes


class Catalogue:
    """All listings, the hidden ones apart.

    Listings of `own_peer_id` are mine. Values for which `is_own_value` is true count as verified without a check of
    their signature."""

    def __init__(self, own_peer_id: str, is_own_value: Callable[[bytes], bool] = lambda value: False) -> None:
        self._own_peer_id = own_peer_id
        self._is_own_value = is_own_value
        self._shown: dict[str, Listing] = {}
        self._invalid: dict[str, Listing] = {}
        self._unreadable: dict[str, str] = {}
        self._documents: dict[str, _Document] = {}
        self._keys_by_metadata: dict[str, set[str]] = {}
        self._signature_cache: dict[str, tuple[bytes, Provenance]] = {}
        self.signature_cache_changed = False

    def __len__(self) -> int:
        return len(self._shown)

    @property
    def invalid(self) -> int:
        """Number of listings whose signature is not their seller's."""
        return len(self._invalid)

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Keys under /agents whose value is not a listing, with the reason."""
        return self._unreadable

    def get(self, listing_id: str) -> Listing | None:
        """A listing, hidden or not."""
        key = keys.of_agent(listing_id)
        return self._shown.get(key) or self._invalid.get(key)

    def fill(self, values: Iterable[tuple[str, Winner, float]], signature_cache: Mapping[bytes, str]) -> None:
        """Add the values of a store, each as (key, winner, applied at), without reporting changes. `signature_cache` is
        that of an earlier catalogue."""
        for key, winner, at in values:
            if keys.agent_id(key) is not None:
                known = signature_cache.get(_token(key, cids.to_str(winner.cid)))
                self._set(key, self._decode_value(key, winner, at, Provenance(known) if known else None))
        self.signature_cache_changed = False

    def signature_cache(self) -> dict[bytes, str]:
        """The provenance of each listing by a token for its value: checking signatures is most of the cost of opening a
        large market."""
        self.signature_cache_changed = False
        return {token: str(provenance) for token, provenance in self._signature_cache.values()}

    def decode(self, applied: Applied) -> list[DecodedChange]:
        """Decode the values of the changed keys. Costs a signature check for each listing of others; any thread may
        call."""
        causes = {key: n for n in applied.nodes for key, _ in n.delta.tombstones}
        sizes = {n.cid: len(n.data) for n in applied.nodes}
        return [
            self._decoded(applied, effect, causes.get(effect.key), sizes)
            for effect in applied.effects
            if keys.agent_id(effect.key) is not None
        ]

    def _decoded(
        self, applied: Applied, effect: Effect, cause: DagNode | None, sizes: Mapping[bytes, int]
    ) -> DecodedChange:
        changed_by = effect.after.cid if effect.after is not None else cause.cid if cause is not None else b""
        return DecodedChange(
            effect.key,
            applied.via or "local",
            applied.at,
            self._decode_value(effect.key, effect.after, applied.at),
            _is_refresh(effect),
            (cause.cid, cause.delta.priority) if cause is not None else None,
            sizes.get(changed_by, 0),
            applied.took,
        )

    def apply(self, decoded_changes: Iterable[DecodedChange]) -> list[Change]:
        """Apply decoded changes in order; returns those that are reported."""
        changes = []
        for decoded in decoded_changes:
            cost = decoded.bytes, decoded.took
            old = self._shown.get(decoded.key)
            self._set(decoded.key, decoded.now)
            new = self._shown.get(decoded.key)
            if new is not None:
                kind = ChangeKind.PUT if old is None else ChangeKind.REFRESH if decoded.refresh else ChangeKind.UPDATE
                changes.append(Change(kind, new.id, new.cid, new.height, decoded.via, decoded.at, new, *cost))
            elif old is not None:
                cid, height = decoded.removed_by or (b"", old.height)
                cid_text = cids.to_str(cid) if cid else old.cid
                changes.append(
                    Change(ChangeKind.DELIST, old.id, cid_text, height, decoded.via, decoded.at, None, *cost)
                )
        return changes

    def describe(self, metadata_cid: str, content: bytes) -> tuple[Listing, ...]:
        """Add a metadata file; returns the listings that point at it, described. Raises ListingError."""
        try:
            attributes = in_metadata(parse_value(content))
        except ListingError as error:
            raise ListingError(f"the metadata file {metadata_cid}: {error}") from error
        if metadata_cid not in self._keys_by_metadata:
            return ()
        self._documents[metadata_cid] = _Document(attributes, content)
        described = []
        for key in self._keys_by_metadata[metadata_cid]:
            self._shown[key] = replace(self._shown[key], **attributes)
            described.append(self._shown[key])
        return tuple(described)

    def give_up(self, metadata_cid: str) -> None:
        """Do not look for this metadata file again: the block of its CID is not one."""
        if metadata_cid in self._keys_by_metadata:
            self._documents[metadata_cid] = _Document(in_metadata(None), b"{}")

    def document(self, listing: Listing) -> Mapping[str, object] | None:
        """The fetched metadata file of a listing, where its metadata is a CID and the file is here."""
        kept = self._documents.get(listing.metadata) if isinstance(listing.metadata, str) else None
        return parse_value(kept.content) if kept is not None else None

    def undescribed(self) -> set[str]:
        """Metadata CIDs of shown listings whose file is missing."""
        return self._keys_by_metadata.keys() - self._documents.keys()

    def metadata_cids(self) -> set[str]:
        """Metadata CIDs that shown listings point at."""
        return set(self._keys_by_metadata)

    def lacks(self, metadata_cid: str) -> bool:
        """Whether a shown listing points at this metadata file, and it is missing."""
        return metadata_cid in self._keys_by_metadata and metadata_cid not in self._documents

    def page(self, query: str, sort: str, limit: int, clock_now: float) -> ListingPage:
        """The shown listings that match, in order. Any thread may call: it works on a copy, made in one go.

        Raises FilterError."""
        shown, invalid, unreadable = tuple(self._shown.values()), len(self._invalid), len(self._unreadable)
        index = ListingIndex(lambda: clock_now)
        index.replace(shown)
        index.set_filter(query)
        if index.filter.asks_for_muted:
            raise FilterError("who is muted is a setting of the interface: state:muted works only there")
        column = sort.removeprefix("-")
        if column and column not in SORT_COLUMNS:
            raise FilterError(f"listings cannot be sorted by {column!r}, only by {', '.join(SORT_COLUMNS)}")
        if column:
            index.set_sort(column, sort.startswith("-"))
        ids = index.rows[:limit] if limit > 0 else index.rows
        return ListingPage(tuple(index[each] for each in ids), len(shown), invalid, unreadable)

    def _decode_value(
        self, key: str, winner: Winner | None, at: float, provenance: Provenance | None = None
    ) -> Listing | str | None:
        """The listing, the reason why the value is not one, or None without a value."""
        if winner is None:
            return None
        try:
            if provenance is None and self._is_own_value(winner.value):
                provenance = Provenance.VERIFIED
            return decode_listing(key, winner, at, self._own_peer_id, provenance)
        except ListingError as error:
            return str(error)
        except Exception as error:
            # One value must never cost the others.
            log.exception("the value of %s cannot be read", key)
            return f"reading it failed: {type(error).__name__}"

    def _set(self, key: str, now: Listing | str | None) -> None:
        old = self._shown.pop(key, None)
        self._invalid.pop(key, None)
        self._unreadable.pop(key, None)
        self._signature_cache.pop(key, None)
        self.signature_cache_changed = True
        if isinstance(now, Listing):
            self._signature_cache[key] = _token(key, now.cid), now.provenance
        if isinstance(now, str):
            self._unreadable[key] = now
        elif now is not None and now.provenance is Provenance.INVALID:
            self._invalid[key] = now
        elif now is not None:
            if isinstance(now.metadata, str) and now.metadata:
                self._keys_by_metadata.setdefault(now.metadata, set()).add(key)
                if kept := self._documents.get(now.metadata):
                    now = replace(now, **kept.attributes)
            self._shown[key] = now
        if old is not None and isinstance(old.metadata, str):
            self._unpoint(key, old.metadata)

    def _unpoint(self, key: str, metadata_cid: str) -> None:
        """Drop a metadata file once no listing points at it."""
        now = self._shown.get(key)
        keys_pointing = self._keys_by_metadata.get(metadata_cid)
        if keys_pointing is None or (now is not None and now.metadata == metadata_cid):
            return
        keys_pointing.discard(key)
        if not keys_pointing:
            del self._keys_by_metadata[metadata_cid]
            self._documents.pop(metadata_cid, None)


def _token(key: str, cid: str) -> bytes:
    """A token for the value of a key in a block: one block may carry values of many sellers."""
    return hashlib.sha256(f"{cid}{key}".encode()).digest()


def _is_refresh(effect: Effect) -> bool:
    before, after = effect.before, effect.after
    return before is not None and after is not None and same_but_for_time(before.value, after.value)
