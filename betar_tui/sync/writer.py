"""Serialises the use of a replica, and keeps it off the event loop's thread.

Every merge and every write goes through here, one at a time, in a thread of its own; single puts that follow one
another may run in the caller's thread (see `Worker`). Listeners are called in the loop's thread, in the order in which
the replica changed. Cancelling a caller does not stop a job that has begun: its change is stored and delivered to the
listeners."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import trio

from betar_tui.concurrency import FastLock
from betar_tui.errors import DecodeError, StoreError
from betar_tui.replica import Applied, DagNode, Replica, Written, decode_verified
from betar_tui.sync.worker import Reserve, Worker

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RawBlock:
    """A block that is verified against its CID and not yet decoded.

    `peer` sent it and may have the blocks that it links to. `author` is penalised if it is not a delta, "" for nobody.
    """

    cid: bytes
    data: bytes
    peer: str
    author: str = ""


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
        return await self._exclusively(lambda: self._merge(blocks))

    async def merge_nodes(self, nodes: Sequence[DagNode], peer: str) -> MergeOutcome:
        """Merge nodes of verified blocks. Raises StoreError."""
        return await self._exclusively(lambda: self._merge_decoded({peer: nodes}))

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

    def _merge(self, blocks: Sequence[RawBlock]) -> _JobResult[MergeOutcome]:
        bad: list[tuple[RawBlock, str]] = []
        by_peer: dict[str, list[DagNode]] = {}
        for block in blocks:
            try:
                by_peer.setdefault(block.peer, []).append(decode_verified(block.cid, block.data))
            except DecodeError as error:
                bad.append((block, str(error)))
        return self._merge_decoded(by_peer, bad)

    def _merge_decoded(
        self, by_peer: Mapping[str, Sequence[DagNode]], bad: Iterable[tuple[RawBlock, str]] = ()
    ) -> _JobResult[MergeOutcome]:
        at = self._clock()
        applied: list[Applied] = []
        wants: dict[str, tuple[bytes, ...]] = {}
        not_deltas: dict[bytes, tuple[bytes, ...]] = {}
        try:
            for peer, nodes in by_peer.items():
                began = time.perf_counter()
                merged = self.replica.merge(nodes, peer, at)
                took = time.perf_counter() - began
                not_deltas.update((node.cid, node.links) for node in merged.not_deltas)
                if merged.nodes:
                    applied.append(Applied(merged.nodes, merged.effects, peer, at, took))
                    wants[peer] = tuple(merged.wants)
        except Exception as error:
            return _JobResult(applied, MergeOutcome((), {}, 0), error)
        if len(by_peer) > 1:  # one peer may have sent blocks that are wanted from another
            still = self.replica.is_wanted
            wants = {peer: tuple(cid for cid in cids if still(cid)) for peer, cids in wants.items()}
        outcome = MergeOutcome(tuple(bad), wants, sum(len(each.nodes) for each in applied), not_deltas)
        return _JobResult(applied, outcome)
