"""A network that cannot be opened, or fails: the peer goes on without it, and takes it up again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
import trio
import trio.testing

from betar_tui.config import Config
from betar_tui.errors import ListenError, NetworkError, NoRunningPeerError, StoreError
from betar_tui.market.marketplace import Connectivity, ListingDraft, Notice, StatusChanged
from betar_tui.peer import Peer, open_peer
from betar_tui.peer.reopening import LONGEST_REOPEN_AFTER, REOPEN_AFTER, Reopening

TAKEN = ListenError("Cannot listen on /ip4/127.0.0.1/tcp/1: in use.", "/ip4/127.0.0.1/tcp/1", "in use")


@pytest.fixture
def taken(tmp_path) -> Iterator[Config]:
    """A peer whose port another program holds."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"/ip4/127.0.0.1/tcp/{other.getsockname()[1]}"
        yield Config(data_dir=tmp_path / "data", listen=(address,), listen_explicit=True)


async def offline(peer: Peer) -> None:
    """Wait until the first attempt has failed."""
    async with peer.events() as events:
        while not peer.session.offline:
            await events.receive()


async def test_a_port_that_is_taken_leaves_an_interface_offline_until_it_takes_a_free_one(taken) -> None:
    async with open_peer(taken, network=True, must_open=False) as peer:
        await offline(peer)
        status = await peer.status()
        assert (status.running, status.connectivity, status.addrs) == (True, Connectivity.FAILED, ())
        assert status.port_taken == taken.listen[0]
        assert status.offline.startswith(f"cannot listen on {taken.listen[0]}: ")
        assert await peer.peers() == status.troubles == ()
        (receipt,) = await peer.publish([ListingDraft("swift-ocr", 0.05)])
        assert receipt.sent_to == 0
        with pytest.raises(NetworkError, match="this peer is offline: cannot listen on"):
            await peer.connect("/ip4/127.0.0.1/tcp/1/p2p/x")
        with pytest.raises(NetworkError, match="cannot listen on"):
            await peer.go_online()
        async with peer.events() as events:
            await peer.go_online(free_port=True)
            status = await peer.status()
            assert (status.connectivity, status.offline, status.port_taken) == (Connectivity.ALONE, "", "")
            assert status.addrs
            assert taken.listen[0].rpartition("/")[2] not in status.addrs[0]
            assert taken.listen[0] in status.listen_notice
            notices = [each for each in iter_now(events) if isinstance(each, Notice)]
            assert [each.text for each in notices] == [status.listen_notice]
        await peer.go_online(free_port=True)  # is online already
        assert (await peer.listings()).total == 1


def iter_now(events: trio.MemoryReceiveChannel[object]) -> Iterator[object]:
    while True:
        try:
            yield events.receive_nowait()
        except trio.WouldBlock:
            return


async def test_a_service_on_a_port_that_is_taken_ends_with_the_reason(taken) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(NetworkError, match=taken.listen[0]), flatten_subgroups=True):
        async with open_peer(taken, network=True) as peer:
            await peer.session.ready.wait()


async def test_the_default_port_is_replaced_and_a_notice_says_so(taken) -> None:
    async with open_peer(replace(taken, listen_explicit=False), network=True) as peer:
        async with peer.events() as events:
            while not isinstance(event := await events.receive(), Notice):
                assert isinstance(event, StatusChanged)
        assert event.level == "warning"
        assert "a free port was taken instead" in event.text
        assert (await peer.status()).listen_notice == event.text


async def test_a_peer_without_a_network_does_not_go_online(tmp_path) -> None:
    async with open_peer(Config(data_dir=tmp_path / "data"), network=False) as peer:
        with pytest.raises(NoRunningPeerError):
            await peer.go_online(free_port=True)
        assert (await peer.status()).searches == ()


async def test_what_is_tried_is_in_the_status(tmp_path) -> None:
    known = "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWRkZhiRhsqmrQ28rt73K7V3aCBpqKrLGSXmZ99PTcTZby"
    config = Config(data_dir=tmp_path / "data", listen=("/ip4/127.0.0.1/tcp/0",), bootstrap=(known,))
    async with open_peer(config, network=True) as peer:
        await peer.session.ready.wait()
        assert [each.what for each in (await peer.status()).searches] == ["dialling 1 bootstrap peer"]


# The loop alone, on a virtual clock


class Network:
    """Fails to open with these errors, one after the other, and then stays open."""

    def __init__(self, *errors: Exception, opens_for: float = 0.0) -> None:
        self.errors = list(errors)
        self.opens_for = opens_for
        self.at: list[float] = []
        self.states: list[Connectivity] = []
        self.reopening = Reopening(self.open, self.states.append)

    async def open(self) -> None:
        self.at.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.errors:
            if self.opens_for:
                self.reopening.opened()
                await trio.sleep(self.opens_for)
            raise self.errors.pop(0)
        self.reopening.opened()
        await trio.sleep_forever()


async def test_a_network_is_tried_again_after_growing_pauses(autojump_clock) -> None:
    network = Network(TAKEN, TAKEN, TAKEN)
    async with trio.open_nursery() as nursery:
        began = trio.current_time()
        nursery.start_soon(network.reopening.run, False)
        await trio.sleep(60 * REOPEN_AFTER)
        assert [at - began for at in network.at] == [0, REOPEN_AFTER, 3 * REOPEN_AFTER, 7 * REOPEN_AFTER]
        assert network.states == [Connectivity.FAILED] * 3
        assert (network.reopening.offline, network.reopening.port_taken) == ("", "")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("opens_for", "pauses"), [(LONGEST_REOPEN_AFTER, [1, 1, 1, 1]), (LONGEST_REOPEN_AFTER - 1, [1, 2, 4, 8])]
)
async def test_the_pause_begins_anew_after_the_network_has_been_open_for_a_while(
    opens_for, pauses, autojump_clock
) -> None:
    network = Network(*[OSError("x")] * 4, opens_for=opens_for)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(network.reopening.run, False)
        await trio.sleep(10 * LONGEST_REOPEN_AFTER)
        between = [b - a - opens_for for a, b in zip(network.at, network.at[1:], strict=False)]
        assert between == pytest.approx([each * REOPEN_AFTER for each in pauses])
        nursery.cancel_scope.cancel()


async def test_a_failure_that_is_not_the_ports_says_so(autojump_clock) -> None:
    network = Network(ValueError("odd"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(network.reopening.run, True)
        await trio.sleep(REOPEN_AFTER / 2)
        assert network.reopening.offline == "the network failed (ValueError: odd), it is opened again"
        assert network.reopening.port_taken == ""
        await network.reopening.go_online(False)
        assert network.at[1] - network.at[0] == REOPEN_AFTER / 2
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("error", [StoreError("full"), ExceptionGroup("", [StoreError("full")])])
async def test_a_store_that_fails_is_not_the_networks_to_mend(error) -> None:
    with pytest.raises((StoreError, ExceptionGroup)):
        await Network(error).reopening.run(False)


async def test_who_waits_to_go_online_is_told_when_the_peer_stops(autojump_clock) -> None:
    network = Network()
    network.reopening = Reopening(trio.sleep_forever, network.states.append)
    scope = trio.CancelScope()
    refused = []

    async def run() -> None:
        with scope:
            await network.reopening.run(False)

    async def wait() -> None:
        with pytest.raises(NoRunningPeerError):
            await network.reopening.go_online(True)
        refused.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
    assert refused == [True]
