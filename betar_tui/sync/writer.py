"""Serialises the use of a replica, and keeps it off the event loop's thread.

Every merge and every write goes through here, one at a time, in a thread of its own; single puts that follow one
another may run in the caller's thread (see `Worker`). Listeners are called in the loop's thread, in the order in which
the replica changed. Cancelling a caller does not stop a job that has begun: its change is stored and delivered to the
listeners."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import trio

from betar_tui.concurrency import FastLock
from betar_tui.errors import DecodeError, StoreError
from betar_tui.replica import Applied, DagNode, Merged, Replica, Written, decode_verified
from betar_tui.sync.worker import Reserve, Worker

T = TypeVar("T")

log = logging.getLogger(__name__)

MAX_BRIEF_BYTES = 256 << 10
"""Maximum bytes of blocks that are decoded in the replica's own thread, where an own write waits for it."""
MAX_STEP = 500
"""Number of merged nodes and changed keys after which other jobs have their turn; one transaction may have more."""


@dataclass(frozen=True, slots=True)
class RawBlock:
    """A block that is verified against its CID and not yet decoded.

    `peer` sent it and may have the blocks that it links to. `author` is penalised if it is not a delta, "" for nobody.
    """

    cid: bytes
    data: bytes
    peer: str
    author: str = ""


_Decoded = tuple[Mapping[str, Sequence[DagNode]], Sequence[tuple[RawBlock, str]]]
"""Nodes by the peer that sent them, and the blocks that cannot be decoded, with the reason."""


@dataclass(frozen=True, slots=True)
class MergeOutcome:
    """A merged batch: the blocks that cannot be decoded, with the reason, and the newly wanted blocks by peer to ask.

    `not_deltas` are the blocks, with their links, that decode but are not deltas, and that no merged delta links to."""

    bad: tuple[tuple[RawBlock, str], ...]
    wants: Mapping[str, tuple[bytes, ...]]
    merged: int
    not_deltas: Mapping[bytes, tuple[bytes, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _JobResult(Generic[T]):
    """The result of a job, and its changes, which are delivered even if it failed after them."""

    applied: list[Applied]
    result: T
    failure: Exception | None = None


class ReplicaWriter:
    """Serialises the use of a replica. `reserve` locks the store for a put in the loop's thread (see `Worker`); by
    default all puts run in the other thread. Close it before the store."""

    def __init__(self, replica: Replica, clock: Callable[[], float], reserve: Reserve = lambda: None) -> None:
        self.replica = replica
        self._clock = clock
        self._reserve = reserve
        self._lock = FastLock()
        self._turn = FastLock()  # of merges: one of them waits for the lock at a time, so that a write waits for few
        self._worker = Worker("replica")
        self._listeners: list[tuple[Callable[[Applied], Any], Callable[[Any], None]]] = []
        self._heads = replica.heads

    def close(self) -> None:
        """End the thread."""
        self._worker.close()

    @property
    def heads(self) -> Mapping[bytes, int]:
        """The heads and their heights after the last change that was delivered; the replica may have newer ones."""
        return self._heads

    def listen(self, prepare: Callable[[Applied], T], deliver: Callable[[T], None]) -> Callable[[], None]:
        """Listen to every change, until the returned function is called.

        `prepare` is called in the thread that makes the change, `deliver` with its result in the loop's thread. Their
        errors are logged and do not affect other listeners."""
        entry = (prepare, deliver)
        self._listeners.append(entry)
        return lambda: self._listeners.remove(entry)

    async def merge(self, blocks: Sequence[RawBlock]) -> MergeOutcome:
        """Decode and merge verified blocks. Raises StoreError."""
        if sum(len(block.data) for block in blocks) <= MAX_BRIEF_BYTES:
            return await self._merge(lambda: _decoded(blocks))
        decoded = await trio.to_thread.run_sync(_decoded, blocks)  # an own write need not wait for it
        return await self._merge(lambda: decoded)

    async def merge_nodes(self, nodes: Sequence[DagNode], peer: str) -> MergeOutcome:
        """Merge nodes of verified blocks. Raises StoreError."""
        return await self._merge(lambda: ({peer: nodes}, ()))

    async def finish(self) -> None:
        """Merge what is left of large deltas whose merge was cut short. Raises StoreError."""
        await self._merge(lambda: ({}, ()), resume=True)

    async def write(
        self, puts: Mapping[str, bytes], deletes: Iterable[str] = (), own: Mapping[str, str] | None = None
    ) -> tuple[Written, ...]:
        """Put and delete keys, durably; see `Replica.writing`. Raises StoreError, BetarError."""
        at = self._clock()
        wanted = tuple(deletes)

        def work() -> _JobResult[tuple[Written, ...]]:
            written: list[Written] = []
            applied: list[Applied] = []
            began = time.perf_counter()
            try:
                for each in self.replica.writing(puts, wanted, at, own):
                    written.append(each)
                    took, began = time.perf_counter() - began, time.perf_counter()
                    applied.append(Applied((each.node,), each.effects, "", at, took))
            except Exception as error:
                return _JobResult(applied, tuple(written), error)
            return _JobResult(applied, tuple(written))

        def reserve() -> Callable[[], None] | None:
            release = self._reserve()
            if release is None:
                return None
            brief = False
            try:
                with suppress(StoreError):  # the job will raise it as well
                    brief = not any(map(self.replica.put_removes, puts))
            finally:
                if not brief:
                    release()
            return release if brief else None

        return await self._exclusively(work, reserve if len(puts) == 1 and not wanted else None)

    async def between_merges(self, work: Callable[[], T]) -> T:
        """Run a job in the thread while no merge runs. Its caller goes on before the next change is delivered, so that what
        it reports of the job comes in the right order. Raises what the job raises."""
        return await self._exclusively(lambda: _JobResult([], work()))

    async def missing(self, cids: Iterable[bytes]) -> tuple[bytes, ...]:
        """Those of the blocks that are not stored."""
        asked = tuple(cids)
        async with self._lock:
            return await trio.to_thread.run_sync(self.replica.missing, asked)

    async def tops(self) -> dict[bytes, int]:
        """The blocks at or below which everything stored is, with their heights."""
        async with self._lock:
            return await trio.to_thread.run_sync(self.replica.tops)

    async def missing_now(self, cids: Sequence[bytes]) -> tuple[bytes, ...]:
        """The same, without waiting for a merge that runs, whose blocks may still count as missing."""
        return await trio.to_thread.run_sync(self.replica.missing, cids)

    async def _exclusively(self, work: Callable[[], _JobResult[T]], brief: Reserve | None = None) -> T:
        def run() -> tuple[_JobResult[T], list[tuple[Callable[[Any], None], Any]], Mapping[bytes, int]]:
            done = work()
            prepared = []
            for each in done.applied:
                for prepare, deliver in self._listeners:
                    try:
                        prepared.append((deliver, prepare(each)))
                    except Exception:
                        log.exception("a listener could not prepare a change")
            try:
                return done, prepared, self.replica.heads
            finally:
                del done  # its failure refers to this frame, which would keep all merged blocks alive

        async with self._lock:
            try:
                done, prepared, self._heads = await self._worker.run(run, brief)
            except trio.ClosedResourceError as error:
                raise StoreError("this peer has stopped; nothing was changed") from error
            for deliver, result in prepared:
                try:
                    deliver(result)
                except Exception:
                    log.exception("a listener could not take a change")
            try:
                if done.failure is not None:
                    raise done.failure
                return done.result
            finally:
                del done

    async def _merge(self, decode: Callable[[], _Decoded], *, resume: bool = False) -> MergeOutcome:
        """Merge in slices, each a job of its own, so that other jobs find their place between them."""
        merging = _Merging(self.replica, decode, self._clock, resume)
        done = False
        while not done:
            async with self._turn:
                done = await self._exclusively(merging.step)
        return merging.outcome()


def _decoded(blocks: Iterable[RawBlock]) -> _Decoded:
    bad: list[tuple[RawBlock, str]] = []
    by_peer: dict[str, list[DagNode]] = {}
    for block in blocks:
        try:
            by_peer.setdefault(block.peer, []).append(decode_verified(block.cid, block.data))
        except DecodeError as error:
            bad.append((block, str(error)))
    return by_peer, bad


class _Merging:
    """A batch that is merged slice by slice; with `resume` what others have left comes first."""

    def __init__(
        self, replica: Replica, decode: Callable[[], _Decoded], clock: Callable[[], float], resume: bool
    ) -> None:
        self._replica = replica
        self._decode = decode
        self._clock = clock
        self._resume = resume
        self._bad: Sequence[tuple[RawBlock, str]] = ()
        self._wants: dict[str, dict[bytes, None]] = {}
        self._merged: set[bytes] = set()
        self._not_deltas: dict[bytes, tuple[bytes, ...]] = {}
        self._steps = self._begin()

    def step(self) -> _JobResult[bool]:
        """Merge one slice of each peer's nodes; the result is whether that was the last. Runs in the replica's thread."""
        began = time.perf_counter()
        done: list[Applied] = []
        try:
            for peer, merged in self._steps:
                self._not_deltas.update((node.cid, node.links) for node in merged.not_deltas)
                if merged.nodes:
                    self._merged.update(node.cid for node in merged.nodes)
                    self._wants.setdefault(peer, {}).update(dict.fromkeys(merged.wants))
                    took, began = time.perf_counter() - began, time.perf_counter()
                    done.append(Applied(merged.nodes, merged.effects, peer, self._clock(), took))
                    if sum(map(_size, done)) >= MAX_STEP:
                        return _JobResult(done, False)
        except Exception as error:
            return _JobResult(done, True, error)
        return _JobResult(done, True)

    def outcome(self) -> MergeOutcome:
        """What became of the batch. What one block wants another may have brought."""
        still = self._replica.is_wanted
        wants = {peer: tuple(cid for cid in cids if still(cid)) for peer, cids in self._wants.items()}
        return MergeOutcome(tuple(self._bad), wants, len(self._merged), self._not_deltas)

    def _begin(self) -> Iterator[tuple[str, Merged]]:
        if self._resume:
            for merged in self._replica.resuming(self._clock()):
                yield merged.via, merged
        by_peer, self._bad = self._decode()
        for peer, nodes in by_peer.items():
            for merged in self._replica.merging(nodes, peer, self._clock()):
                yield peer, merged


def _size(applied: Applied) -> int:
    return len(applied.nodes) + len(applied.effects)
