"""A whole network of replicas in virtual time, from one seed: what happens is decided by `random.Random(seed)` alone.

Replicas write, announce heads, fetch blocks one by one or as a piece of history, over messages that are lost, doubled,
delayed and damaged, between partitions; they restart, and they die at any SQL statement. At the end the network heals
and runs until nothing happens any more: then every replica must say what the oracle says of all blocks together.

Soak runs enter by `run(seeds, replicas)`.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from betar_tui.errors import DecodeError
from betar_tui.replica import (
    DagNode,
    Head,
    Replica,
    ReplicaStorage,
    Written,
    decode_broadcast,
    decode_node,
    encode_broadcast,
)
from betar_tui.store.database import open_store
from tests.simulation.crashing import CrashingConnection, discard, new_path, open_crashing, wreck
from tests.simulation.memory import Crash, MemoryStorage, blocks_of, truth_of, values_of
from tests.simulation.oracle import Oracle

KEYS = ("/agents/a", "/agents/ab", "/agents/a/v", "/agents/p", "/x")
VALUES = (b"1", b"2", b"22", b"\xff", b"a longer value, so that blocks differ in size")
SPAN = 1000.0
MAX_ROUNDS = 60


@dataclass
class Report:
    """What happened in a run, to see that it was not nothing."""

    seeds: int = 0
    seconds: float = 0.0
    writes: int = 0
    merges: int = 0
    blocks: int = 0
    bulks: int = 0
    lost: int = 0
    doubled: int = 0
    damaged: int = 0
    restarts: int = 0
    crashes: int = 0
    crashes_after_commit: int = 0
    rounds: int = 0
    holes: int = 0
    twins: int = 0

    def add(self, other: Report) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass
class Peer:
    """One replica with its memory: dictionaries, or a database when it has a `path`."""

    name: int
    storage: ReplicaStorage
    path: Path | None = None
    connection: CrashingConnection | None = None
    fuse: int | None = None
    """How many more statements it has to live."""
    replica: Replica = field(init=False)

    def __post_init__(self) -> None:
        self.replica = Replica(self.storage)


class World:
    """Peers, a clock and messages on their way. `databases` of the peers are in `folder`."""

    def __init__(
        self, seed: int, replicas: int, folder: Path, databases: int = 2, template: Path | None = None
    ) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.report = Report(seeds=1)
        self.now = 0.0
        self.oracle = Oracle()
        self.trouble = True
        self._folder = folder
        self._template = template
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._sent = 0
        self._side = [0] * replicas
        self._nodes: dict[bytes, DagNode] = {}
        self.peers = [self._peer(i, i < databases) for i in range(replicas)]

    def _peer(self, name: int, database: bool) -> Peer:
        if not database:
            return Peer(name, MemoryStorage())
        path = new_path(self._folder)
        if self._template is not None:
            shutil.copyfile(self._template, path)
        store, connection = open_crashing(path)
        return Peer(name, store, path, connection)

    def close(self) -> None:
        for peer in self.peers:
            if peer.path is not None and peer.connection is not None:
                discard(peer.path, peer.connection.real)

    # Time and messages.

    def at(self, delay: float, what: Callable[..., None], *args: Any) -> None:
        self._sent += 1
        heappush(self._queue, (self.now + delay, self._sent, what, args))

    def run_queue(self) -> None:
        while self._queue:
            self.now, _, what, args = heappop(self._queue)
            what(*args)

    def _send(self, sender: Peer, receiver: Peer, what: Callable[..., None], *args: Any) -> None:
        chance = self.random.random
        if not self.trouble:
            self.at(1 + chance(), what, sender, receiver, *args)
            return
        if self._side[sender.name] != self._side[receiver.name] or chance() < 0.15:
            self.report.lost += 1
            return
        self.at(1 + 60 * chance() ** 3, what, sender, receiver, *args)
        if chance() < 0.08:
            self.report.doubled += 1
            self.at(1 + 200 * chance(), what, sender, receiver, *args)

    # What peers do.

    def announce(self, peer: Peer) -> None:
        heads = []
        for name in peer.replica.heads:
            inline = self.random.random() < 0.5 if self.trouble else False
            heads.append(Head(name, blocks_of_one(peer.storage, name) if inline else None))
        if heads:
            payload = encode_broadcast(heads)
            for other in self.peers:
                if other is not peer:
                    self._send(peer, other, self._on_broadcast, payload)

    def _on_broadcast(self, sender: Peer, peer: Peer, payload: bytes) -> None:
        heads = decode_broadcast(payload)
        missing = set(peer.replica.missing(head.cid for head in heads))
        for head in heads:
            if head.cid in missing and head.block is not None:
                self._merge(peer, sender, [(head.cid, head.block)])
            elif head.cid in missing:
                self._send(peer, sender, self._on_request, (head.cid,), False)

    def _on_request(self, asking: Peer, peer: Peer, wants: tuple[bytes, ...], bulk: bool) -> None:
        """Answer with the blocks asked for, and with a piece of the history below them when `bulk`."""
        found: dict[bytes, bytes] = {}
        ahead = list(wants)
        while ahead and (len(found) < 12 or not self.trouble):
            name = ahead.pop(0)
            block = blocks_of_one(peer.storage, name)
            if block is not None and name not in found:
                found[name] = block
                if bulk:
                    ahead += self._decode(name, block).links
        answer = list(found.items())
        if self.trouble and answer and self.random.random() < 0.05:
            name, block = answer[0]
            spot = self.random.randrange(len(block))
            answer[0] = (name, block[:spot] + bytes([block[spot] ^ 1 << self.random.randrange(8)]) + block[spot + 1 :])
        if answer:
            self._send(peer, asking, self._on_blocks, answer)

    def _on_blocks(self, sender: Peer, peer: Peer, blocks: list[tuple[bytes, bytes]]) -> None:
        if len(blocks) > 1:
            self.report.bulks += 1
            self.random.shuffle(blocks := list(blocks))
        self._merge(peer, sender, blocks)

    def _decode(self, name: bytes, block: bytes) -> DagNode:
        node = self._nodes.get(name)
        if node is None or node.data != block:
            node = self._nodes[name] = decode_node(name, block)
        return node

    def _merge(self, peer: Peer, sender: Peer, blocks: list[tuple[bytes, bytes]]) -> None:
        nodes = []
        for name, block in blocks:
            try:
                nodes.append(self._decode(name, block))
            except DecodeError:
                self.report.damaged += 1
        new = {node.cid: node.data for node in nodes}
        if self._survives(peer, new, lambda: peer.replica.merge(nodes, str(sender.name), self.now)):
            self.report.merges += 1
            wants = peer.replica.wants
            self.report.holes += bool(wants)
            if wants:
                self._ask(peer, sender)

    def _ask(self, peer: Peer, other: Peer) -> None:
        wants = sorted(peer.replica.wants)
        self._send(peer, other, self._on_request, tuple(wants), self.random.random() < 0.6)

    def write(self, peer: Peer) -> None:
        chosen = self.random.sample(KEYS, self.random.choice((1, 1, 1, 2, 4)))
        puts = {key: self.random.choice(VALUES) for key in chosen if self.random.random() < 0.7}
        deletes = [key for key in chosen if key not in puts or self.random.random() < 0.1]
        written: list[Written] = []
        if not self._survives(peer, None, lambda: written.extend(tuple(peer.replica.writing(puts, deletes, self.now)))):
            return
        if written:
            self.report.writes += len(written)
            # What was put is there to be read, or something higher above an open hole. Unless somebody else wrote the
            # very same block before and it was deleted: then it is the same event, not a new one.
            node, values = written[-1].node, values_of(peer.storage)
            for key, value in puts.items():
                if values.get(key, (0, b"")) < (node.delta.priority, value):
                    assert peer.storage.tombstoned([(key, node.cid)])
                    self.report.twins += 1
            self.announce(peer)

    # Death and resurrection.

    def _survives(self, peer: Peer, new: dict[bytes, bytes] | None, act: Callable[[], object]) -> bool:
        """Do it; when the peer dies of it, what is left must be exactly before or after: `new` more blocks, or one."""
        db = peer.connection
        armed = peer.fuse is not None if db else bool(peer.storage.crash)  # type: ignore[attr-defined]
        before = blocks_of(peer.storage) if armed else {}
        start = db.done if db else 0
        if db and peer.fuse is not None:
            db.left = start + peer.fuse
        try:
            act()
        except Crash:
            self.report.crashes += 1
            self._revive(peer)
            left = blocks_of(peer.storage)
            assert left.keys() >= before.keys()
            added = {name: block for name, block in left.items() if name not in before}
            if added:
                self.report.crashes_after_commit += 1
                assert len(added) == 1 if new is None else before | new == left
            assert truth_of(peer.storage) == self.oracle.judge(left.values())
            return False
        if db and peer.fuse is not None:
            peer.fuse -= db.done - start
            db.left = None
        return True

    def arm(self, peer: Peer) -> None:
        """Let it die at one of the next statements."""
        if isinstance(peer.storage, MemoryStorage):
            peer.storage.crash = self.random.choice(("before", "after"))
        elif peer.connection is not None:
            peer.fuse = self.random.randrange(30)
            peer.connection.after = self.random.random() < 0.5

    def _revive(self, peer: Peer) -> None:
        if isinstance(peer.storage, MemoryStorage):
            peer.storage.crash = ""
        elif peer.path is not None and peer.connection is not None:
            peer.fuse = None
            peer.path = wreck(peer.path, peer.connection)
            peer.storage, peer.connection = open_crashing(peer.path)
        peer.replica = Replica(peer.storage)

    def restart(self, peer: Peer) -> None:
        self.report.restarts += 1
        old = peer.replica
        if peer.path is not None and peer.connection is not None:
            peer.connection.real.close()
            peer.storage, peer.connection = open_crashing(peer.path)
        peer.replica = Replica(peer.storage)
        assert peer.replica.heads == old.heads
        assert peer.replica.wants == old.wants
        assert peer.replica.incomplete == old.incomplete
        self.announce(peer)

    # A life.

    def _tick(self, peer: Peer) -> None:
        if self.now < SPAN:
            self.announce(peer)
            if peer.replica.wants:
                self._ask(peer, self.random.choice(self.peers))
            self.at(self.random.uniform(150, 400), self._tick, peer)

    def _divide(self) -> None:
        sides = self.random.randint(1, 3)
        self._side = [self.random.randrange(sides) for _ in self.peers]

    def live(self, actions: int) -> None:
        pick = self.random.choice
        for _ in range(actions):
            fate = self.random.random()
            when = self.random.uniform(0, SPAN)
            if fate < 0.70:
                self.at(when, lambda: self.write(pick(self.peers)))
            elif fate < 0.80:
                self.at(when, self._divide)
            elif fate < 0.88:
                self.at(when, lambda: self.restart(pick(self.peers)))
            else:
                # Databases die more often than dictionaries: they have more places to die at.
                self.at(when, lambda: self.arm(pick(self.peers[:3] if self.random.random() < 0.7 else self.peers)))
        for peer in self.peers:
            self.at(self.random.uniform(0, 300), self._tick, peer)
        self.run_queue()

    def heal(self) -> None:
        """No more trouble: announce and ask until all replicas agree. Nothing else makes them do so."""
        self.trouble = False
        for peer in self.peers:
            peer.fuse = None
            if isinstance(peer.storage, MemoryStorage):
                peer.storage.crash = ""
        for _ in range(MAX_ROUNDS):
            self.report.rounds += 1
            for peer in self.peers:
                self.announce(peer)
                if peer.replica.wants:
                    self._ask(peer, self.random.choice(self.peers))
            self.run_queue()
            heads = self.peers[0].replica.heads
            if all(not peer.replica.wants and peer.replica.heads == heads for peer in self.peers):
                return
        raise AssertionError("the network does not come to rest")

    def check(self) -> None:
        """Every replica says what the oracle says of all blocks together."""
        everything: dict[bytes, bytes] = {}
        for peer in self.peers:
            everything |= blocks_of(peer.storage)
        self.report.blocks = len(everything)
        truth = self.oracle.judge(everything.values())
        assert not truth.wants
        assert not truth.incomplete
        for peer in self.peers:
            assert truth_of(peer.storage) == truth, peer.name
            assert dict(peer.replica.heads) == truth.heads
            assert peer.replica.wants == frozenset()
            assert peer.replica.incomplete == 0
            assert not peer.replica._ancestry._parents


def blocks_of_one(storage: ReplicaStorage, name: bytes) -> bytes | None:
    if isinstance(storage, MemoryStorage):
        return storage.data.get(name)
    found: bytes | None = storage.blocks((name,)).get(name)  # type: ignore[attr-defined]
    return found


def scratch() -> Path:
    """A folder in memory where there is one: these databases are many and short-lived."""
    shm = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="betar-tui-sim-", dir=shm if shm.is_dir() else None))


def run(seeds: Iterable[int], replicas: int = 10, databases: int = 2, actions: int = 24) -> Report:
    """Simulate these seeds. Raises AssertionError with the seed that shows a defect."""
    report = Report()
    folder = scratch()
    start = time.perf_counter()
    try:
        template = folder / "template.db"
        open_store(template).close()
        for seed in seeds:
            world = World(seed, replicas, folder, databases, template)
            try:
                world.live(actions)
                world.heal()
                world.check()
            except Exception as error:
                raise AssertionError(f"seed {seed} with {replicas} replicas: {error!r}") from error
            finally:
                world.close()
            report.add(world.report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.seconds = time.perf_counter() - start
    return report
