"""The replica's DAG as a CARv1 file, and back. Runs in slices in worker threads: it can be cancelled between them."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import trio

from betar_tui.errors import ArchiveError, DecodeError
from betar_tui.ipld import cid as cids
from betar_tui.ipld.car import CarReader, Section, encode_header, encode_section
from betar_tui.market.marketplace import Exported, Imported
from betar_tui.replica import DagNode, decode_verified
from betar_tui.store.database import Store
from betar_tui.sync.dagsync.walk import Walk
from betar_tui.sync.writer import ReplicaWriter

SLICE = 1024
"""Maximum blocks that are written, or merged, at a time."""
READ_SIZE = 1 << 20
"""Bytes that are read at a time."""
SOURCE = "import"
"""The `via` of imported deltas."""


async def export_car(store: Store, heads: Sequence[bytes], path: Path) -> Exported:
    """Write everything below these heads to `path`, which appears once it is complete. Raises ArchiveError."""
    blocks = Walk(heads, (), store.blocks).blocks()
    part = path.with_name(path.name + ".part")
    count = size = 0
    try:
        file = await trio.open_file(part, "wb")
        try:
            async with file:
                await file.write(encode_header(heads))
                while batch := await trio.to_thread.run_sync(_take, blocks):
                    await file.write(b"".join(encode_section(cid, block) for cid, block in batch))
                    count += len(batch)
                    size += sum(len(block) for _, block in batch)
                await file.flush()
                await trio.to_thread.run_sync(os.fsync, file.fileno())
            await trio.to_thread.run_sync(os.replace, part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ArchiveError(f"cannot write {path}: {error.strerror}; choose another place") from error
    return Exported(str(path), tuple(cids.to_str(cid) for cid in heads), count, size)


async def import_car(store: Store, writer: ReplicaWriter, path: Path) -> Imported:
    """Merge a CARv1 file. Raises ArchiveError; the deltas before the fault stay merged."""
    reader = CarReader(stop_at_end=False)
    new = known = files = 0
    try:
        async with await trio.open_file(path, "rb") as file:
            while piece := await file.read(READ_SIZE):
                nodes, leaves = await trio.to_thread.run_sync(_decode, reader, piece)
                for i in range(0, len(nodes), SLICE):
                    merged = (await writer.merge_nodes(nodes[i : i + SLICE], SOURCE)).merged
                    new += merged
                    known += len(nodes[i : i + SLICE]) - merged
                if leaves:
                    await trio.to_thread.run_sync(store.put_files, leaves)
                    files += len(leaves)
    except OSError as error:
        raise ArchiveError(f"cannot read {path}: {error.strerror}") from error
    except DecodeError as error:
        if reader.roots is None:
            raise ArchiveError(f"{path} is not a CARv1 file: {error}") from error
        raise ArchiveError(f"{path} is damaged: {error}; {new} new deltas before that are merged") from error
    if reader.roots is None or reader.rest:
        raise ArchiveError(f"{path} ends in the middle of a block; {new} new deltas before that are merged")
    return Imported(str(path), new, known, files, writer.replica.wanted)


def _take(blocks: Iterator[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return list(islice(blocks, SLICE))


def _decode(reader: CarReader, piece: bytes) -> tuple[list[DagNode], Mapping[bytes, bytes]]:
    """The deltas and the other blocks that this piece of the file completes. Raises DecodeError."""
    nodes: list[DagNode] = []
    leaves: dict[bytes, bytes] = {}
    for section in reader.feed(piece):
        if _hash(section)(section.data) != section.cid:
            raise DecodeError(f"a block does not hash to its CID {cids.to_str(section.cid)}")
        try:
            nodes.append(decode_verified(section.cid, section.data))
        except DecodeError:
            leaves[section.cid] = section.data
    return nodes, leaves


def _hash(section: Section) -> Callable[[bytes], bytes]:
    return cids.of_raw if section.cid.startswith(cids.RAW) else cids.of
