"""Listening and dialling: ports that are taken, peers that come back, messages that say what to do."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import trio
import trio.testing
from libp2p.host.basic_host import BasicHost

from betar_tui.errors import NetworkError
from betar_tui.p2p.opening import open_network
from betar_tui.p2p.types import PeerConnected, ReceivedBroadcast
from tests.p2p.peers import Lived, Shelf, config, lived, meet, peer, until


async def test_a_taken_default_port_is_replaced_by_a_free_one() -> None:
    async with peer("alice") as alice:
        port = alice.network.addrs[0].split("/")[4]
        async with peer("bob", listen=(f"/ip4/127.0.0.1/tcp/{port}",)) as bob:
            assert bob.network.addrs[0].split("/")[4] != port
            assert port in bob.network.listen_notice
            await meet(alice, bob)


async def test_an_explicit_port_that_is_taken_is_an_error_that_names_it() -> None:
    async with peer("alice") as alice:
        address = alice.network.addrs[0].partition("/p2p/")[0]
        with pytest.raises(NetworkError, match=address):
            async with open_network(config("bob", listen=(address,), listen_explicit=True), Shelf()):
                pass


@pytest.mark.parametrize("address", ["/ip4/127.0.0.1/udp/0/quic-v1", "nonsense", "/ip4/192.0.2.1/tcp/0"])
async def test_an_address_that_cannot_be_listened_on_is_an_error(address: str) -> None:
    with pytest.raises(NetworkError, match="Cannot listen"):
        async with open_network(config("bob", listen=(address,), listen_explicit=True), Shelf()):
            pass


async def test_an_error_inside_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with open_network(config("alice"), Shelf()):
            raise KeyError("mine")


async def test_wildcards_are_expanded_with_loopback() -> None:
    async with peer("alice", listen=("/ip4/0.0.0.0/tcp/0",)) as alice:
        assert any(address.startswith("/ip4/127.0.0.1/tcp/") for address in alice.network.addrs)
        assert not any("0.0.0.0" in address for address in alice.network.addrs)
        assert all(address.endswith(f"/p2p/{alice.id}") for address in alice.network.addrs)


async def test_bootstrap_and_known_peers_are_dialled_and_no_peer_dials_itself() -> None:
    async with peer("alice") as alice, peer("bob") as bob:
        known = ((bob.id, bob.network.addrs),)
        async with peer("carol", bootstrap=(alice.network.addrs[0],), known_peers=known) as carol:
            await until(lambda: len(carol.of(PeerConnected)) == 2)
            own = carol.network.addrs[0]
            assert not carol.network.remember(carol.id, (own,))
            with pytest.raises(NetworkError, match="own address"):
                await carol.network.connect(own)
            assert {event.peer for event in carol.of(PeerConnected)} == {alice.id, bob.id}
            assert PeerConnected(bob.id, bob.network.addrs) in carol.of(PeerConnected)


async def test_a_lost_peer_is_redialled_when_it_is_back() -> None:
    async with peer("alice") as alice:
        async with peer("bob") as bob:
            await meet(alice, bob)
            listen = (bob.network.addrs[0].partition("/p2p/")[0],)
        await until(lambda: not alice.network.connections())
        entries = alice.network.address_book._entries
        await until(lambda: entries[bob.id].failures)  # an attempt to dial it has failed
        async with peer("bob", listen=listen, listen_explicit=True) as bob:
            await until(lambda: alice.network.topic_peers() == (bob.id,))
            await alice.network.broadcast(b"again")
            await until(lambda: bob.of(ReceivedBroadcast))


async def test_a_peer_that_moved_is_found_at_its_new_address() -> None:
    """As shipped only the peerstore's stale address is tried, and a known peer is not identified again."""
    async with peer("alice") as alice:
        async with peer("bob") as bob:
            await meet(alice, bob)
        await until(lambda: not alice.network.connections())
        async with peer("bob", agent_version="bob/2") as bob:
            connected = await alice.network.connect(bob.network.addrs[0])
            assert not connected.already
            assert connected.peer.agent == "bob/2"
            assert connected.peer.addrs == bob.network.addrs


async def test_a_disconnected_peer_is_not_redialled() -> None:
    async with peer("alice") as alice, peer("bob") as bob:
        await meet(alice, bob)
        await alice.network.disconnect(bob.id)
        await until(lambda: not alice.network.connections())
        await trio.testing.wait_all_tasks_blocked()
        assert not alice.network.connections()
        assert alice.network.address_book.next_due(lambda peer: False) == math.inf


async def test_dialling_loopback_costs_milliseconds() -> None:
    """docs/py-libp2p.md#the-rest: the library's head start of 250 ms is not ended by success."""
    async with peer("alice") as alice, peer("bob") as bob:
        async with lived() as so_far:
            await alice.network.connect(bob.network.addrs[0])
        assert so_far.seconds < 0.2


async def test_a_dead_address_does_not_hide_a_living_one() -> None:
    """docs/py-libp2p.md#the-rest: the library tries one TCP address of a peer."""
    async with peer("alice") as alice, peer("bob") as bob:
        with trio.socket.socket() as closed:
            await closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        dead = f"/ip4/127.0.0.1/tcp/{port}/p2p/{bob.id}"
        alice.network.remember(bob.id, (dead, bob.network.addrs[0]))
        await until(alice.network.connections, 3)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("nonsense", "Not an address"),
        ("/ip4/127.0.0.1/tcp/1", "/p2p/"),
        ("/ip4/127.0.0.1/udp/1/quic-v1/p2p/12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS", "TCP"),
        ("/ip4/127.0.0.1/tcp/1/p2p/12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS", "refused"),
    ],
)
async def test_errors_say_what_is_wrong(address: str, says: str) -> None:
    async with peer("alice") as alice:
        with pytest.raises(NetworkError, match=says):
            await alice.network.connect(address)


async def test_connecting_twice_says_so_and_opens_no_second_connection() -> None:
    async with peer("alice") as alice, peer("bob") as bob:
        await meet(alice, bob)
        for one, other in ((alice, bob), (bob, alice)):  # the one that dialled, and the one that was dialled
            connected = await one.network.connect(other.network.addrs[0])
            assert connected.already
            assert connected.peer.peer_id == other.id
            assert len(one.network._table.connections(other.id)) == 1
            assert one.network.address_book.addrs(other.id) == other.network.addrs


async def test_a_connected_peer_is_not_remembered_at_an_address_where_it_is_not() -> None:
    async with peer("alice") as alice, peer("bob") as bob, peer("carol") as carol:
        await meet(alice, bob)
        wrong = carol.network.addrs[0].replace(carol.id, bob.id)
        with pytest.raises(NetworkError, match=r"already connected, but not at this address: .*another peer"):
            await alice.network.connect(wrong)
        assert alice.network.address_book.addrs(bob.id) == bob.network.addrs
        assert len(alice.network.connections()) == 1


async def test_a_peer_that_dialled_is_dialled_back_when_it_is_lost() -> None:
    async with peer("alice") as alice:
        async with peer("bob") as bob:
            await meet(bob, alice)
            listen = (bob.network.addrs[0].partition("/p2p/")[0],)
            await until(lambda: alice.network.address_book.addrs(bob.id) == bob.network.addrs)
        async with peer("bob", listen=listen, listen_explicit=True) as bob:
            await until(lambda: alice.network.topic_peers() == (bob.id,))
            assert alice.network.connections()[0].direction == "out"


async def test_a_peer_that_closes_at_once_is_dialled_again_after_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peer("alice") as alice, peer("bob") as bob:
        monkeypatch.setattr(bob.network._misbehaviour, "banned", lambda peer: True)
        dialled: list[float] = []
        race = alice.network._dialer._race

        async def timed(peer: str, addrs: tuple[str, ...]) -> object:
            dialled.append(trio.current_time())
            return await race(peer, addrs)

        monkeypatch.setattr(alice.network._dialer, "_race", timed)
        alice.network.remember(bob.id, bob.network.addrs, "bootstrap")
        await until(lambda: len(dialled) >= 4)
        pauses = [later - earlier for earlier, later in pairwise(dialled)]
        assert min(pauses) >= 0.07, "the shortest is 0.1 s, less 30 %"


async def test_another_peer_at_the_address_is_said_so() -> None:
    async with peer("alice") as alice, peer("bob") as bob, peer("carol") as carol:
        wrong = bob.network.addrs[0].replace(bob.id, carol.id)
        with pytest.raises(NetworkError, match="another peer"):
            await alice.network.connect(wrong)


async def test_a_protocol_that_is_added_later_becomes_known() -> None:
    async with peer("alice") as alice, peer("bob") as bob:
        await meet(alice, bob)
        assert alice.network.supports(bob.id, "/betar-tui/dagsync/1.0.0") is False
        assert alice.network.supports("12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS", "/x") is None

        async def echo(stream: object) -> None:
            await stream.write(await stream.read(100))  # type: ignore[attr-defined]

        bob.network.set_protocol_handler("/betar-tui/dagsync/1.0.0", echo)
        await until(lambda: alice.network.supports(bob.id, "/betar-tui/dagsync/1.0.0"))
        stream = await alice.network.open_stream(bob.id, "/betar-tui/dagsync/1.0.0")
        await stream.write(b"hello")
        assert await stream.read(100) == b"hello"
        with pytest.raises(NetworkError):
            await alice.network.open_stream(bob.id, "/nobody/speaks/this")


async def test_the_library_does_not_identify_peers_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    async def ask(host: object, peer_id: object, *arguments: object, **named: object) -> None:
        asked.append(peer_id)

    monkeypatch.setattr(BasicHost, "_identify_peer", ask)
    async with peer("alice") as alice, peer("bob") as bob:
        await meet(alice, bob)
        await trio.testing.wait_all_tasks_blocked()
        assert not asked
        assert not alice.network._host._identified_peers


async def test_only_noise_is_offered() -> None:
    """The library's host also offers plaintext, over which anybody is anybody."""
    async with peer("alice") as alice:
        assert list(alice.network._swarm.upgrader.security_multistream.transports) == ["/noise"]


async def test_leaving_is_quick() -> None:
    leaving = Lived()
    async with trio.open_nursery() as nursery:
        async with peer("alice") as alice, peer("bob") as bob:
            await meet(alice, bob)
            nursery.start_soon(leaving.count)
        nursery.cancel_scope.cancel()
    assert leaving.seconds < 2
