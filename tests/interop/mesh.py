"""A live network of Go peers and ours, from one seed: it is torn apart, restarted and healed, and must agree at the end.

What happens is decided by the seed: how many of each there are, who knows whom, over how long a wire, and a schedule of
puts, deletes, batches, partitions and restarts. Go peers restart with their whole state, or with their blocks alone, as
betar does. Left out are one key twice in a delta and empty values, because Go's own result then hangs on the order of
arrival. Each of our replicas is judged by the oracle as well. Tests and soak runs enter by `live`.

A Go peer that is stopped while it walks may have a hole for good: it never fetches a block below its own heads, though its
neighbours hold it (go-ds-crdt issues 279, 350, 355), or holds one there that it never merges, or it has noted a tip as
processed and never makes it a head (shown by
`test_go_faults.py::test_go_never_returns_to_a_walk_that_was_interrupted`). It then shows what the rest of its blocks mean.
That is counted, not failed, where the hole can be shown, every other peer agrees, and we have what it wrote.

A Go peer may also show an older version of a key, or none, though it has merged every block below the same heads: its
workers merge the branches below a node side by side, putElems in its set.go holds a lock, putTombs holds none, so what a
delete found to be the best version is written over a better one that came in between (shown between Go peers alone by
`test_go_faults.py::test_a_delete_in_go_may_overwrite_what_another_branch_put`). The next put mends it. It is counted, not
failed, where the key was deleted once and all blocks are merged.

So that nothing of ours hides behind either, go-ds-crdt has the last word in every schedule: one more Go peer, which was
never cut off and merges with one worker, reads all from one of ours and must show the same map.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from betar_tui.errors import NetworkError
from betar_tui.ipld import cid
from betar_tui.store.database import open_store
from tests.interop.driver import GoPeer, GoPeerError, open_gopeer
from tests.interop.members import REBROADCAST, GoMember, Member, OurMember, has_read
from tests.peers.harness import eventually
from tests.proxy import Proxy, open_proxy
from tests.simulation.memory import blocks_of, truth_of
from tests.simulation.oracle import Truth, judge

KEYS = ("/agents/a", "/agents/a/v", "/agents/ab", "/agents/p", "/agents/b")
TURNS = 40
PATIENCE = 60.0


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
        await _connect(self.near, self.proxy.address)
        self.up = True

    async def close(self) -> None:
        """Disconnect, and let nobody through until it is opened again."""
        self.up = False
        self.proxy.partition()
        await self.near.disconnect(self.far.peer_id)
        await self.far.disconnect(self.near.peer_id)


async def _connect(member: Member, address: str) -> None:
    with trio.fail_after(PATIENCE):
        while True:
            try:
                return await member.connect(address)
            except (NetworkError, GoPeerError):
                await trio.sleep(0.1)


@dataclass
class Mesh:
    """The whole network of one seed."""

    rng: random.Random
    members: list[Member]
    wires: list[Wire]
    reader: Callable[[], AbstractAsyncContextManager[GoPeer]]
    report: Report = field(default_factory=Report)
    acknowledged: set[bytes] = field(default_factory=set)

    async def act(self, turn: int) -> None:
        rng = self.rng
        match rng.random():
            case fate if fate < 0.82:
                self.acknowledged.update(await rng.choice(self.members).write(*self._change(turn)))
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
        ours = self._ours()
        if any(one.node.session.pending or one.node._writer.replica.wants for one in ours):
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
        first = self._ours()[0]
        broken = await self._with_a_hole()
        if not broken and await self.agreed():
            return  # it was slow
        self.report.go_holes = len(broken)
        others = [each for each in self.members if each not in broken]
        for each in broken:
            await _connect(first, each.address)  # what it wrote is everybody's all the same
        for each in others if broken else ():
            if each not in self._reached(first, others):
                await _connect(each, first.address)

        async def agree(members: Sequence[Member]) -> bool:
            """These, and we have what the broken ones hold."""
            theirs = [await each.heads() for each in broken]
            return await self._agree(members) and all([await first.holds(name) for name in set().union(*theirs)])

        if broken:
            with suppress(AssertionError):
                await eventually(partial(agree, others), within=PATIENCE / 2, what="all but the broken ones agree")
                return
        overwrote = [each for each in others if isinstance(each, GoMember) and await each.overwrote(first)]
        self.report.go_overwritten = len(overwrote)
        if not overwrote or not await agree([each for each in others if each not in overwrote]):
            raise AssertionError("they do not agree, and no Go peer is to blame")

    async def _with_a_hole(self) -> list[GoMember]:
        """Go peers that were stopped once, lack a block which somebody else has, and do not ask for it."""
        tips = {tip for member in self.members for tip in await member.heads()}
        broken = []
        for member in self.members:
            if isinstance(member, GoMember) and member.stops and (hole := await member.hole(tips)):
                assert any([await each.holds(hole) for each in self.members if each is not member]), (
                    f"nobody has {hole}"
                )
                await eventually(member.rests, what="a Go peer that lost a branch waits for nobody")
                if await member.hole(tips):
                    broken.append(member)
        return broken

    async def judge_by_go(self) -> None:
        """Let a Go peer that was never there read everything from one of ours: it must show what that one shows."""
        one = self._ours()[0]
        heads, shown = await one.heads(), await one.map()
        async with self.reader() as reader:
            await reader.connect(one.address)
            await eventually(lambda: has_read(reader, heads), what="a new Go peer has read everything")
            assert await reader.list() == shown, "go-ds-crdt makes something else of these blocks"

    def _ours(self) -> list[OurMember]:
        return [member for member in self.members if isinstance(member, OurMember)]

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
        lines, tips = [], set[str]()
        for member in self.members:
            with suppress(Exception):
                tips |= await member.heads()
        for member in self.members:
            lines.append(f"{type(member).__name__} {member.peer_id[-6:]}:")
            try:
                lines[-1] += await self._state(member, tips)
            except Exception as error:  # it may be gone, which is what is to be told of
                lines[-1] += f" {error!r}"
        lines += [f"{w.near.peer_id[-6:]} - {w.far.peer_id[-6:]}: up {w.up}, {w.proxy.live} live" for w in self.wires]
        return "\n".join(lines)

    async def _state(self, member: Member, tips: set[str]) -> str:
        heads = await member.heads()
        extra = ""
        if isinstance(member, OurMember):
            wanted = [cid.to_str(name)[-6:] for name in member.node._writer.replica.wants]
            extra = f" pending {member.node.session.pending} wants {wanted} topic {member.node.session.topic_peers}"
        if isinstance(member, GoMember):
            extra = await member.waiting() + f" hole {(await member.hole(tips))[-6:]}"
        shown = {key: value[:8] for key, value in sorted((await member.map()).items())}
        return f" heads {sorted(each[-6:] for each in heads)}{extra} {shown}"


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
        reader = partial(open_gopeer, nursery, binary=binary, workers=1, rebroadcast="1h")
        mesh = Mesh(rng, members, wires, reader)
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
            await mesh.judge_by_go()
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}\n{await mesh.describe()}") from error
        final = await next(member for member in members if isinstance(member, OurMember)).map()
        for member in members:
            await member.stop()
        for member in members:
            if isinstance(member, OurMember):
                _judge(seed, member, final, mesh.acknowledged, mesh.report)
        nursery.cancel_scope.cancel()
    return mesh.report


def _judge(
    seed: int, member: OurMember, final: Mapping[str, bytes], acknowledged: Collection[bytes], report: Report
) -> None:
    """What one of our replicas says is what its blocks mean, it is the map that all agreed on, and nothing is lost."""
    try:
        truth = judged_replica(member.directory, acknowledged)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, {member.peer_id}: {error}") from error
    assert {key: value for key, (_, value) in truth.values.items()} == final, f"seed {seed}: {member.peer_id}"
    report.heads = len(truth.heads)
    report.height = max(truth.heads.values(), default=0)


def judged_replica(directory: Path, acknowledged: Collection[bytes] = ()) -> Truth:
    """What the oracle makes of the blocks in a data directory, which is what the replica says, without a hole. Those that
    were acknowledged are among them."""
    store = open_store(directory / "replica.db")
    try:
        assert store.check() == "ok", "the database is damaged"
        truth = judge(blocks_of(store).values())
        assert truth_of(store) == truth, "it is not what its blocks mean"
        assert not truth.wants, "there is a hole"
        assert store.stored(acknowledged).keys() == set(acknowledged), "a delta is lost"
        return truth
    finally:
        store.close()


async def _proxy(target: str, delay: float, task_status: trio.TaskStatus[Proxy]) -> None:
    async with open_proxy(target, delay) as proxy:
        task_status.started(proxy)
        await trio.sleep_forever()
