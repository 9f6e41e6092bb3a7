"""The replica behind one lock, and as good as always off the event loop.

Every merge and every write goes through here, one at a time, in a thread of its own; single puts that follow one another may
be done where they are asked for (see `Worker`). Whoever listens is told in the loop's own thread, in the order in which the
replica changed. A cancelled caller does not stop what has begun: the change is then remembered and told of all the same.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
    """A block as it came, verified and not yet decoded. `peer` sent it and may have what it links to; `author` answers
    for what is in it, "" where that is nobody we know."""

    cid: bytes
    data: bytes
    peer: str
    author: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A merged batch: blocks that are no deltas, with the reason, and what is newly wanted, with the peer to ask."""

    bad: tuple[tuple[RawBlock, str], ...]
    wants: Mapping[str, tuple[bytes, ...]]
    merged: int


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    """What came of a job: the changes, which are told of also where it failed after them."""

    applied: list[Applied]
    result: T
    failure: Exception | None = None


class ReplicaWriter:
    """Serialises the use of a replica. `reserve` keeps others out of the store for a put that is done in the loop's thread
    (see `Worker`); none is by default. Close it before the store."""

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
        """The heads and their heights after the last job whose changes are told of; the replica may be further on."""
        return self._heads

    def listen(self, prepare: Callable[[Applied], T], deliver: Callable[[T], None]) -> Callable[[], None]:
        """Be told of every change, until the returned function is called: `prepare` does the work where the change is made,
        `deliver` gets its result in the loop's thread. What they raise is logged and stops nobody else."""
        entry = (prepare, deliver)
        self._listeners.append(entry)
        return lambda: self._listeners.remove(entry)

    async def merge(self, blocks: Sequence[RawBlock]) -> Outcome:
        """Decode and merge verified blocks. Raises StoreError."""
        return await self._alone(lambda: self._merge(blocks))

    async def merge_nodes(self, nodes: Sequence[DagNode], peer: str) -> Outcome:
        """Merge nodes that are verified and decoded. Raises StoreError."""

        def work() -> _Done[Outcome]:
            applied, wants = self._apply(peer, nodes, self._clock())
            return _Done(applied, Outcome((), wants, sum(len(each.nodes) for each in applied)))

        return await self._alone(work)

    async def write(
        self, puts: Mapping[str, bytes], deletes: Iterable[str] = (), own: Mapping[str, str] | None = None
    ) -> tuple[Written, ...]:
        """Put and delete keys, durably, and remember documents of ours with them; where nothing is written, none are.
        Raises StoreError, BetarError."""
        at = self._clock()
        wanted = tuple(deletes)

        def work() -> _Done[tuple[Written, ...]]:
            written: list[Written] = []
            applied: list[Applied] = []
            began = time.perf_counter()
            try:
                for each in self.replica.writing(puts, wanted, at, own):
                    written.append(each)
                    took, began = time.perf_counter() - began, time.perf_counter()
                    applied.append(Applied((each.node,), each.effects, True, "", at, took))
            except Exception as error:
                return _Done(applied, tuple(written), error)
            return _Done(applied, tuple(written))

        def reserve() -> Callable[[], None] | None:
            give_back = self._reserve()
            if give_back is None:
                return None
            brief = False
            try:
                with suppress(StoreError):  # the job will meet it as well
                    brief = not any(map(self.replica.put_removes, puts))
            finally:
                if not brief:
                    give_back()
            return give_back if brief else None

        return await self._alone(work, reserve if len(puts) == 1 and not wanted else None)

    async def missing(self, cids: Iterable[bytes]) -> tuple[bytes, ...]:
        """Those of the blocks that are not held."""
        asked = tuple(cids)
        async with self._lock:
            return await trio.to_thread.run_sync(self.replica.missing, asked)

    async def lacking(self, cids: Sequence[bytes]) -> tuple[bytes, ...]:
        """The same, told at once even while a merge runs: what that merge brings may still be named."""
        return await trio.to_thread.run_sync(self.replica.missing, cids)

    async def _alone(self, work: Callable[[], _Done[T]], brief: Reserve | None = None) -> T:
        def run() -> tuple[_Done[T], list[tuple[Callable[[Any], None], Any]], Mapping[bytes, int]]:
            done = work()
            told = []
            for each in done.applied:
                for prepare, deliver in self._listeners:
                    try:
                        told.append((deliver, prepare(each)))
                    except Exception:
                        log.exception("a listener could not prepare a change")
            try:
                return done, told, self.replica.heads
            finally:
                del done  # or its failure would hold this frame, and the frame all that was to be merged

        async with self._lock:
            try:
                done, told, self._heads = await self._worker.run(run, brief)
            except trio.ClosedResourceError as error:
                raise StoreError("this peer has stopped; nothing was changed") from error
            for deliver, prepared in told:
                try:
                    deliver(prepared)
                except Exception:
                    log.exception("a listener could not take a change")
            try:
                if done.failure is not None:
                    raise done.failure
                return done.result
            finally:
                del done

    def _merge(self, blocks: Sequence[RawBlock]) -> _Done[Outcome]:
        at = self._clock()
        bad: list[tuple[RawBlock, str]] = []
        by_peer: dict[str, list[DagNode]] = {}
        for block in blocks:
            try:
                by_peer.setdefault(block.peer, []).append(decode_verified(block.cid, block.data))
            except DecodeError as error:
                bad.append((block, str(error)))
        applied: list[Applied] = []
        wants: dict[str, tuple[bytes, ...]] = {}
        try:
            for peer, nodes in by_peer.items():
                changes, wanted = self._apply(peer, nodes, at)
                applied += changes
                wants.update(wanted)
        except Exception as error:
            return _Done(applied, Outcome(tuple(bad), wants, 0), error)
        if len(by_peer) > 1:  # what came through one peer may have been wanted from another
            still = self.replica.is_wanted
            wants = {peer: tuple(name for name in names if still(name)) for peer, names in wants.items()}
        return _Done(applied, Outcome(tuple(bad), wants, sum(len(each.nodes) for each in applied)))

    def _apply(
        self, peer: str, nodes: Sequence[DagNode], at: float
    ) -> tuple[list[Applied], dict[str, tuple[bytes, ...]]]:
        began = time.perf_counter()
        merged = self.replica.merge(nodes, peer, at)
        took = time.perf_counter() - began
        wants = {peer: tuple(merged.wants)} if merged.wants else {}
        if not merged.nodes:
            return [], wants
        return [Applied(merged.nodes, merged.effects, merged.heads_changed, peer, at, took)], wants
