"""Finding peers on the local network, and being found there, by mDNS in the way of a Go betar and of libp2p.

A service of `Network`. It follows the interfaces: when one comes, goes or changes its addresses, it says goodbye and
starts anew under another name, since a Go peer acts on an instance once. Without an interface that carries multicast it
says so once, and waits for one."""

import logging
import time
from collections.abc import Callable

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.errors import DecodeError
from betar_tui.p2p.discovery.mdns_exchange import Exchange
from betar_tui.p2p.discovery.mdns_messages import MAX_MESSAGE
from betar_tui.p2p.discovery.multicast import Interface, Link, interfaces, open_links

log = logging.getLogger(__name__)

LOCAL_NETWORK = "finding peers on the local network"
"""Name of the service."""
LOOK = 10.0
"""Seconds between two looks at the interfaces, unless `moved` says that they have changed."""
LONELY = 2.5
"""Seconds between two looks at whether this peer has lost its last neighbour, and asks sooner for that."""
RETRY = 60.0
"""Seconds until interfaces that refused are tried again."""
SLICE = 0.002
"""Seconds that messages of a link may take before no more are read for a while."""
REST = 19.0
"""Seconds of that rest for each second that they took: all mDNS there costs at most 5 % of the loop's time."""


class LocalDiscovery:
    """Calls `found(peer, addrs, fresh)` for each peer on the local network: `fresh` when it has just come or moved, and
    again from time to time while it is there.

    `addrs` gives this peer's own multiaddrs, `neighbours` the number of peers on the topic. `report` is told, once, why
    no local network can be looked at, and "" when one can again."""

    def __init__(
        self,
        addrs: Callable[[], tuple[str, ...]],
        neighbours: Callable[[], int],
        found: Callable[[str, tuple[str, ...], bool], None],
        report: Callable[[str], None],
    ) -> None:
        self._addrs = addrs
        self._neighbours = neighbours
        self._found = found
        self._report = report
        self._reported = False
        self._moved = Wakeup()
        self.next_ask = 0.0
        self.trouble = ""

    def moved(self) -> None:
        """The addresses of this machine have changed."""
        self._moved.set()

    async def run(self) -> None:
        """The service."""
        while True:
            seen, own = interfaces(), self._addrs()
            links, refusal = open_links(seen)
            try:
                if links:
                    if self._reported:
                        self._report("")
                    self._reported, self.trouble = False, ""
                    await self._stay(links, seen, own)
                else:
                    self._say_no(refusal)
                    with trio.move_on_after(RETRY):
                        await self._changed(seen, own)
            finally:
                for link in links:
                    link.close()

    def _say_no(self, refusal: str) -> None:
        self.next_ask = 0.0
        self.trouble = why = refusal or "this machine has no network interface that is up and carries multicast"
        if not self._reported:
            self._reported = True
            log.warning("not looking for peers on the local network: %s", why)
            self._report(f"not possible now: {why}. It starts by itself as soon as it can; --no-mdns does without it.")

    async def _stay(self, links: list[Link], seen: tuple[Interface, ...], own: tuple[str, ...]) -> None:
        """Ask and answer until the interfaces or this peer's own addresses change."""
        log.info("looking for peers on %s", ", ".join(sorted({link.interface.name for link in links})))
        exchange = Exchange(own, trio.current_time())
        wakeup = Wakeup()
        machine = frozenset(ip for interface in seen for ip in interface.ip4 + interface.ip6)
        try:
            async with trio.open_nursery() as nursery:
                for link in links:
                    nursery.start_soon(self._listen, link, exchange, machine, wakeup)
                nursery.start_soon(self._speak, links, exchange, wakeup)
                await self._changed(seen, own)
                nursery.cancel_scope.cancel()
        finally:
            for message in exchange.goodbye():
                for link in links:
                    link.send(message)

    async def _changed(self, seen: tuple[Interface, ...], own: tuple[str, ...]) -> None:
        while True:
            with trio.move_on_after(LOOK):
                await self._moved.wait()
            if interfaces() != seen or self._addrs() != own:
                return

    async def _listen(self, link: Link, exchange: Exchange, machine: frozenset[str], wakeup: Wakeup) -> None:
        spent = 0.0
        while True:
            data, source = await link.receive(MAX_MESSAGE + 1)
            started = time.perf_counter()
            due = exchange.due(alone=False)
            try:
                sightings = exchange.received(data, source, source in machine, trio.current_time())
            except DecodeError as error:
                log.debug("%s from %s", error, source)
                sightings = []
            for sighting in sightings:
                self._found(sighting.peer, sighting.addrs, sighting.fresh)
            if exchange.due(alone=False) != due:
                wakeup.set()
            spent += time.perf_counter() - started
            if spent > SLICE:
                await trio.sleep(REST * spent)
                spent = 0.0

    async def _speak(self, links: list[Link], exchange: Exchange, wakeup: Wakeup) -> None:
        while True:
            alone = not self._neighbours()
            for message in exchange.messages(alone, trio.current_time()):
                for link in links:
                    link.send(message)
            self.next_ask = exchange.due(alone)
            with trio.move_on_at(min(self.next_ask, trio.current_time() + LONELY)):
                await wakeup.wait()
