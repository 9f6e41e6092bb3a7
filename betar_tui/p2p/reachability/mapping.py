"""Asks the router to forward a port, by UPnP, through miniupnpc, which is installed with the extra `upnp`.

py-libp2p 0.8.1: its `UpnpManager` waits for the router without a deadline, asks for a mapping that never expires, and
logs errors where there is no such router. Here each call has a deadline, the mapping is leased and renewed, and removed
when the peer stops."""

import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from betar_tui.concurrency import Wakeup

log = logging.getLogger(__name__)

LEASE = 3600
"""Seconds for which a port is forwarded without renewal."""
RENEWAL = 1500.0
"""Seconds between two renewals."""
RETRY_MIN, RETRY_MAX = 300.0, 3600.0
"""Seconds until a router is looked for again where none answered: at first, and at most."""
DISCOVERY = 2000
"""Milliseconds to wait for the answers of routers."""
TIMEOUT = 15.0
"""Seconds for looking for a router and mapping a port."""
REMOVAL_TIMEOUT = 0.7
"""Seconds for removing the mapping when the peer stops."""
OTHER_PORTS = 3
"""Number of other external ports to try where the own one is taken."""
DESCRIPTION = "betar-tui"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A forwarded TCP port: the router's external address and port, and the local port. `router` makes the calls."""

    ip: str
    port: int
    local_port: int
    router: Any

    @property
    def address(self) -> str:
        """The multiaddr outside."""
        return f"/ip{ipaddress.ip_address(self.ip).version}/{self.ip}/tcp/{self.port}"


class PortMapper:
    """Keeps `port()` forwarded; None means that nothing is to be forwarded. Calls `changed` after a change of `mapping`."""

    def __init__(self, port: Callable[[], int | None], changed: Callable[[], None]) -> None:
        self._port = port
        self._changed = changed
        # A call that hangs is abandoned, and keeps its place here until it ends.
        self._limiter = trio.CapacityLimiter(2)
        self._wakeup = Wakeup()
        self.mapping: Mapping | None = None
        self.trouble = ""

    async def run(self) -> None:
        """A service: maps the port, renews it, and looks for a router again where there was none."""
        pause = RETRY_MIN
        while True:
            port = self._port()
            if port is not None:
                await self._renew(port)
            else:
                await self._withdraw()
            with trio.move_on_after(pause if self.mapping is None else RENEWAL) as scope:
                await self._wakeup.wait()
            missing = self.mapping is None and scope.cancelled_caught
            pause = min(2 * pause, RETRY_MAX) if missing else RETRY_MIN

    def wake(self) -> None:
        """This peer's addresses have changed: it may be at another router."""
        self._wakeup.set()

    async def close(self) -> None:
        """Remove the mapping, if there is one and the router answers in time."""
        if (mapping := self.mapping) is not None:
            self.mapping = None
            with trio.move_on_after(REMOVAL_TIMEOUT):
                await self._in_thread(_unmap, mapping)

    async def _withdraw(self) -> None:
        """There is nothing to forward any more."""
        mapped, self.trouble = self.mapping is not None, ""
        await self.close()
        if mapped:
            self._changed()

    async def _renew(self, port: int) -> None:
        before, self.trouble = self.mapping, ""
        with trio.move_on_after(TIMEOUT) as scope:
            try:
                self.mapping = await self._in_thread(_map, port, before)
            except Exception as error:
                # miniupnpc raises plain exceptions with the router's words.
                self.mapping, self.trouble = None, str(error) or type(error).__name__
        if scope.cancelled_caught:
            self.mapping, self.trouble = None, f"the router did not answer within {TIMEOUT:g} s"
        if self.mapping is not None and before is None:
            log.info("the router forwards %s to port %d", self.mapping.address, port)
        elif self.mapping is None:
            log.debug("no port is forwarded: %s", self.trouble)
        if (before and before.address) != (self.mapping and self.mapping.address):
            self._changed()

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        call = partial(function, *arguments)
        return await trio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._limiter)  # type: ignore[call-arg]


def _find_router() -> Any:
    """The router that answers. Raises Exception with the reason, MissingPackage where miniupnpc is not installed."""
    import miniupnpc  # deferred: an extension module that most peers do not need

    router = miniupnpc.UPnP()
    router.discoverdelay = DISCOVERY
    try:
        found = router.discover()
    except Exception as error:
        if str(error) != "Success":
            raise
        found = 0  # miniupnpc raises the error of the system when none answers, and there is none
    if not found:
        raise OSError("no router that offers UPnP answers")
    router.selectigd()
    return router


def _map(port: int, before: Mapping | None) -> Mapping:
    """Forward a port, the same external one as before. Raises Exception with the reason."""
    router = _find_router()
    external = str(ipaddress.ip_address(router.externalipaddress() or ""))
    refused: Exception | None = None
    for outside in (before.port if before else port, *(port + 1 + i for i in range(OTHER_PORTS))):
        if outside > 65_535:
            break
        for lease in (LEASE, 0):  # some routers know permanent mappings only
            try:
                router.addportmapping(outside, "TCP", router.lanaddr, port, DESCRIPTION, "", lease)
                return Mapping(external, outside, port, router)
            except Exception as error:
                refused = error
    raise refused or OSError("no port can be forwarded")


def _unmap(mapping: Mapping) -> None:
    try:
        mapping.router.deleteportmapping(mapping.port, "TCP")
    except Exception as error:
        log.debug("removing the forwarded port: %s", error)
