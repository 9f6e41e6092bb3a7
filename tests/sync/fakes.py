"""A network and a writer that only note their calls, for tests of a replication."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import trio

from betar_tui.errors import StoreError
from betar_tui.replica import Applied, DagNode, Head, Replica, decode_broadcast
from betar_tui.sync.writer import MergeOutcome, RawBlock
from tests.simulation.memory import MemoryStorage


class Hearing:
    """Notes what peers are asked, and those that do not hear."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[bytes, ...]]] = []
        self.deaf: list[str] = []
        self.answered: Callable[[str, bytes, bool], None] = lambda peer, cid, have: None

    def ask(self, peer: str, cids: Iterable[bytes]) -> None:
        self.asked.append((peer, tuple(cids)))

    def on_answer(self, answered: Callable[[str, bytes, bool], None]) -> None:
        self.answered = answered

    def unheard(self, peer: str) -> None:
        self.deaf.append(peer)


class Network:
    """Notes the heads that it broadcast, and when."""

    audience = 2

    def __init__(self) -> None:
        self.sent: list[tuple[float, list[Head]]] = []
        self.wanted: list[tuple[bytes, str | None]] = []
        self.hearing = Hearing()
        self.penalised: list[str] = []
        self.speak_dagsync = False
        self.alone = False

    def topic_peers(self) -> tuple[str, ...]:
        return () if self.alone else ("alice", "bob")

    def supports(self, peer: str, protocol: str) -> bool:
        return self.speak_dagsync

    def want(self, cids: Iterable[bytes], ask: str | None = None) -> None:
        self.wanted += [(cid, ask) for cid in cids]

    def connections(self) -> tuple[()]:
        """No peer is connected."""
        return ()

    def cancel(self, cids: Iterable[bytes]) -> None:
        """No peer is asked any more."""

    def penalize(self, peer: str, reason: str) -> None:
        self.penalised.append(peer)

    async def flush(self) -> None:
        """All that was broadcast is sent."""

    def on_sent(self, listener: object) -> None:
        """No peer asks for blocks here."""

    def announce_block(self, cid: bytes) -> None:
        """No peer wants any either."""

    def open_stream(self, peer: str, protocol: str) -> None:
        raise AssertionError("no peer is asked for anything here")

    async def broadcast(self, payload: bytes) -> int:
        self.sent.append((trio.current_time(), list(decode_broadcast(payload))))
        return self.audience


class Writer:
    """A replica whose writes are delivered at once."""

    def __init__(self) -> None:
        self.replica = Replica(MemoryStorage())
        self._deliver: Callable[[Any], None] = lambda applied: None
        self.broken = self.busy = False
        self.batches: list[list[bytes]] = []

    @property
    def heads(self) -> Mapping[bytes, int]:
        return self.replica.heads

    async def merge(self, blocks: Sequence[RawBlock]) -> MergeOutcome:
        if self.broken:
            raise StoreError("the disk is full")
        self.batches.append([each.cid for each in blocks])
        return MergeOutcome((), {}, 0)

    async def finish(self) -> None:
        """Nothing is merged in part here."""

    async def missing_now(self, cids: Iterable[bytes]) -> tuple[bytes, ...]:
        await trio.lowlevel.checkpoint()
        return self.replica.missing(cids)

    async def missing(self, cids: Iterable[bytes]) -> tuple[bytes, ...]:
        if self.busy:
            await trio.sleep_forever()
        return self.replica.missing(cids)

    def listen(self, prepare: Callable[[Applied], Any], deliver: Callable[[Any], None]) -> Callable[[], None]:
        self._deliver = deliver
        return lambda: None

    def merged(self, node: DagNode, peer: str) -> None:
        """Merge a delta of another peer."""
        merged = self.replica.merge([node], peer, 1.0)
        self._deliver(Applied(merged.nodes, merged.effects, peer, 1.0))

    def put(self, key: str, value: bytes = b"value") -> bytes:
        (written,) = tuple(self.replica.writing({key: value}, (), 1.0))
        self._deliver(Applied((written.node,), written.effects, "", 1.0))
        return written.node.cid
