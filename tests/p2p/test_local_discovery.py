"""The service that looks for peers on the local network, without a network. `tests/networks` has one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock

from betar_tui.p2p.discovery import mdns
from betar_tui.p2p.discovery.mdns import LOOK, RETRY, LocalDiscovery
from betar_tui.p2p.discovery.mdns_exchange import ALONE_PAUSE
from betar_tui.p2p.discovery.mdns_messages import LIBP2P, MARKET, answer, decode, question
from betar_tui.p2p.discovery.multicast import Interface

ALICE = "12D3KooWRkZhiRhsqmrQ28rt73K7V3aCBpqKrLGSXmZ99PTcTZby"
BOB = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"
AT_ALICE = (f"/ip4/10.1.0.1/tcp/4001/p2p/{ALICE}",)
AT_BOB = (f"/ip4/10.1.0.2/tcp/4001/p2p/{BOB}",)
ETH = Interface("eth0", 2, ("10.1.0.1",), ())


class FakeLink:
    """A socket: what is put into `incoming` arrives, what was sent is in `sent`."""

    def __init__(self, interface: Interface = ETH) -> None:
        self.interface = interface
        self.sent: list[bytes] = []
        self.closed = False
        self.send_in, self.receive_in = trio.open_memory_channel[tuple[bytes, str]](10_000)

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    async def receive(self, most: int) -> tuple[bytes, str]:
        return await self.receive_in.receive()

    def close(self) -> None:
        self.closed = True


class Machine:
    """Interfaces that can come and go, and a link for each stay."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *interfaces: Interface) -> None:
        self.interfaces = interfaces
        self.refusal = ""
        self.links: list[FakeLink] = []
        self.reports: list[str] = []
        self.found: list[tuple[str, tuple[str, ...], bool]] = []
        self.opened = 0
        monkeypatch.setattr(mdns, "interfaces", lambda: self.interfaces)
        monkeypatch.setattr(mdns, "open_links", self._open)

    def _open(self, found: tuple[Interface, ...]) -> tuple[list[FakeLink], str]:
        self.opened += 1
        links = [] if self.refusal else [FakeLink(each) for each in found]
        self.links += links
        return links, self.refusal

    def discovery(self, neighbours: int = 0) -> LocalDiscovery:
        return LocalDiscovery(lambda: AT_ALICE, lambda: neighbours, self._note, self.reports.append)

    def _note(self, peer: str, addrs: tuple[str, ...], fresh: bool) -> None:
        self.found.append((peer, addrs, fresh))


async def test_without_an_interface_it_says_so_once_and_starts_when_there_is_one(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch)
    nursery.start_soon(machine.discovery().run)
    await trio.sleep(1000)
    assert len(machine.reports) == 1
    assert "no network interface" in machine.reports[0]
    machine.interfaces = (ETH,)
    await trio.sleep(LOOK + 0.1)
    (link,) = machine.links
    assert question() in link.sent
    machine.interfaces = ()
    await trio.sleep(1000)
    assert link.closed
    first, over, second = machine.reports
    assert (first, over) == (second, "")


async def test_a_refused_port_is_said_once_and_tried_again(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, ETH)
    machine.refusal = "a program has it"
    nursery.start_soon(machine.discovery().run)
    await trio.sleep(10 * RETRY + 1)
    assert machine.opened == 11
    (report,) = machine.reports
    assert "a program has it" in report
    machine.refusal = ""
    await trio.sleep(RETRY)
    assert machine.reports == [report, ""]
    assert machine.links[0].sent


async def test_it_says_goodbye_and_comes_back_under_another_name_when_the_interfaces_change(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, ETH)
    with trio.CancelScope() as scope:
        discovery = machine.discovery()
        nursery.start_soon(discovery.run)
        await trio.sleep(LOOK / 2)
        machine.interfaces = (Interface("eth0", 2, ("10.1.0.77",), ()),)
        discovery.moved()
        await trio.sleep(LOOK / 3)
        scope.cancel()
    first, second = machine.links
    assert first.closed
    names = []
    for link in (first, second):
        announced = [record for message in link.sent for record in decode(message).records]
        names.append({record.name.partition(".")[0] for record in announced})
        assert {record.service for record in announced} == {MARKET, LIBP2P}
    assert [len(each) for each in names] == [1, 1]
    assert names[0] != names[1]
    assert [decode(message).records[0].gone for message in first.sent[-2:]] == [True, True]


async def test_what_it_hears_is_reported_and_questions_are_answered(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, ETH)
    nursery.start_soon(machine.discovery(neighbours=1).run)
    await trio.sleep(20)
    (link,) = machine.links
    link.sent.clear()
    for data in (b"nonsense", answer(MARKET, "bob", AT_BOB), question()):
        await link.send_in.send((data, "10.1.0.2"))
    await trio.sleep(1)
    assert machine.found == [(BOB, AT_BOB, True)]
    answers = [each for each in link.sent if each != question()]  # it may have been time to ask, too
    assert {decode(each).records[0].service for each in answers} == {MARKET, LIBP2P}


async def test_a_peer_that_lost_its_last_neighbour_asks_sooner(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, ETH)
    neighbours = [1]
    discovery = LocalDiscovery(lambda: AT_ALICE, lambda: neighbours[0], lambda *sighting: None, machine.reports.append)
    nursery.start_soon(discovery.run)
    await trio.sleep(400)
    (link,) = machine.links
    link.sent.clear()
    neighbours[0] = 0
    await trio.sleep(3 * ALONE_PAUSE)
    assert link.sent.count(question()) >= 2


async def test_a_flood_leaves_the_loop_to_others(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is virtual, so that only the rests take time: it is the time that reading took that counts."""
    machine = Machine(monkeypatch, ETH)
    seconds = SimpleNamespace(perf_counter=iter(range(10_000)).__next__)  # a second for each message
    monkeypatch.setattr(mdns, "time", seconds)
    nursery.start_soon(machine.discovery().run)
    await trio.sleep(1)
    for number in range(100):
        machine.links[0].send_in.send_nowait((answer(MARKET, f"n{number}", AT_BOB), "10.1.0.2"))
    await trio.sleep(mdns.REST * 10 - 1)
    assert machine.links[0].receive_in.statistics().current_buffer_used == 90
