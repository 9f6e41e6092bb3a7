"""A live network of Go peers and ours, from one seed: it is torn apart, restarted and healed, and must agree at the end.

What happens is decided by the seed: how many of each there are, who knows whom, over how long a wire, and a schedule of
puts, deletes, batches, partitions and restarts. Go peers restart with their whole state, or with their blocks alone, as
betar does. Left out are one key twice in a delta and empty values, because Go's own result then hangs on the order of
arrival. Each of our replicas is judged by the oracle as well. `live` is the door for tests and soak runs.

A Go peer that is stopped while it walks may have a hole for good: it never fetches a block below its own heads, though its
neighbours hold it (go-ds-crdt issues 279, 350, 355), or holds one there that it never merges, or it has noted a tip as
processed and never makes it a head (shown by
`test_go_with_go.py::test_go_never_returns_to_a_walk_that_was_interrupted`). It then shows what the rest of its blocks mean.
That is counted, not failed, where the hole can be shown and every other peer agrees.

A Go peer may also show an older version of a key, or none, though it has merged every block below the same heads: its
workers merge the branches below a node side by side, putElems in its set.go holds a lock, putTombs holds none, so what a
delete found to be the best version is written over a better one that came in between (shown between Go peers alone by
`test_go_with_go.py::test_a_delete_in_go_may_overwrite_what_another_branch_put`). The next put mends it. It is counted, not
failed, where the key was deleted once and all blocks are merged.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from betar_tui.errors import NetworkError
from betar_tui.node import Node
from betar_tui.replica import cid, decode_node
from betar_tui.store.database import open_store
from tests.simulation.memory import blocks_of, truth_of
from tests.simulation.oracle import Truth, judge

from ..peers.harness import eventually, peer, values
from ..proxy import Proxy, open_proxy
from .driver import GoPeer, GoPeerError, open_gopeer

KEYS = ("/agents/a", "/agents/a/v", "/agents/ab", "/agents/p", "/agents/b")
TURNS = 40
PATIENCE = 60.0
REBROADCAST = 0.3


@dataclass
class Report:
    """What happened in a schedule, to see that it was not nothing."""

    go: int = 0
    ours: int = 0
    writes: int = 0
    partitions: int = 0
    restarts: int = 0
    height: int = 0
    heads: int = 0
    go_holes: int = 0
    go_overwritten: int = 0


class Member:
    """One peer of the mesh, which may restart; it runs in a task of its own."""

    def __init__(self, nursery: trio.Nursery, directory: Path) -> None:
        self._nursery = nursery
        self.directory = directory
        self._stop, self._ended = trio.Event(), trio.Event()
        self.peer_id = ""
        self.address = ""

    async def start(self) -> None:
        self._stop, self._ended = trio.Event(), trio.Event()
        await self._nursery.start(self._run)

    async def stop(self) -> None:
        self._stop.set()
        await self._ended.wait()

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        raise NotImplementedError

    async def write(self, puts: Mapping[str, bytes], deletes: Sequence[str]) -> None:
        raise NotImplementedError

    async def map(self) -> dict[str, bytes]:
        raise NotImplementedError

    async def heads(self) -> set[str]:
        raise NotImplementedError

    async def holds(self, name: str) -> bool:
        """Whether it has a block."""
        raise NotImplementedError

    async def connect(self, address: str) -> None:
        raise NotImplementedError

    async def disconnect(self, other: str) -> None:
        raise NotImplementedError


class GoMember(Member):
    """A Go peer; `volatile` ones keep their blocks only."""

    def __init__(self, nursery: trio.Nursery, directory: Path, binary: Path, volatile: bool) -> None:
        super().__init__(nursery, directory)
        self._binary = binary
        self._volatile = volatile
        self.go: GoPeer

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        self.directory.mkdir(exist_ok=True)
        async with (
            trio.open_nursery() as nursery,
            open_gopeer(
                nursery,
                binary=self._binary,
                key=self.directory / "key",
                data=self.directory / "data",
                volatile_crdt=self._volatile,
                rebroadcast=f"{REBROADCAST * 1000:.0f}ms",
            ) as self.go,
        ):
            self.peer_id, self.address = self.go.peer_id, self.go.address
            task_status.started()
            await self._stop.wait()
        self._ended.set()

    async def write(self, puts: Mapping[str, bytes], deletes: Sequence[str]) -> None:
        if len(puts) + len(deletes) > 1:
            await self.go.batch(puts, deletes)
        for key, value in puts.items() if not deletes and len(puts) == 1 else ():
            await self.go.put(key, value)
        for key in deletes if not puts and len(deletes) == 1 else ():
            await self.go.delete(key)

    async def map(self) -> dict[str, bytes]:
        return await self.go.list()

    async def heads(self) -> set[str]:
        return {head.cid for head in await self.go.heads()}

    async def holds(self, name: str) -> bool:
        try:
            await self.go.block(name)
        except GoPeerError:
            return False
        return True

    async def rests(self) -> bool:
        """Whether it asks its neighbours for no block and has none to merge."""
        stats = await self.go.stats()
        return not stats["wants"] and not stats["queued_jobs"]

    async def waiting(self) -> str:
        """What it asks for, and of whom it hears, in words."""
        stats = await self.go.stats()
        wanted, mesh = [each[-6:] for each in stats["wants"]], [each[-6:] for each in await self.go.mesh_peers()]
        return f" wants {wanted} mesh {mesh} queued {stats['queued_jobs']} dirty {stats['dirty']}"

    async def hole(self, tips: Collection[str]) -> str:
        """A block below its heads that it does not hold or never merged, or one of the tips that it takes for merged and has
        not below its heads; "" when there is none."""
        seen: set[str] = set()
        ahead = [head.cid for head in await self.go.heads()]
        while ahead:
            name = ahead.pop()
            try:
                node = decode_node(cid.from_str(name), await self.go.block(name))
            except GoPeerError:
                return name
            if not await self.go.processed(name):
                return name
            seen.add(name)
            ahead += [each for each in map(cid.to_str, node.links) if each not in seen]
        lost = [name for name in tips if name not in seen and await self.go.processed(name)]
        return lost[0] if lost else ""

    async def overwrote(self, one: OurMember) -> bool:
        """Whether it has merged what `one` has, and shows none or another version of keys that were deleted once, and of no
        other keys."""
        tips = await one.heads()
        if not await self.heads() >= tips or await self.hole(tips):
            return False
        theirs, ours = await self.map(), await one.map()
        wrong = [key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key)]
        versions = {key: one.node._store.elements(key) for key in wrong}
        return bool(wrong) and all(
            any(each.dead for each in versions[key])
            and theirs.get(key) in (None, *(each.value for each in versions[key]))
            for key in wrong
        )

    async def connect(self, address: str) -> None:
        await self.go.connect(address)

    async def disconnect(self, other: str) -> None:
        await self.go.disconnect(other)


class OurMember(Member):
    """One of our peers, in this process."""

    node: Node

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        self._forget_peers()
        async with peer(self.directory, announce_interval=REBROADCAST) as self.node:
            self.peer_id, self.address = self.node.peer_id, self.node.online.addrs[0]
            task_status.started()
            await self._stop.wait()
        self._ended.set()

    def _forget_peers(self) -> None:
        """Whom it knew it would dial at once, through any partition."""
        if (self.directory / "replica.db").exists():
            database = sqlite3.connect(self.directory / "replica.db")
            with database:
                database.execute("DELETE FROM peers")
            database.close()

    async def write(self, puts: Mapping[str, bytes], deletes: Sequence[str]) -> None:
        self.node._send(await self.node._writer.write(puts, deletes))

    async def map(self) -> dict[str, bytes]:
        return await trio.to_thread.run_sync(values, self.directory)

    async def heads(self) -> set[str]:
        return {head.cid for head in await self.node.heads()}

    async def holds(self, name: str) -> bool:
        return not self.node._writer.replica.missing([cid.from_str(name)])

    async def connect(self, address: str) -> None:
        await self.node.connect(address)

    async def disconnect(self, other: str) -> None:
        network = self.node.online._network
        if network is not None:
            await network.disconnect(other)


@dataclass(eq=False)
class Wire:
    """How two members reach each other: `far` is dialled through the proxy."""

    near: Member
    far: Member
    proxy: Proxy
    up: bool = False

    async def open(self) -> None:
        """Connect, however often it takes: the other end may be about to notice that an older connection is gone."""
        self.proxy.target = self.far.address
        self.proxy.heal()
        with trio.fail_after(PATIENCE):
            while True:
                try:
                    await self.near.connect(self.proxy.address)
                    break
                except (NetworkError, GoPeerError):
                    await trio.sleep(0.1)
        self.up = True

    async def close(self) -> None:
        """Disconnect, and let nobody through until it is opened again."""
        self.up = False
        self.proxy.partition()
        await self.near.disconnect(self.far.peer_id)
        await self.far.disconnect(self.near.peer_id)


@dataclass
class Mesh:
    """The whole network of one seed."""

    rng: random.Random
    members: list[Member]
    wires: list[Wire]
    report: Report = field(default_factory=Report)

    async def act(self, turn: int) -> None:
        rng = self.rng
        match rng.random():
            case fate if fate < 0.82:
                await rng.choice(self.members).write(*self._change(turn))
                self.report.writes += 1
            case fate if fate < 0.90:
                sides = {id(member): rng.randrange(2) for member in self.members}
                self.report.partitions += 1
                for wire in self.wires:
                    if wire.up and sides[id(wire.near)] != sides[id(wire.far)]:
                        await wire.close()
            case fate if fate < 0.95:
                await self.heal()
            case _:
                self.report.restarts += 1
                await self._restart(rng.choice(self.members))

    def _change(self, turn: int) -> tuple[dict[str, bytes], list[str]]:
        rng = self.rng
        value = rng.choice((b"same", b"%d" % turn, b"\xff", b"\x00", b"long" * 50))
        match rng.randrange(6):
            case 0:
                return {}, [rng.choice(KEYS)]
            case 1:
                first, second, third = rng.sample(KEYS, 3)
                return {first: value, second: b"batch"}, [third]
            case _:
                return {rng.choice(KEYS): value}, []

    async def _restart(self, member: Member) -> None:
        """Stop and start; wires that were up come up again."""
        wires = [wire for wire in self.wires if member in (wire.near, wire.far)]
        was_up = [wire for wire in wires if wire.up]
        for wire in was_up:
            wire.proxy.partition()
        await member.stop()
        for wire in was_up:
            other = wire.far if wire.near is member else wire.near
            await other.disconnect(member.peer_id)
        await member.start()
        for wire in was_up:
            await wire.open()

    async def heal(self) -> None:
        for wire in self.wires:
            if not wire.up:
                await wire.open()

    async def agreed(self) -> bool:
        """Whether all hold one map, and we have one set of heads and every block that Go calls a head. It may keep heads
        that are no tips, but one that we do not hold is one that we have not heard of yet."""
        return await self._agree(self.members)

    async def _agree(self, members: Sequence[Member]) -> bool:
        ours = [member for member in members if isinstance(member, OurMember)]
        if any(one.node.online.pending or one.node._writer.replica.wants for one in ours):
            return False
        heads = await ours[0].heads()
        for member in members:
            theirs = await member.heads()
            if not theirs >= heads or (isinstance(member, OurMember) and theirs != heads):
                return False
            extra = [cid.from_str(name) for name in theirs - heads]
            if any(one.node._writer.replica.missing(extra) for one in ours):
                return False
        first = await ours[0].map()
        return all([await member.map() == first for member in members])

    async def blame_go(self) -> None:
        """Count the Go peers with a hole that somebody else could fill, if they asked, and those that overwrote what they
        had merged. Raises AssertionError unless there are some and all others agree; whom only such a peer stands between
        is connected for that: it has not got what they need."""
        ours = [member for member in self.members if isinstance(member, OurMember)]
        tips = {tip for member in self.members for tip in await member.heads()}
        broken = []
        for member in self.members:
            if isinstance(member, GoMember) and (hole := await member.hole(tips)):
                assert any([await each.holds(hole) for each in self.members if each is not member]), (
                    f"nobody has {hole}"
                )
                await eventually(member.rests, what="a Go peer that lost a branch waits for nobody")
                if await member.hole(tips):
                    broken.append(member)
        self.report.go_holes = len(broken)
        others = [each for each in self.members if each not in broken]
        if broken:
            for one in others:
                if one not in self._reached(ours[0], others):
                    await one.connect(ours[0].address)
            with suppress(AssertionError):
                await eventually(lambda: self._agree(others), within=PATIENCE, what="all but the broken ones agree")
                return
        whole = [each for each in others if isinstance(each, GoMember)]
        overwrote = [each for each in whole if await each.overwrote(ours[0])]
        self.report.go_overwritten = len(overwrote)
        if not overwrote or not await self._agree([each for each in others if each not in overwrote]):
            raise AssertionError("they do not agree, and no Go peer is to blame")

    def _reached(self, start: Member, among: Sequence[Member]) -> set[Member]:
        """Whom wires that are up lead to from one of these, through these alone."""
        reached, ahead = {start}, [start]
        while ahead:
            here = ahead.pop()
            ends = [(wire.near, wire.far) for wire in self.wires if wire.up]
            for end in [b for a, b in (*ends, *((b, a) for a, b in ends)) if a is here and b in among]:
                if end not in reached:
                    reached.add(end)
                    ahead.append(end)
        return reached

    async def describe(self) -> str:
        """The state of each, for a failure."""
        lines = []
        tips = {tip for member in self.members for tip in await member.heads()}
        for member in self.members:
            heads = sorted(each[-6:] for each in await member.heads())
            extra = ""
            if isinstance(member, OurMember):
                wanted = [cid.to_str(name)[-6:] for name in member.node._writer.replica.wants]
                extra = f" pending {member.node.online.pending} wants {wanted} topic {member.node.online.topic_peers}"
            if isinstance(member, GoMember):
                extra = await member.waiting() + f" hole {(await member.hole(tips))[-6:]}"
            shown = {key: value[:8] for key, value in sorted((await member.map()).items())}
            lines.append(f"{type(member).__name__} {member.peer_id[-6:]}: heads {heads}{extra} {shown}")
        lines += [f"{w.near.peer_id[-6:]} - {w.far.peer_id[-6:]}: up {w.up}, {w.proxy.live} live" for w in self.wires]
        return "\n".join(lines)


async def live(seed: int, folder: Path, binary: Path, *, turns: int = TURNS) -> Report:
    """Run one schedule. Raises AssertionError with the seed when the peers do not agree, or not on what is true."""
    rng = random.Random(seed)
    async with trio.open_nursery() as nursery:
        members: list[Member] = [
            GoMember(nursery, folder / f"go{n}", binary, rng.random() < 0.4) for n in range(rng.choice((1, 1, 2)))
        ]
        members += [OurMember(nursery, folder / f"ours{n}") for n in range(rng.choice((1, 2, 2, 3)))]
        rng.shuffle(members)
        async with trio.open_nursery() as starting:
            for member in members:
                starting.start_soon(member.start)
        wires: list[Wire] = []
        for i, far in enumerate(members):
            # A tree, and some more: there is always a way between any two.
            nears = {rng.randrange(i)} | {j for j in range(i) if rng.random() < 0.4} if i else set()
            for j in sorted(nears):
                near, end = (members[j], far) if rng.random() < 0.5 else (far, members[j])
                proxy = await nursery.start(_proxy, end.address, rng.choice((0.0, 0.0, 0.01)))
                wires.append(Wire(near, end, proxy))
        mesh = Mesh(rng, members, wires)
        mesh.report.go = sum(isinstance(member, GoMember) for member in members)
        mesh.report.ours = len(members) - mesh.report.go
        await mesh.heal()
        try:
            for turn in range(turns):
                await mesh.act(turn)
                if rng.random() < 0.15:
                    await trio.sleep(rng.uniform(0, REBROADCAST))
            await mesh.heal()
            try:
                await eventually(mesh.agreed, within=PATIENCE, what="all agree")
            except AssertionError:
                await mesh.blame_go()
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}\n{await mesh.describe()}") from error
        final = await next(member for member in members if isinstance(member, OurMember)).map()
        for member in members:
            await member.stop()
        for member in members:
            if isinstance(member, OurMember):
                _judge(seed, member, final, mesh.report)
        nursery.cancel_scope.cancel()
    return mesh.report


def _judge(seed: int, member: OurMember, final: Mapping[str, bytes], report: Report) -> None:
    """What one of our replicas says is what its blocks mean, and it is the map that all agreed on."""
    try:
        truth = judged_replica(member.directory)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, {member.peer_id}: {error}") from error
    assert {key: value for key, (_, value) in truth.values.items()} == final, f"seed {seed}: {member.peer_id}"
    report.heads = len(truth.heads)
    report.height = max(truth.heads.values(), default=0)


def judged_replica(directory: Path) -> Truth:
    """What the oracle makes of the blocks in a data directory, which is what the replica says, without a hole."""
    store = open_store(directory / "replica.db")
    try:
        assert store.check() == "ok", "the database is damaged"
        truth = judge(blocks_of(store).values())
        assert truth_of(store) == truth, "it is not what its blocks mean"
        assert not truth.wants, "there is a hole"
        return truth
    finally:
        store.close()


async def _proxy(target: str, delay: float, task_status: trio.TaskStatus[Proxy]) -> None:
    async with open_proxy(target, delay) as proxy:
        task_status.started(proxy)
        await trio.sleep_forever()
