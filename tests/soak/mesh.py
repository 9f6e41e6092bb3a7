"""Ten processes, seven of ours and three of Go, that publish while one restarts every 5 s and one is frozen for 60 s.

They are connected at the start, and never again by the test: what brings them together after a restart is what our peers
remember. All must hold everything within 30 s of the last event. A Go peer announces what it wrote while nobody heard it
when its heads are due again, once a minute by default; here they are due every 5 s (`BETAR_SOAK_REBROADCAST`), since it is
our side that is tried.
"""

import base64
import json
import os
import random
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import trio

from betar_tui.market.marketplace import ListingDraft
from betar_tui.replica import keys
from tests.interop.driver import GoPeer, build_gopeer, open_gopeer
from tests.interop.members import hole_of
from tests.peers.harness import Served, served, values

COUNT = 20
PATIENCE = 10.0
"""Seconds before it is asked whether Go is to blame."""
REBROADCAST = os.environ.get("BETAR_SOAK_REBROADCAST", "5s")


@dataclass(frozen=True)
class Plan:
    """What happens to a mesh. Times are in seconds."""

    ours: int = 7
    go: int = 3
    publishes: int = 200
    span: float = 70.0
    restart_every: float = 5.0
    frozen_for: float = 60.0
    agree_within: float = 30.0


class Member:
    """A process of the mesh, which listens on the same port after a restart."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.listen = "/ip4/127.0.0.1/tcp/0"
        self.busy = False  # frozen, or restarting
        self.stops = 0
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        raise NotImplementedError

    async def stop(self, rng: random.Random) -> None:
        raise NotImplementedError

    async def connect(self, address: str) -> None:
        raise NotImplementedError

    async def publish(self, name: str) -> str:
        """Returns the key of the listing."""
        raise NotImplementedError

    async def map(self) -> Mapping[str, bytes]:
        raise NotImplementedError

    async def describe(self) -> str:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        raise NotImplementedError

    @property
    def address(self) -> str:
        raise NotImplementedError

    async def close(self) -> None:
        await self._stack.aclose()

    def _keep_port(self) -> None:
        self.listen = self.address.partition("/p2p/")[0]


class Ours(Member):
    peer: Served

    async def start(self) -> None:
        self._stack = AsyncExitStack()
        self.peer = await self._stack.enter_async_context(served(self.folder, listen=(self.listen,)))
        self._keep_port()

    async def stop(self, rng: random.Random) -> None:
        if rng.random() < 0.5:
            self.peer.process.kill()
        else:
            self.peer.process.terminate()
        await self.peer.process.wait()
        await self._stack.aclose()

    async def connect(self, address: str) -> None:
        await self.peer.market.connect(address)

    async def publish(self, name: str) -> str:
        (receipt,) = await self.peer.market.publish([ListingDraft(name, 1)])
        return keys.of_agent(receipt.id)

    async def map(self) -> Mapping[str, bytes]:
        return await trio.to_thread.run_sync(values, self.folder)

    async def describe(self) -> str:
        status = await self.peer.market.status()
        peers = " ".join(
            f"{each.peer_id[-4:]}{'' if each.on_topic else '?'}" for each in await self.peer.market.peers()
        )
        return f"topic {status.topic_peers} ({peers}) pending {status.pending} heads {status.heads}"

    @property
    def pid(self) -> int:
        return self.peer.process.pid

    @property
    def address(self) -> str:
        return self.peer.address


class Go(Member):
    peer: GoPeer

    def __init__(self, name: str, folder: Path, nursery: trio.Nursery) -> None:
        super().__init__(name, folder)
        self._nursery = nursery

    async def start(self) -> None:
        self._stack = AsyncExitStack()
        opened = open_gopeer(
            self._nursery,
            binary=build_gopeer(),
            listen=(self.listen,),
            key=self.folder / "key",
            data=self.folder / "data",
            rebroadcast=REBROADCAST,
        )
        self.peer = await self._stack.enter_async_context(opened)
        self._keep_port()

    async def stop(self, rng: random.Random) -> None:
        await self._stack.aclose()

    async def connect(self, address: str) -> None:
        await self.peer.connect(address)

    async def publish(self, name: str) -> str:
        key = keys.of_agent(name)
        await self.peer.put(key, json.dumps({"id": name, "name": name, "price": 1}).encode())
        return key

    async def map(self) -> Mapping[str, bytes]:
        return await self.peer.list()

    async def describe(self) -> str:
        stats = await self.peer.stats()
        return f"topic {len(await self.peer.topic_peers())} wants {len(stats['wants'])} queued {stats['queued_jobs']}"

    @property
    def pid(self) -> int:
        return self.peer.pid

    @property
    def address(self) -> str:
        return self.peer.address


class Mesh:
    """The mesh of one seed. `published` are the keys of all acknowledged listings."""

    def __init__(self, plan: Plan, seed: int, folder: Path, nursery: trio.Nursery) -> None:
        self._plan = plan
        self._rng = random.Random(seed)
        ours = [Ours(f"ours{n}", folder) for n in range(plan.ours)]
        self.first = ours[0]
        self.members: list[Member] = [*ours]
        self.members += [Go(f"go{n}", folder, nursery) for n in range(plan.go)]
        self.published: list[str] = []
        self.restarts = 0

    async def open(self) -> None:
        for each in self.members:
            await each.start()
        ours = [each for each in self.members if isinstance(each, Ours)]
        for number, each in enumerate(self.members[1:], 1):  # each is linked to two of ours, if there are two before it
            for other in self._rng.sample(ours[:number], min(number, len(ours), 2)):
                dialler, dialled = self._rng.sample((each, other), 2)
                await dialler.connect(dialled.address)

    async def live(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._freeze)
            nursery.start_soon(self._restart_some)
            for number in range(self._plan.publishes):
                await trio.sleep(self._plan.span / self._plan.publishes)
                member = self._rng.choice([each for each in self.members if not each.busy])
                try:
                    self.published.append(await member.publish(f"{member.name}-{number}"))
                except Exception:  # it restarts at this moment
                    if not member.busy:
                        raise

    async def _freeze(self) -> None:
        member = self._rng.choice(self.members)
        member.busy = True
        os.kill(member.pid, signal.SIGSTOP)
        try:
            await trio.sleep(self._plan.frozen_for)
        finally:
            os.kill(member.pid, signal.SIGCONT)
        member.busy = False

    async def _restart_some(self) -> None:
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(1, int(self._plan.span / self._plan.restart_every)):
                await trio.sleep_until(start + number * self._plan.restart_every)
                member = self._rng.choice([each for each in self.members if not each.busy])
                member.busy = True
                nursery.start_soon(self._restart, member)

    async def _restart(self, member: Member) -> None:
        member.stops += 1
        await member.stop(self._rng)
        await member.start()
        member.busy = False
        self.restarts += 1

    async def behind(self) -> list[Member]:
        """The members that do not hold everything that was published or that another of ours holds."""
        maps = {each: await each.map() for each in self.members}
        all_keys = set(self.published).union(*(maps[each] for each in self.members if isinstance(each, Ours)))
        return [each for each, held in maps.items() if held.keys() != all_keys]

    async def is_excused(self, member: Member) -> bool:
        """Whether a Go peer was stopped once and has lost a branch since, for which it asks nobody: its own fault."""
        if not isinstance(member, Go) or not member.stops:
            return False
        stats = await member.peer.stats()
        tips = {head.cid for head in await self.first.peer.market.heads()}
        return not stats["wants"] and not stats["queued_jobs"] and bool(await hole_of(member.peer, tips))

    async def agree(self) -> int:
        """Wait until all agree, for as long as it takes. Returns the number of Go peers that are excused."""
        start = trio.current_time()
        while behind := await self.behind():
            if trio.current_time() - start > PATIENCE and all([await self.is_excused(each) for each in behind]):
                break
            await trio.sleep(0.2)
        return len(behind)

    async def describe(self) -> str:
        """The state of each, for a failure."""
        lines = []
        for each in self.members:
            try:
                missing = sorted(set(self.published) - (await each.map()).keys())
                names = [base64.urlsafe_b64decode(key.rpartition("/")[2] + "==").decode()[-12:] for key in missing[:5]]
                lines.append(f"{each.name} {each.address[-4:]}: lacks {len(missing)} {names}, {await each.describe()}")
            except Exception as error:  # the failure is to be told of
                lines.append(f"{each.name}: {error!r}")
        return "\n".join(lines)


async def run_mesh(plan: Plan, seed: int, folder: Path, say: Callable[[str], None] = print) -> None:
    """Run one mesh. Raises AssertionError if it does not agree in time."""
    async with trio.open_nursery() as nursery:
        mesh = Mesh(plan, seed, folder, nursery)
        try:
            await mesh.open()
            await mesh.live()
            last = time.monotonic()
            with trio.move_on_after(plan.agree_within):
                excused = await mesh.agree()
                took = time.monotonic() - last
                broken = f"; {excused} Go peers lost a branch when they were stopped" if excused else ""
                say(
                    f"  seed {seed}: {len(mesh.published)} published, {mesh.restarts} restarts, "
                    f"all agree after {took:.1f} s{broken}"
                )
                return
            raise AssertionError(f"seed {seed}: no agreement within {plan.agree_within:g} s\n{await mesh.describe()}")
        finally:
            with trio.CancelScope(shield=True):
                for each in mesh.members:
                    await each.close()
            nursery.cancel_scope.cancel()


def run(count: int, seed: int) -> tuple[int, int]:
    """How many seeds agreed in time and how many did not."""
    good = bad = 0
    for each in range(seed, seed + count):
        with tempfile.TemporaryDirectory() as folder:
            try:
                trio.run(run_mesh, Plan(), each, Path(folder))
                good += 1
            except Exception:
                bad += 1
                print(f"  FAILED seed {each}\n{traceback.format_exc()}", flush=True)
    return good, bad
