"""Notices that this machine has moved to other addresses, or has slept.

Neither ends a connection by itself: after a change of network, and after a sleep in which the others gave up, a socket can
stay open and silent for minutes. The addresses of the interfaces that are up are compared every few seconds, which needs
no privileges and works on every system. A sleep shows by a pause that took much longer than it should have: by the wall
clock or by the one that goes on while the machine is suspended, since the monotonic clock stands still then. A process that
was stopped and continued looks the same."""

import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import psutil
import trio

from betar_tui.concurrency import until_tick

TICK = 2.0
"""Seconds between two looks."""
LATE = 5.0
"""Seconds by which a pause must have been too long to count as a sleep."""
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def own_addresses() -> frozenset[tuple[str, str]]:
    """Interface and IP address of every interface that is up, without link-local IPv6 addresses: those come and go."""
    return addresses_of(psutil.net_if_addrs(), psutil.net_if_stats())


def addresses_of(addresses: Mapping[str, Any], states: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """See `own_addresses`; the arguments are psutil's."""
    return frozenset(
        (interface, entry.address)
        for interface, entries in addresses.items()
        if interface in states and states[interface].isup
        for entry in entries
        if entry.family in _FAMILIES and not entry.address.lower().startswith("fe80:")
    )


def clocks() -> tuple[float, float]:
    """The wall clock and, where there is one, the clock that counts suspended time; seconds."""
    boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.time(), time.clock_gettime(boot)


class ChangeWatch:
    """Calls `moved` when the own addresses have changed, and `woke` when this process has not run for a while."""

    def __init__(
        self,
        moved: Callable[[], None],
        woke: Callable[[], None],
        *,
        look: Callable[[], frozenset[tuple[str, str]]] = own_addresses,
        clocks: Callable[[], tuple[float, float]] = clocks,
    ) -> None:
        self._moved = moved
        self._woke = woke
        self._look = look
        self._clocks = clocks

    async def run(self) -> None:
        """A service: watches until cancelled."""
        known, before = self._look(), self._clocks()
        while True:
            pause = until_tick(TICK)
            await trio.sleep(pause)
            after = self._clocks()
            slept = max(late - early for late, early in zip(after, before, strict=True)) - pause
            addresses = self._look()
            if addresses != known:
                self._moved()
            elif slept > LATE:
                self._woke()
            known, before = addresses, after
