"""The deltas of a CAR file, and the metadata files that listings point at, merged into a peer. Runs in slices in worker
threads: it can be cancelled between them.

A file may hold anything. What is a delta is merged as if a peer had sent it; what is not is counted and leaves no trace.
The file is read again where its order demands it: for metadata files, since only merged listings tell which blocks are
some, and for what a delta turned out to link to."""

import shlex
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import trio

from betar_tui.catalogue.catalogue import Catalogue
from betar_tui.errors import ArchiveError, DecodeError
from betar_tui.files.passing import open_passed
from betar_tui.files.plain import open_plain
from betar_tui.files.rules import explain
from betar_tui.ipld import cid as cids
from betar_tui.ipld.car import Section
from betar_tui.ipld.carfile import CarFileReader, Skipped, UnfinishedError, compression
from betar_tui.market.marketplace import Imported, SkippedBlocks
from betar_tui.market.origin import FROM_FILE
from betar_tui.peer.archive import is_file
from betar_tui.peer.indexing import Indexing
from betar_tui.plurals import plural
from betar_tui.replica import DagNode, decode_verified
from betar_tui.sync.writer import ReplicaWriter

SLICE = 1024
"""Maximum blocks that are merged at a time."""
READ_SIZE = 1 << 20
"""Bytes that are read at a time."""
MAX_PASSES = 8
"""Maximum number of times that a file is read for its deltas."""
STDIN = Path("stdin")
"""The name of what a command has read from a pipe."""
NO_DELTA = "neither delta nor metadata file of a listing"


@dataclass(slots=True)
class _Counts:
    """What was found so far. `others` decode as DAG nodes and are no deltas, `not_nodes` do not decode; of both, some may
    be metadata files."""

    new: int = 0
    known: int = 0
    others: int = 0
    not_nodes: int = 0
    may_be_files: bool = False
    skipped: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Piece:
    """What one piece of the file completes. `files` may be metadata files, and some of them may be among the nodes."""

    nodes: list[DagNode] = field(default_factory=list)
    files: list[Section] = field(default_factory=list)
    not_nodes: int = 0
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Source:
    """What is imported: a path, or an open file of which `path` is only the name."""

    path: Path
    descriptor: int | None = None

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> BinaryIO:
        """The file, from its beginning. Raises OSError."""
        return open_plain(self.path) if self.descriptor is None else open_passed(self.descriptor)


async def import_car(writer: ReplicaWriter, catalogue: Catalogue, indexing: Indexing, source: Source) -> Imported:
    """Merge a CAR file, with the metadata files that its listings point at.

    Raises ArchiveError; the deltas before the fault stay merged."""
    await _check(source)
    counts, files = _Counts(), 0
    reader = CarFileReader()
    try:
        await _merge(writer, source, reader, counts)
        for _ in range(MAX_PASSES - 1):
            if not (counts.others and writer.replica.wanted and await _merge_wanted(writer, source, counts)):
                break
        if counts.may_be_files:
            await indexing.settled()  # only then is known what listings point at
            files = await _take_files(catalogue, source, counts)
        indexing.wake()
        await indexing.settled()
    except OSError as error:
        raise _unreadable(source, error) from error
    counts.skipped[NO_DELTA] += counts.others + counts.not_nodes
    by_reason = tuple(SkippedBlocks(reason, n) for reason, n in counts.skipped.most_common() if n > 0)
    return Imported(
        path=str(source),
        new=counts.new,
        known=counts.known,
        files=files,
        missing=writer.replica.wanted,
        skipped=sum(each.blocks for each in by_reason),
        skipped_by_reason=by_reason,
        absent_roots=len(reader.absent_roots),
    )


async def _open(source: Source) -> Any:
    """The file, whose methods wait in worker threads. Raises OSError."""
    return trio.wrap_file(await trio.to_thread.run_sync(source.open))


def _unreadable(source: Source, error: OSError) -> ArchiveError:
    return ArchiveError(explain(error, f"cannot read {source}", "name another file"))


async def _check(source: Source) -> None:
    """Raises ArchiveError for what cannot be a CAR file: it must be possible to read it twice."""
    try:
        async with await _open(source) as file:
            head = await file.read(16)
    except OSError as error:
        raise _unreadable(source, error) from error
    if not head:
        raise ArchiveError(f"{source} is empty, so it is not a CAR file")
    if packed := compression(head):
        name, command = packed
        path = source.path
        if path == STDIN:
            raise ArchiveError(
                f"stdin is compressed with {name}; unpack it on the way: {command} FILE | betar-tui import -"
            )
        target = path.stem if path.suffix.lower() in (".gz", ".zst", ".xz", ".bz2", ".zip") else f"unpacked-{path.name}"
        unpack = f"{command} {shlex.quote(path.name)} > {shlex.quote(target)}"
        raise ArchiveError(f"{source} is compressed with {name}; unpack it with `{unpack}` and import what that writes")


async def _merge(writer: ReplicaWriter, source: Source, reader: CarFileReader, counts: _Counts) -> None:
    """Merge the deltas of the file. Raises ArchiveError, OSError."""

    async def merge(piece: _Piece) -> None:
        counts.skipped.update(piece.skipped)
        counts.not_nodes += piece.not_nodes
        counts.may_be_files = counts.may_be_files or bool(piece.files)
        for i in range(0, len(piece.nodes), SLICE):
            nodes = piece.nodes[i : i + SLICE]
            outcome = await writer.merge_nodes(nodes, FROM_FILE)
            others = sum(1 for node in nodes if node.cid in outcome.not_deltas)
            counts.new += outcome.merged
            counts.known += len(nodes) - outcome.merged - others
            counts.others += others

    try:
        await _read(source, reader, merge)
    except UnfinishedError as error:
        raise ArchiveError(
            f"{source} was not finished by the program that writes it: {error}; write it anew"
        ) from error
    except DecodeError as error:
        if reader.roots is None:
            raise ArchiveError(f"{source} is not a CAR file: {error}") from error
        raise ArchiveError(f"{source} is damaged: {error}; {_before(counts.new)}") from error
    if reader.roots is None:
        raise ArchiveError(f"{source} is not a CAR file, or is cut short in its header; nothing of it is merged")
    if not reader.is_whole():
        raise ArchiveError(f"{source} is cut short: it ends in the middle of a block; {_before(counts.new)}")


def _before(new: int) -> str:
    if not new:
        return "nothing new was merged from it; import a whole copy"
    merged = plural(new, "new delta before that is merged", "new deltas before that are merged")
    return f"{merged}; import a whole copy for the rest"


async def _merge_wanted(writer: ReplicaWriter, source: Source, counts: _Counts) -> bool:
    """Merge blocks that were left out since no delta that had been read by then links to them; False if there are none.

    Raises ArchiveError, OSError."""
    before = counts.new

    async def merge(piece: _Piece) -> None:
        nodes = [node for node in piece.nodes if not node.is_delta and writer.replica.is_wanted(node.cid)]
        merged = (await writer.merge_nodes(nodes, FROM_FILE)).merged if nodes else 0
        counts.new += merged
        counts.others -= merged

    await _read_again(source, merge)
    return counts.new > before


async def _take_files(catalogue: Catalogue, source: Source, counts: _Counts) -> int:
    """Store the metadata files that listings point at; returns their number. Raises ArchiveError, OSError."""
    found: set[bytes] = set()

    async def take(piece: _Piece) -> None:
        new = {file.cid: file.data for file in piece.files if file.cid not in found}
        wanted = await trio.to_thread.run_sync(catalogue.files.pointed_at, new) if new else set()
        if wanted:
            nodes = {node.cid for node in piece.nodes}
            counts.others -= len(wanted & nodes)
            counts.not_nodes -= len(wanted - nodes)
            await trio.to_thread.run_sync(catalogue.files.put, {cid: new[cid] for cid in wanted})
            found.update(wanted)

    await _read_again(source, take)
    return len(found)


async def _read_again(source: Source, take: Callable[[_Piece], Awaitable[None]]) -> None:
    try:
        await _read(source, CarFileReader(), take)
    except DecodeError as error:
        raise ArchiveError(f"{source} changed while it was read: {error}; import it again") from error


async def _read(source: Source, reader: CarFileReader, take: Callable[[_Piece], Awaitable[None]]) -> None:
    """Hand the file on in pieces. Raises DecodeError, OSError."""
    async with await _open(source) as file:
        while data := await file.read(READ_SIZE):
            piece, error = await trio.to_thread.run_sync(_decode, reader, data)
            await take(piece)
            if error is not None:
                raise error


def _decode(reader: CarFileReader, data: bytes) -> tuple[_Piece, DecodeError | None]:
    """What these bytes of the file complete, up to the first fault."""
    piece = _Piece()
    try:
        for part in reader.feed(data):
            if isinstance(part, Skipped):
                piece.skipped.append(part.reason)
            else:
                _add(piece, part)
    except DecodeError as error:
        return piece, error
    return piece, None


def _add(piece: _Piece, section: Section) -> None:
    """Sort a block in. Raises DecodeError if it is not the block of its CID."""
    of = cids.of_raw if section.cid.startswith(cids.RAW) else cids.of
    if of(section.data) != section.cid:
        raise DecodeError(f"a block does not hash to its CID {cids.to_str(section.cid)}")
    try:
        node = decode_verified(section.cid, section.data)
    except DecodeError:
        piece.not_nodes += 1
    else:
        piece.nodes.append(node)
        if node.is_delta:
            return
    if is_file(section.cid, section.data):
        piece.files.append(section)
