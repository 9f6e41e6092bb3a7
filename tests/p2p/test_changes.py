"""Moves to other addresses, and sleeps: what `ChangeWatch` makes of interfaces and clocks."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import SimpleNamespace

import trio
import trio.testing

from betar_tui.p2p.changes import LATE, TICK, ChangeWatch, addresses_of, clocks, own_addresses


def entry(address: str) -> SimpleNamespace:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return SimpleNamespace(family=family, address=address)


def test_addresses_of_interfaces_that_are_up() -> None:
    addresses = {
        "eth0": [
            entry("10.0.0.1"),
            entry("fe80::1%eth0"),
            entry("fd00::1"),
            SimpleNamespace(family=17, address="aa:bb"),
        ],
        "wlan0": [entry("10.0.0.2")],
        "new": [entry("10.0.0.3")],
    }
    states = {"eth0": SimpleNamespace(isup=True), "wlan0": SimpleNamespace(isup=False)}
    assert addresses_of(addresses, states) == {("eth0", "10.0.0.1"), ("eth0", "fd00::1")}


def test_this_machine_has_loopback() -> None:
    assert any(address == "127.0.0.1" for _, address in own_addresses())
    assert all(late >= early for early, late in zip(clocks(), clocks(), strict=True))


class World:
    """Interfaces and clocks that a test sets; what the watch said of them."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.addresses = frozenset({("eth0", "10.0.0.1")})
        self.suspended = self.adjusted = 0.0
        self.said: list[str] = []
        say = self.said.append
        watch = ChangeWatch(lambda: say("moved"), lambda: say("woke"), look=lambda: self.addresses, clocks=self._clocks)
        nursery.start_soon(watch.run)

    def _clocks(self) -> tuple[float, float]:
        now = trio.current_time()
        return now + self.suspended + self.adjusted, now + self.suspended

    async def after(self, change: Callable[[], None]) -> list[str]:
        """What is said within three looks after a change."""
        await trio.sleep(3 * TICK)
        self.said.clear()
        change()
        await trio.sleep(3 * TICK)
        return self.said


async def test_what_is_noticed(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    world = World(nursery)

    def change(**values: object) -> Callable[[], None]:
        return lambda: vars(world).update(values)

    assert await world.after(lambda: None) == []
    assert await world.after(change(addresses=frozenset({("eth0", "10.0.0.2")}))) == ["moved"]
    assert await world.after(change(addresses=frozenset())) == ["moved"]
    assert await world.after(change(suspended=LATE - 1)) == []
    assert await world.after(change(suspended=2 * LATE)) == ["woke"]
    assert await world.after(change(adjusted=-100.0)) == []  # the wall clock was set back
    assert await world.after(change(adjusted=0.0)) == ["woke"]
    nursery.cancel_scope.cancel()
