"""The members of a live mesh: a Go peer or one of ours, each in a task of its own, so that it can be stopped and started."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import trio

from betar_tui.ipld import cid
from betar_tui.peer import Peer
from betar_tui.replica import decode_node
from tests.interop.driver import GoPeer, GoPeerError, open_gopeer
from tests.peers.harness import eventually, peer, values

REBROADCAST = 0.3
"""Seconds between two announcements of what a member's heads are."""


class Member:
    """One peer of the mesh, which may restart; it runs in a task of its own."""

    def __init__(self, nursery: trio.Nursery, directory: Path) -> None:
        self._nursery = nursery
        self.directory = directory
        self._stop, self._ended = trio.Event(), trio.Event()
        self.peer_id = ""
        self.address = ""
        self.stops = 0

    async def start(self) -> None:
        self._stop, self._ended = trio.Event(), trio.Event()
        await self._nursery.start(self._run)

    async def stop(self) -> None:
        self.stops += 1
        self._stop.set()
        await self._ended.wait()

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        raise NotImplementedError

    async def write(self, puts: Mapping[str, bytes], deletes: Sequence[str]) -> tuple[bytes, ...]:
        """The deltas that must never be lost from then on."""
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

    async def write(self, puts: Mapping[str, bytes], deletes: Sequence[str]) -> tuple[bytes, ...]:
        if len(puts) + len(deletes) > 1:
            await self.go.batch(puts, deletes)
        for key, value in puts.items() if not deletes and len(puts) == 1 else ():
            await self.go.put(key, value)
        for key in deletes if not puts and len(deletes) == 1 else ():
            await self.go.delete(key)
        return ()  # one that forgets its heads with a restart loses what nobody had heard of

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
        """See `hole_of`."""
        return await hole_of(self.go, tips)

    async def overwrote(self, one: OurMember) -> bool:
        """Whether it has merged what `one` has, and shows none or another version of keys that were deleted once, and of no
        other keys: at rest, and still after some announcements."""
        for pause in (0, 5 * REBROADCAST):
            await trio.sleep(pause)
            await eventually(self.rests, what="a Go peer with all blocks waits for nobody")
            if not await has_read(self.go, await one.heads()) or not await self._shows_older(one):
                return False
        return True

    async def _shows_older(self, one: OurMember) -> bool:
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


async def hole_of(go: GoPeer, tips: Collection[str]) -> str:
    """A block below its heads that a Go peer does not hold or never merged, or one of the tips that it takes for merged and
    has not below its heads; "" when there is none."""
    seen: set[str] = set()
    ahead = [head.cid for head in await go.heads()]
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        try:
            node = decode_node(cid.from_str(name), await go.block(name))
        except GoPeerError:
            return name
        if not await go.processed(name):
            return name
        seen.add(name)
        ahead += map(cid.to_str, node.links)
    lost = [name for name in tips if name not in seen and await go.processed(name)]
    return lost[0] if lost else ""


async def has_read(go: GoPeer, heads: Collection[str]) -> bool:
    """Whether a Go peer has these heads and has merged all that is below its own."""
    return {head.cid for head in await go.heads()} >= set(heads) and not await hole_of(go, heads)


class OurMember(Member):
    """One of our peers, in this process."""

    node: Peer

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        self._forget_peers()
        async with peer(self.directory, announce_interval=REBROADCAST) as self.node:
            self.peer_id, self.address = self.node.peer_id, self.node.session.addrs[0]
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

    async def write(self, puts: Mapping[str, bytes], deletes: Sequence[str]) -> tuple[bytes, ...]:
        written = await self.node._writer.write(puts, deletes)
        return tuple(each.node.cid for each in written)

    async def map(self) -> dict[str, bytes]:
        return await trio.to_thread.run_sync(values, self.directory)

    async def heads(self) -> set[str]:
        return {head.cid for head in await self.node.heads()}

    async def holds(self, name: str) -> bool:
        return not self.node._writer.replica.missing([cid.from_str(name)])

    async def connect(self, address: str) -> None:
        await self.node.connect(address)

    async def disconnect(self, other: str) -> None:
        network = self.node.session.network
        if network is not None:
            await network.disconnect(other)
