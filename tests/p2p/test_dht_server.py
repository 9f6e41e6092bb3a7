"""The clients of a server of the DHT over loopback: those that ask, and those that ask too much."""

import contextlib

import pytest
import trio

from betar_tui.errors import NetworkError, StreamEndedError
from betar_tui.ipld.protobuf import write_varint
from betar_tui.p2p.dht import allowances, client, contacts
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
from betar_tui.p2p.dht.server import STREAMS_PER_PEER
from betar_tui.p2p.discovery.kademlia import KEY
from betar_tui.p2p.frames import FrameReader, frame
from tests.p2p.peers import Peer, peer, until
from tests.p2p.test_dht import DHT, ELSEWHERE, ID, SERVER, address, provide, sees


async def raw(one: Peer, server: str, message: bytes) -> bytes | None:
    """The answer to a framed message, None where the stream ends without one."""
    stream = await one.network.open_stream(server, PROTOCOL)
    try:
        await stream.write(message)
        with trio.fail_after(5):
            return await FrameReader(stream, client.MAX_ANSWER).next()
    except StreamEndedError:
        return None
    finally:
        await stream.reset()


async def test_a_server_answers() -> None:
    async with peer("server", **SERVER) as server, peer("alice") as alice, peer("bob", **SERVER) as bob:
        await alice.network.connect(address(server))
        await bob.network.connect(address(server))
        await until(lambda: bob.id in server.network._finder.dht._table)
        await until(lambda: alice.network.supports(server.id, PROTOCOL))
        await provide(alice, server.id, ID, address(bob))  # nobody speaks for others
        await provide(alice, server.id, alice.id, address(alice))
        reply = await raw(alice, server.id, frame(encode(DhtMessage(Kind.GET_PROVIDERS, KEY))))
        assert reply is not None
        known = DhtPeer(bob.id, binary_addresses([address(bob)]))
        mine = DhtPeer(alice.id, binary_addresses([address(alice)]))
        assert [each for each in decode(reply).providers if each.peer in (alice.id, ID)] == [mine]
        assert list(decode(reply).closer) == [known]
        reply = await raw(alice, server.id, frame(encode(DhtMessage(Kind.FIND_NODE, KEY))))
        assert reply is not None
        assert list(decode(reply).closer) == [known]
        assert await raw(alice, server.id, frame(encode(DhtMessage(Kind.PING)))) == encode(DhtMessage(Kind.PING))
        # Values are not kept, which is nobody's fault.
        assert await raw(alice, server.id, frame(encode(DhtMessage(Kind.PUT_VALUE, KEY)))) is None
        assert server.network.misbehaviours() == {}


@pytest.mark.parametrize(
    "message", [frame(b"\xff" * 9), write_varint(MAX_REQUEST + 1), frame(encode(DhtMessage(Kind.FIND_NODE)))]
)
async def test_nonsense_is_penalised_by_a_server(message: bytes) -> None:
    async with peer("server", **SERVER) as server, peer("alice") as alice:
        await alice.network.connect(address(server))
        await until(lambda: alice.network.supports(server.id, PROTOCOL))
        assert await raw(alice, server.id, message) is None
        await until(lambda: server.network.misbehaviours() == {alice.id: 1})


async def test_streams_of_a_client_are_bounded() -> None:
    async with peer("server", **SERVER) as server, peer("alice") as alice:
        await alice.network.connect(address(server))
        await until(lambda: alice.network.supports(server.id, PROTOCOL))
        for _ in range(STREAMS_PER_PEER + 3):
            with contextlib.suppress(NetworkError):  # one too many is reset
                stream = await alice.network.open_stream(server.id, PROTOCOL)
                await stream.write(b"\x0a")  # the beginning of a request
        await until(lambda: server.network.misbehaviours() == {alice.id: 3})
        assert server.network._finder.dht.server._streams == {alice.id: STREAMS_PER_PEER}
        await alice.network.disconnect(server.id)
        await until(lambda: not server.network._finder.dht.server._streams)


async def test_new_streams_bring_no_new_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "BURST", 5.0)
    monkeypatch.setattr(allowances, "MAX_WAIT", 0.05)
    ping = frame(encode(DhtMessage(Kind.PING)))
    async with peer("server", **SERVER) as server, peer("alice") as alice:
        await alice.network.connect(address(server))
        await until(lambda: alice.network.supports(server.id, PROTOCOL))
        answers = [await raw(alice, server.id, ping) for _ in range(12)]
        assert 5 <= sum(each is not None for each in answers) < 12
        assert server.network.misbehaviours() == {}


@pytest.mark.parametrize(("setting", "serves"), [(None, [False, True]), (True, [True, True]), (False, [False, False])])
async def test_a_peer_serves_while_it_can_be_reached_or_as_it_is_told(
    setting: bool | None, serves: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with peer("alice", dht_server=setting) as alice:
        found = []
        for reachable in (False, True):
            monkeypatch.setattr(type(alice.network), "reachable", reachable)
            found.append(alice.network.serves_dht)
        assert found == serves


async def test_a_client_does_not_serve_and_says_so() -> None:
    async with peer("alice", **DHT) as alice, peer("bob") as bob:
        await bob.network.connect(address(alice))
        assert bob.network.supports(alice.id, PROTOCOL) is False
        with pytest.raises(NetworkError):
            await bob.network.open_stream(alice.id, PROTOCOL)


async def test_peers_that_only_ask_do_not_fill_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "MAX_USELESS", 1)
    monkeypatch.setattr(contacts, "GRACE", 0.0)
    async with (
        peer("server", **SERVER) as server,
        peer("alice") as alice,
        peer("bob", **ELSEWHERE) as bob,
        peer("carol", **ELSEWHERE) as carol,
    ):
        for one in (alice, bob, carol):
            await one.network.connect(address(server))
            one.network.address_book.dismiss(server.id)
        await until(lambda: server.network.connected == 2)
        await until(sees(server, alice))
        assert {each.peer_id for each in server.network.connections()} == {alice.id, carol.id}
