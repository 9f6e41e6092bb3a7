"""The replica's DAG as a CARv1 file, with the metadata files that its listings point at. Runs in slices in worker threads:
it can be cancelled between them."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import trio

from betar_tui.errors import ArchiveError, DecodeError, ListingError
from betar_tui.files.passing import open_passed
from betar_tui.files.replacing import Replacement
from betar_tui.files.rules import explain
from betar_tui.ipld import cid as cids
from betar_tui.ipld import unixfs
from betar_tui.ipld.car import encode_header, encode_section
from betar_tui.market.listing import parse_value
from betar_tui.market.marketplace import Exported
from betar_tui.replica import decode_verified, keys
from betar_tui.replica.facts import Winner
from betar_tui.store.database import Store
from betar_tui.sync.dagsync.walk import Walk

SLICE = 1024
"""Maximum blocks that are written at a time."""
FILES_SLICE = 32
"""Maximum metadata files that are looked up at a time."""
MAX_ROOTS = 4096
"""Maximum number of roots that a file names: readers limit its header, ours to 25,000 roots."""


async def export_car(store: Store, tops: Sequence[bytes], path: Path, descriptor: int | None = None) -> Exported:
    """Write everything that is stored at and below these blocks to `path`, which appears once it is complete, or to a file
    that is open; then `path` is only its name.

    The first of them are its roots. Raises ArchiveError."""
    blocks, roots = _Blocks(store, tops), tops[:MAX_ROOTS]
    try:
        if descriptor is not None:
            with await trio.to_thread.run_sync(partial(open_passed, descriptor, writing=True)) as given:
                count, size = await _write(given, roots, blocks)
        else:
            new = await trio.to_thread.run_sync(Replacement, path, 0o666)
            try:
                count, size = await _write(new.file, roots, blocks)
                await trio.to_thread.run_sync(new.commit)
            except BaseException:
                new.discard()
                raise
    except OSError as error:
        raise ArchiveError(explain(error, f"cannot write {path}", "choose another place")) from error
    return Exported(str(path), tuple(cids.to_str(cid) for cid in roots), count, size, blocks.files)


async def _write(to: BinaryIO, roots: Sequence[bytes], blocks: "_Blocks") -> tuple[int, int]:
    """Write the archive; returns its number of blocks and their bytes. Raises OSError."""
    count = size = 0
    file = trio.wrap_file(to)
    await file.write(encode_header(roots))
    while batch := await trio.to_thread.run_sync(blocks.next):
        await file.write(b"".join(encode_section(cid, block) for cid, block in batch))
        count += len(batch)
        size += sum(len(block) for _, block in batch)
    await file.flush()
    return count, size


class _Blocks:
    """The blocks to export: the DAG below some blocks, newest first, and then the metadata files. `files` counts these."""

    def __init__(self, store: Store, tops: Sequence[bytes]) -> None:
        self._store = store
        self._blocks = Walk(tops, (), store.look_up).blocks()
        self._listings = _Listings()
        self._wanted: Iterator[bytes] | None = None
        self.files = 0

    def next(self) -> list[tuple[bytes, bytes]]:
        """The next CIDs and blocks, none at the end."""
        if self._wanted is None:
            batch = list(islice(self._blocks, SLICE))
            for cid, block in batch:
                self._listings.add(cid, block)
            if batch:
                return batch
            self._wanted = iter(self._listings.metadata_cids())
        while asked := list(islice(self._wanted, FILES_SLICE)):
            if found := self._files(asked):
                self.files += len(found)
                return found
        return []

    def _files(self, asked: list[bytes]) -> list[tuple[bytes, bytes]]:
        """Those of the blocks that are stored and are metadata files; a delta never is one."""
        deltas = {cid[-32:] for cid in self._store.stored(asked)}
        found = self._store.blocks([cid for cid in asked if cid[-32:] not in deltas])
        return [(cid, found[cid]) for cid in asked if cid in found and is_file(cid, found[cid])]


class _Listings:
    """The values of listings by the deltas that were added, highest first: then a tombstone comes before what it removes.

    Of a history in which it does not, an older version may count as the value."""

    def __init__(self) -> None:
        self._removed: set[tuple[str, bytes]] = set()
        self._values: dict[str, Winner] = {}

    def add(self, cid: bytes, block: bytes) -> None:
        """Add a stored block, if it is a delta: below a chosen one that is incomplete there may be metadata files."""
        try:
            node = decode_verified(cid, block)
        except DecodeError:
            return
        if not node.is_delta:
            return
        for removed in node.delta.tombstones:
            self._removed.add(removed)
            if (value := self._values.get(removed[0])) is not None and value.cid == removed[1]:
                del self._values[removed[0]]
        for key, start, length in node.delta.elements:
            best = self._values.get(key)
            if (best is not None and best.height > node.delta.priority) or (key, cid) in self._removed:
                continue
            if keys.agent_id(key) is None:
                continue
            new = Winner(node.delta.priority, block[start : start + length], cid)
            if best is None or new > best:
                self._values[key] = new

    def metadata_cids(self) -> list[bytes]:
        """The CIDs of the metadata files that these listings point at, each once."""
        found: dict[bytes, None] = {}
        for winner in self._values.values():
            try:
                text = parse_value(winner.value).get("metadata")
            except ListingError:
                continue
            cid = unixfs.parse_cid(text) if isinstance(text, str) else None
            if cid is not None:
                found[cid] = None
        return list(found)


def is_file(cid: bytes, block: bytes) -> bool:
    """Whether a verified block is a file as a listing's metadata may be."""
    try:
        unixfs.decode_file(cid, block)
    except DecodeError:
        return False
    return True
