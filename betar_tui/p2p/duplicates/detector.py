"""Puts the signs of a duplicate together: proofs through relays, and handshakes in which the other end has our key.

A handshake with an address of our own is told from one with a duplicate by the static Noise key, which is new at each
start. Addresses at which this peer id is said to be, and which are not ours, are dialled to find out."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.errors import NetworkError
from betar_tui.multiaddrs import split_peer
from betar_tui.p2p.duplicates.client import Instance, watch_relay
from betar_tui.p2p.duplicates.relay import InstanceRelay
from betar_tui.p2p.guard import has_ended, is_nonsense, only, shortened
from betar_tui.p2p.types import KeyInUse, Stream
from betar_tui.supervise import Supervisor

log = logging.getLogger(__name__)

EXPIRY = 25.0
"""Seconds after the last sign of a duplicate for which it counts as running."""
PROBE_INTERVAL = 10.0
"""Seconds between two dials of an address at which a duplicate answered."""
SUSPECT_INTERVAL = 60.0
"""Seconds between two dials of an address at which none did."""
MAX_SUSPECTS = 16
"""Maximum addresses that are dialled for a duplicate."""
REOPEN_PAUSE = 10.0
"""Seconds until a stream to a relay that ended is opened again."""
DUPLICATE = (
    "this key is used by another running peer (seen {where}); stop one of the two, or remove identity.key in the copied data"
    " directory to become a new peer"
)
GONE = "no other running peer uses this key any more"


class Surroundings(Protocol):
    """The part of `Network` that the detector uses."""

    @property
    def addrs(self) -> tuple[str, ...]:
        """This peer's own multiaddrs."""

    async def open_stream(self, peer: str, protocol: str) -> Stream:
        """Open a stream to a connected peer. Raises NetworkError."""

    def penalize(self, peer: str, reason: str) -> None:
        """Count a misbehaviour."""


class DuplicateDetector:
    """Watches for another process with this key. `current` is a sentence about it, "" while there is none.

    `dial(address)` tries a handshake at a multiaddr and never raises; `report` is called when a duplicate appears and when
    it has gone."""

    def __init__(
        self,
        seed: bytes,
        network: Surroundings,
        dial: Callable[[str], Awaitable[None]],
        report: Callable[[KeyInUse], None],
    ) -> None:
        self._instance = Instance(seed)
        self._network = network
        self._dial = dial
        self._report = report
        self._signs = 0
        self._until = 0.0
        self._where = ""
        self._noted = Wakeup()
        self._suspects: dict[str, float] = {}  # multiaddrs without /p2p, and when each is dialled
        self._innocent: dict[str, float] = {}  # those where no duplicate answered, and until when they are left alone
        self._suspected = Wakeup()
        self.relay = InstanceRelay()
        self.current = ""

    def start(self, supervisor: Supervisor) -> None:
        """Start the services."""
        supervisor.start("duplicates", self._run)
        supervisor.start("suspected duplicates", self._run_probes)

    def troubles(self) -> tuple[str, ...]:
        """`current`, if there is one."""
        return (self.current,) if self.current else ()

    def met(self, where: str) -> None:
        """Another process has this key: it was seen `where`, a phrase such as "at 192.0.2.7"."""
        self._signs += 1
        self._until = trio.current_time() + EXPIRY
        self._where = where
        self._noted.set()

    def suspect(self, addrs: Iterable[str]) -> None:
        """Somebody says that this peer is at these multiaddrs."""
        now = trio.current_time()
        self._innocent = {address: until for address, until in self._innocent.items() if until > now}
        left_alone = (
            {split_peer(each)[0] for each in self._network.addrs} | self._innocent.keys() | self._suspects.keys()
        )
        for address in dict.fromkeys(split_peer(each)[0] for each in addrs):
            if address not in left_alone and len(self._suspects) < MAX_SUSPECTS:
                self._suspects[address] = now
        if self._suspects:
            self._suspected.set()

    async def explain(self, address: str) -> str:
        """A sentence about an address of this peer id that a person wants to dial."""
        if split_peer(address)[0] in {split_peer(each)[0] for each in self._network.addrs}:
            return "That is this peer's own address."
        signs = self._signs
        await self._dial(split_peer(address)[0])
        if self._signs == signs:
            return "That is this peer's own id, and no other peer answers there."
        sentence = DUPLICATE.format(where="there")
        return f"{sentence[0].upper()}{sentence[1:]}."

    # Services

    async def _run(self) -> None:
        """Report when a duplicate appears, and when no sign of it came for a while."""
        while True:
            await self._noted.wait()
            self.current = DUPLICATE.format(where=self._where)
            log.warning("%s", self.current)
            self._report(KeyInUse(self.current, over=False))
            gone = False
            while not gone:
                with trio.move_on_at(self._until) as scope:
                    await self._noted.wait()
                gone = scope.cancelled_caught
            self.current = ""
            log.info("%s", GONE)
            self._report(KeyInUse(GONE, over=True))

    async def _run_probes(self) -> None:
        """Dial the suspected addresses, one after the other."""
        while True:
            await self._suspected.wait()
            while self._suspects:
                address = min(self._suspects, key=self._suspects.__getitem__)
                await trio.sleep_until(self._suspects[address])
                signs = self._signs
                await self._dial(address)
                if self._signs > signs:
                    self._suspects[address] = trio.current_time() + PROBE_INTERVAL
                else:
                    del self._suspects[address]
                    self._innocent[address] = trio.current_time() + SUSPECT_INTERVAL
                    while len(self._innocent) > MAX_SUSPECTS:
                        del self._innocent[next(iter(self._innocent))]

    async def watch(self, peer: str, connected: Callable[[], bool]) -> None:
        """Ask a peer that relays for other processes with this key, until it is not connected any more."""
        while connected():
            try:
                await watch_relay(
                    self._instance, self._network.open_stream, peer, lambda: self.met(f"connected to {peer} too")
                )
            except* (
                Exception
            ) as group:  # beside it there may be a cancellation, when the stream ends as this peer stops
                error = only(group)
                if not has_ended(error) and is_nonsense(error):
                    self._network.penalize(peer, shortened(f"instances: {error!r}"))
                elif not has_ended(error) and not isinstance(error, NetworkError):
                    log.warning("looking for duplicates through %s: %r", peer, error)
            await trio.sleep(REOPEN_PAUSE)
