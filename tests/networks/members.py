"""Peers on machines of their own that are started with no option but to look for others, stopped and killed."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from betar_tui.market.marketplace import ListingDraft
from betar_tui.replica import keys
from tests.interop.driver import GoPeer, open_gopeer, wait_until
from tests.namespaces import Machine
from tests.peers.harness import Served, served

ANY = ("/ip4/0.0.0.0/tcp/0",)
LOGGED = 30
"""Number of lines of its log that a peer of ours gives an account with."""


@dataclass
class Member(ABC):
    """A peer that keeps its identity and its data while it is away."""

    machine: Machine
    directory: Path
    peer_id: str = ""
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @abstractmethod
    async def start(self) -> None:
        """Start, and return once it is ready."""

    @abstractmethod
    async def stop(self) -> None:
        """End it as a person would."""

    @abstractmethod
    async def kill(self) -> None:
        """End it as a power cut would."""

    async def close(self) -> None:
        """End it at the latest now."""
        await self._stack.aclose()

    @abstractmethod
    async def on_topic(self) -> set[str]:
        """The peers that it has on the topic."""

    async def account(self) -> str:
        """Whom it has on the topic, for somebody who asks why a mesh did not come about."""
        return (
            f"{type(self).__name__} {self.peer_id} has on the topic: {', '.join(sorted(await self.on_topic())) or '-'}"
        )

    @abstractmethod
    async def publish(self, name: str) -> str:
        """Publish a listing; returns its id."""

    @abstractmethod
    async def shows(self, listing_id: str) -> bool:
        """Whether it has a listing."""


class OurMember(Member):
    """`betar-tui --serve`, with mDNS on."""

    ours: Served

    async def start(self) -> None:
        process = served(self.directory, "--mdns", listen=ANY, inside=self.machine.command())
        self.ours = await self._stack.enter_async_context(process)
        self.peer_id = self.ours.peer_id

    async def stop(self) -> None:
        self.ours.process.terminate()
        await self.ours.process.wait()
        await self._stack.aclose()

    async def kill(self) -> None:
        self.ours.process.kill()
        await self._stack.aclose()

    async def on_topic(self) -> set[str]:
        return {each.peer_id for each in await self.ours.market.peers() if each.on_topic}

    async def account(self) -> str:
        """The same, with the last lines of its log."""
        lines = self.ours.log.read_text().splitlines()[-LOGGED:]
        return "\n".join([await super().account(), *lines])

    async def publish(self, name: str) -> str:
        (receipt,) = await self.ours.market.publish([ListingDraft(name, 1)])
        return receipt.id

    async def shows(self, listing_id: str) -> bool:
        return any(each.id == listing_id for each in (await self.ours.market.listings()).listings)


@dataclass
class GoMember(Member):
    """An unmodified Go peer, with mDNS as betar has it."""

    binary: Path = Path()
    nursery: trio.Nursery | None = None
    go: GoPeer = field(init=False)

    async def start(self) -> None:
        assert self.nursery is not None
        self.directory.mkdir(exist_ok=True)
        key, data = self.directory / "key", self.directory / "data"
        inside = self.machine.command()
        peer = open_gopeer(self.nursery, binary=self.binary, listen=ANY, mdns=True, key=key, data=data, inside=inside)
        self.go = await self._stack.enter_async_context(peer)
        self.peer_id = self.go.peer_id

    async def stop(self) -> None:
        await self._stack.aclose()

    async def kill(self) -> None:
        await self.go.kill()
        await self._stack.aclose()

    async def on_topic(self) -> set[str]:
        return set(await self.go.topic_peers())

    async def publish(self, name: str) -> str:
        listing = {"id": name, "name": name, "price": 1, "metadata": "", "sellerId": self.peer_id, "addrs": []}
        await self.go.put(keys.of_agent(name), json.dumps({**listing, "protocols": [], "timestamp": 1}).encode())
        return name

    async def shows(self, listing_id: str) -> bool:
        return await self.go.get(keys.of_agent(listing_id)) is not None


async def one_mesh(members: Sequence[Member], word: str, within: float) -> float:
    """Wait until each member has all others on the topic, and shows what each of them publishes from now on.

    Returns the seconds until then; raises trio.TooSlowError after `within` seconds. `word` must be new at each call."""
    began = trio.current_time()
    everyone = {each.peer_id for each in members}
    try:
        with trio.fail_after(within):
            for member in members:
                others = everyone - {member.peer_id}
                await wait_until(partial(_has, member, others), within=within)
            ids = [await member.publish(f"{word}{number}") for number, member in enumerate(members)]
            for member in members:
                for each in ids:
                    await wait_until(partial(member.shows, each), within=within)
    except trio.TooSlowError as error:
        for member in members:
            with trio.move_on_after(within):
                error.add_note(await _account(member))
        error.add_note(f"since {word!r}")
        raise
    return trio.current_time() - began


async def _account(member: Member) -> str:
    try:
        return await member.account()
    except Exception as error:  # the failure that is accounted for is the other one
        return f"{type(member).__name__} {member.peer_id} gives no account: {error!r}"


async def _has(member: Member, others: set[str]) -> bool:
    return await member.on_topic() >= others
