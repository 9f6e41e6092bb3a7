"""The DHT over loopback: finding and being found, servers that lie, clients that ask too much."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from betar_tui.errors import NetworkError
from betar_tui.ipld.protobuf import write_varint
from betar_tui.p2p import address_book, peer_finder
from betar_tui.p2p.dht import client
from betar_tui.p2p.dht.messages import (
    MAX_REQUEST,
    PROTOCOL,
    DhtMessage,
    DhtPeer,
    Kind,
    binary_addresses,
    decode,
    encode,
)
from betar_tui.p2p.discovery import kademlia
from betar_tui.p2p.discovery.bootstrap import PUBLIC, dht_seeds
from betar_tui.p2p.discovery.kademlia import KEY
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.types import PeerConnected, PeerJoined, Stream
from tests.p2p.peers import Peer, peer, until

DHT = {"dht": True}
SERVER = {"dht": True, "dht_server": True}
ELSEWHERE = {"topic": "another/topic"}
ID = "12D3KooWPnmAARxjFHdAxwtj8Jses8UvEDpfGBQqou22Qejk3DJp"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kademlia, "GLANCE_MIN", 0.05)
    monkeypatch.setattr(kademlia, "GLANCE", 0.2)
    monkeypatch.setattr(kademlia, "SEARCH_MIN", 0.3)


def address(one: Peer) -> str:
    return one.network.addrs[0]


def sees(one: Peer, other: Peer) -> Callable[[], bool]:
    return lambda: other.id in one.network.topic_peers()


async def provide(one: Peer, server: str, provider: str, addr: str) -> None:
    message = DhtMessage(Kind.ADD_PROVIDER, KEY, providers=(DhtPeer(provider, binary_addresses([addr])),))
    stream = await one.network.open_stream(server, PROTOCOL)
    await stream.write(frame(encode(message)))
    await stream.close()
    with trio.fail_after(5):
        assert await stream.read(1) == b""


async def test_peers_find_each_other_at_a_server_that_is_not_in_the_market() -> None:
    async with peer("server", **SERVER, **ELSEWHERE) as server:
        seeds = (address(server),)
        async with peer("alice", **DHT, dht_seeds=seeds) as alice, peer("bob", **DHT, dht_seeds=seeds) as bob:
            await until(sees(alice, bob))
            await until(sees(bob, alice))
            found = {each.peer_id: each.found for each in alice.network.connections()}
            assert "dht" in (found[bob.id], {e.peer_id: e.found for e in bob.network.connections()}[alice.id])
            # The server is a stranger: not redialled, not reported, and not shown.
            await until(lambda: alice.network._table.get(server.id))
            assert found.keys() == {bob.id}
            assert alice.network.connected == 1
            assert alice.network._dialer.address_book.addrs(server.id) == ()
            await until(lambda: alice.of(PeerConnected) and alice.of(PeerJoined))
            assert {event.peer for event in alice.of(PeerConnected)} == {bob.id}
            assert [event.peer for event in alice.of(PeerJoined)] == [bob.id]


async def test_a_peer_that_comes_later_is_found_by_one_that_is_not_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Go betar never searches: who is there must look again, without a whole search."""
    monkeypatch.setattr(kademlia, "SEARCH_MIN", 60.0)
    async with peer("server", **SERVER) as server, peer("alice", **DHT, bootstrap=(address(server),)) as alice:
        await until(sees(alice, server))
        await until(lambda: server.network._finder.dht._records.get(KEY, trio.current_time()))
        async with peer("bob", **ELSEWHERE) as bob:
            await bob.network.connect(address(server))
            await provide(bob, server.id, bob.id, address(bob))
            await until(lambda: bob.id in {each.peer_id for each in alice.network.connections()})


async def test_a_peer_learns_its_address_from_peers_that_are_asked_for_the_dht_alone() -> None:
    async with (
        peer("server", **SERVER, **ELSEWHERE) as server,
        peer("alice", **DHT, dht_seeds=(address(server),)) as alice,
    ):
        await until(lambda: alice.network.reachability().observed == ("127.0.0.1",))
        assert alice.network.connected == 0


async def test_a_server_that_comes_back_is_given_the_record_again() -> None:
    async with peer("alice", **DHT) as alice:
        for _ in range(2):
            async with peer("server", **SERVER, **ELSEWHERE) as server:
                await alice.network.connect(address(server))
                await until(lambda: server.network._finder.dht._records.get(KEY, trio.current_time()))
                record = server.network._finder.dht._records.get(KEY, trio.current_time())[0]
                assert record == DhtPeer(alice.id, binary_addresses([address(alice)]))
            await until(lambda: not alice.network.connections())
            alice.network.address_book.dismiss(server.id)


async def test_a_peer_that_a_person_left_is_not_dialled_because_of_the_dht() -> None:
    async with peer("server", **SERVER, **ELSEWHERE) as server:
        seeds = (address(server),)
        async with peer("alice", **DHT, dht_seeds=seeds) as alice, peer("bob", dht_seeds=seeds) as bob:
            await bob.network.connect(address(server))
            await provide(bob, server.id, bob.id, address(bob))
            await until(lambda: alice.of(PeerConnected) and alice.of(PeerJoined))
            assert {each.peer_id: each.found for each in alice.network.connections()}[bob.id] == "dht"
            await alice.network.disconnect(bob.id)
            alice.network._finder.dht._handed.clear()
            await alice.network._finder.dht._search()
            assert alice.network._dialer.address_book.addrs(bob.id) == ()
            with pytest.raises(NetworkError, match="not to be dialled"):
                await alice.network._finder.dht._contacts.reach(bob.id, (address(bob),))
            assert bob.id not in {each.peer_id for each in alice.network.connections()}
            # Once the user has connected to it again, it is like any other.
            await alice.network.connect(address(bob))
            await until(sees(alice, bob))
            alice.network.address_book._entries.clear()
            bob.network.address_book.dismiss(alice.id)
            await alice.network._close_peer(bob.id)
            alice.network._finder.dht._handed.clear()
            await alice.network._finder.dht._search()
            await until(sees(alice, bob))


@asynccontextmanager
async def bare_server(name: str, **changes: object) -> AsyncIterator[Peer]:
    """A server that only answers, as most of the IPFS network."""
    async with peer(name, **ELSEWHERE, **changes) as one:  # type: ignore[arg-type]
        one.network._finder.dht.server.serving = True
        one.network.set_protocol_handler(PROTOCOL, one.network._finder.dht.server.handle)
        yield one


async def test_strangers_are_left_when_the_lookup_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kademlia, "MAX_KEPT", 1)
    async with (
        bare_server("one") as one,
        bare_server("two", bootstrap=(address(one),)) as two,
        bare_server("three", bootstrap=(address(one),)) as three,
    ):
        await until(lambda: len(one.network._finder.dht._table) == 2)
        async with peer("alice", **DHT, dht_seeds=(address(one),)) as alice:
            records = [each.network._finder.dht._records for each in (one, two, three)]
            await until(lambda: all(each.get(KEY, trio.current_time()) for each in records))
            await until(lambda: len(alice.network._table.records()) == 1)
            assert not alice.network.connections()
            assert not alice.of(PeerConnected)
            assert not alice.network._dialer.address_book._entries


async def test_a_provider_that_never_comes_to_the_topic_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (address_book, peer_finder):
        monkeypatch.setattr(module, "STRANGER_SECONDS", 0.2)
    async with peer("alice") as alice, peer("bob", **ELSEWHERE) as bob, peer("carol", **ELSEWHERE) as carol:
        await alice.network.connect(address(carol))  # whom the user wants stays
        assert alice.network.remember(bob.id, (address(bob),), "dht")
        await until(lambda: alice.network.connected == 2)
        await until(lambda: alice.network.connected == 1)
        assert alice.network.address_book.addrs(bob.id) == ()
        assert [each.peer_id for each in alice.network.connections()] == [carol.id]


async def test_without_dht_nobody_is_asked() -> None:
    async with peer("server", **SERVER, **ELSEWHERE) as server, peer("alice", dht_seeds=(address(server),)) as alice:
        dials: list[str] = []
        race = alice.network._dialer._race

        async def noted(peer: str, addrs: tuple[str, ...]) -> object:
            dials.append(peer)
            return await race(peer, addrs)

        alice.network._dialer._race = noted  # type: ignore[method-assign,assignment]
        async with peer("bob", **DHT, dht_seeds=(address(server),)):
            await until(lambda: server.network._finder.dht._records.get(KEY, trio.current_time()))
        assert dials == []
        assert not alice.network._table.records()


def test_public_servers_are_asked_only_without_bootstrap_and_with_the_dht() -> None:
    assert dht_seeds(True, ()) == PUBLIC
    assert dht_seeds(True, ("/ip4/10.0.0.1/tcp/1/p2p/x",)) == ()
    assert dht_seeds(False, ()) == ()
    assert [each.rpartition("/p2p/")[0] for each in PUBLIC] == [
        *["/dnsaddr/bootstrap.libp2p.io"] * 4,
        "/ip4/104.131.131.82/tcp/4001",
    ]


async def test_a_dht_that_cannot_be_reached_is_said_once() -> None:
    nobody = f"/ip4/127.0.0.1/tcp/1/p2p/{ID}"
    async with peer("alice", **DHT, dht_seeds=(nobody,)) as alice:
        said: list[str] = []
        alice.network._finder.dht._say = said.append
        await until(lambda: alice.network._finder.dht._searches >= 3)
        assert len(said) + len(alice.network.troubles()) == 1
        (text,) = said or alice.network.troubles()
        assert "no server of the DHT answers" in text
        assert "connection refused" in text
        async with peer("server", **SERVER, **ELSEWHERE) as server:
            await alice.network.connect(address(server))
            await until(lambda: not alice.network._finder.dht.trouble)
            assert said[-1] == ""


# Servers that lie


@asynccontextmanager
async def liar(answer: Callable[[DhtMessage], bytes | None]) -> AsyncIterator[Peer]:
    """A server that answers each request with what `answer` makes of it; with None it stays silent."""
    async with peer("liar", **ELSEWHERE) as one:

        async def handle(stream: Stream) -> None:
            frames = FrameReader(stream, MAX_REQUEST)
            while (raw := await frames.next()) is not None:
                if (reply := answer(decode(raw))) is not None:
                    await stream.write(reply)
            await stream.close()

        one.network.set_protocol_handler(PROTOCOL, handle)
        yield one


def invented(number: int) -> DhtPeer:
    import base58

    port = 1 + number % 1000
    return DhtPeer(
        base58.b58encode(b"\x12\x20" + number.to_bytes(32)).decode(), binary_addresses([f"/ip4/127.0.0.1/tcp/{port}"])
    )


async def test_invented_peers_cost_a_bounded_number_of_dials() -> None:
    asked = 0

    def answer(request: DhtMessage) -> bytes:
        nonlocal asked
        asked += 1
        some = range(asked * 500, asked * 500 + 500)
        peers = [invented(number) for number in some]
        return frame(encode(DhtMessage(request.kind, request.key, peers, peers)))

    async with liar(answer) as server, peer("alice", dht_seeds=(address(server),)) as alice:
        given: list[str] = []
        alice.network.remember = lambda peer, addrs, found="": bool(given.append(peer))  # type: ignore[method-assign]
        tried: list[str] = []
        dial = alice.network._dialer.dial

        async def noted(peer: str, addrs: tuple[str, ...]) -> object:
            tried.append(peer)
            return await dial(peer, addrs)

        alice.network._dialer.dial = noted  # type: ignore[method-assign,assignment]
        await alice.network._finder.dht._search()
        assert len(given) == kademlia.MAX_DIALLED
        assert len(tried) == 1 + 20  # the liar, and what one of its answers may name
        await alice.network._finder.dht._search()
        assert len(given) == 2 * kademlia.MAX_DIALLED


async def test_a_server_that_lies_does_not_make_the_seeds_superfluous() -> None:
    seed = f"/ip4/127.0.0.1/tcp/1/p2p/{ID}"

    def answer(request: DhtMessage) -> bytes:
        return frame(encode(DhtMessage(request.kind, request.key)))

    async with liar(answer) as server, peer("alice", dht_seeds=(seed,)) as alice:
        await alice.network.connect(address(server))
        await until(lambda: server.id in alice.network._finder.dht._table)
        dht = alice.network._finder.dht
        assert [each for each, _ in dht._start()] == [server.id, ID]
        for number in range(kademlia.K):
            known = invented(number + 1)
            dht._table.add(known.peer, known.addrs, trio.current_time())
        assert ID not in dict(dht._start())
        dht.trouble = "nobody answers"
        assert ID in dict(dht._start())


@pytest.mark.parametrize(
    "reply", [frame(b"\xff" * 50), b"\xff" * 20, write_varint(client.MAX_ANSWER + 1) + b"x", frame(b"\x0a\x00")]
)
async def test_nonsense_is_penalised_and_ends_the_question(reply: bytes) -> None:
    async with liar(lambda request: reply) as server, peer("alice") as alice:
        await alice.network.connect(address(server))
        asker = alice.network._finder.dht._client
        with pytest.raises(NetworkError, match="nonsense"):
            await asker.ask(server.id, DhtMessage(Kind.GET_PROVIDERS, KEY))
        assert alice.network.misbehaviours() == {server.id: 1}


async def test_a_silent_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_TIMEOUT", 0.2)
    async with liar(lambda request: None) as server, peer("alice", **DHT, dht_seeds=(address(server),)) as alice:
        await until(lambda: alice.network._finder.dht.trouble)
        await until(lambda: not alice.network._table.records())
        assert alice.network.misbehaviours() == {}
