"""What a peer learns about how others can dial it, and what it does for others that want to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import DecodeError
from betar_tui.multiaddrs import is_public
from betar_tui.p2p.addresses import peer_id
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.reachability import client, mapping, server
from betar_tui.p2p.reachability.mapping import Mapping, PortMapper
from betar_tui.p2p.reachability.messages import (
    BAD_REQUEST,
    DIAL_ERROR,
    DIAL_REFUSED,
    MAX_ADDRS,
    OK,
    PROTOCOL,
    DialRequest,
    DialResponse,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)
from betar_tui.p2p.reachability.observed import OBSERVATION_TTL, ObservedAddrs
from betar_tui.p2p.reachability.server import Throttle, ports_of
from betar_tui.p2p.reachability.verdict import ANSWER_TTL, PRIVATE, PUBLIC, UNKNOWN, Answers
from tests.p2p.peers import Peer, meet, pair, peer, raw_stream, until

ADDRS = ("/ip4/44.1.2.3/tcp/4001", "/ip6/2001:4860::1/tcp/4001", "/dns4/example.org/tcp/443")


# Messages

# A request of go-libp2p 0.47 (p2p/host/autonat/pb): type 0, then the peer info in the dial, with one address.
GO_REQUEST = bytes.fromhex("0800" + "120f" + "0a0d" + "0a01aa" + "1208" + "042c010203060fa1")


def test_requests_and_responses_are_read_as_they_were_written() -> None:
    request = DialRequest(b"\xaa", ADDRS)
    assert decode_request(encode_request(request)) == request
    for response in (DialResponse(OK, addr=ADDRS[0]), DialResponse(DIAL_REFUSED, "no"), DialResponse(DIAL_ERROR)):
        assert decode_response(encode_response(response)) == response
    assert decode_request(GO_REQUEST) == DialRequest(b"\xaa", ADDRS[:1])
    assert encode_request(DialRequest(b"\xaa", ADDRS[:1])) == GO_REQUEST


def test_messages_are_cut_to_size_or_refused() -> None:
    many = DialRequest(b"\xaa", tuple(f"/ip4/44.1.2.3/tcp/{port}" for port in range(1, 40)))
    assert len(decode_request(encode_request(many)).addrs) == MAX_ADDRS
    for wrong in (b"", b"\x08\x01", encode_response(DialResponse(OK)), b"\x08\x00" * 100, bytes(5000)):
        with pytest.raises(DecodeError):
            decode_request(wrong)
    with pytest.raises(DecodeError):
        decode_response(GO_REQUEST)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(raw: bytes) -> None:
    for decode in (decode_request, decode_response):
        try:
            decode(raw)
        except DecodeError:
            continue


# What follows from what others say


@pytest.mark.parametrize(
    ("ip", "public"),
    [
        ("44.1.2.3", True),
        ("::ffff:44.1.2.3", True),
        ("2001:4860::1", True),
        ("10.1.2.3", False),
        ("::ffff:10.1.2.3", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.1.1", False),
        ("224.0.1.1", False),
        ("2002:0a01:0203::1", False),
        ("fd00::1", False),
        ("fe80::1%eth0", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_which_addresses_are_public(ip: str, public: bool) -> None:
    assert is_public(ip) is public


def test_each_network_has_one_say_about_the_address() -> None:
    observed = ObservedAddrs()
    assert observed.note("44.1.1.1", "/ip4/9.9.9.9/tcp/1234", 0)
    assert not observed.note("44.1.1.2", "/ip4/9.9.9.9/tcp/77", 0)
    for number in range(100):
        observed.note(f"44.1.1.{number}", "/ip4/6.6.6.6/tcp/1", 1)  # one network says it again and again
    observed.note("45.1.1.1", "/ip4/9.9.9.9/tcp/1", 1)
    observed.note("46.1.1.1", "/ip4/9.9.9.9/tcp/1", 1)
    assert observed.addresses(2) == ("9.9.9.9", "6.6.6.6")
    assert observed.addresses(2, 2) == ("9.9.9.9",)
    assert observed.addresses(2 + OBSERVATION_TTL) == ()
    for wrong in ("", "/dns4/example.org/tcp/1", "/ip4/0.0.0.0/tcp/1", "/ip4/1.2.3/tcp/1", "nonsense"):
        assert not observed.note("47.1.1.1", wrong, 3)
    assert observed.addresses(3 + OBSERVATION_TTL) == ()


def test_the_majority_of_networks_decides() -> None:
    believed = {"44.1.2.3"}
    answers = Answers(lambda: believed)
    assert answers.verdict(0) == UNKNOWN
    answers.note("44.1.1.1", ADDRS[0], 0)
    answers.note("44.1.1.2", ADDRS[0], 0)
    assert (answers.verdict(0), answers.count(0)) == (UNKNOWN, 1)  # one network
    answers.note("45.1.1.1", ADDRS[0], 0)
    assert answers.verdict(0) == PUBLIC
    for number in range(9):
        answers.note(f"46.1.1.{number}", "", 1)  # a liar with many peers in one network
    assert answers.verdict(1) == PUBLIC
    answers.note("47.1.1.1", "", 2)
    assert answers.verdict(2) == UNKNOWN
    answers.note("48.1.1.1", "", 2)
    assert answers.verdict(2) == PRIVATE
    assert answers.confirmed(2) == (ADDRS[0],)
    assert answers.verdict(2.5 + ANSWER_TTL) == UNKNOWN
    for number in range(100):
        answers.note(f"44.{number}.1.1", "", 3 + ANSWER_TTL)
    assert answers.count(3 + ANSWER_TTL) <= 16


def test_a_success_at_an_address_of_somebody_else_does_not_count() -> None:
    believed: set[str] = set()
    answers = Answers(lambda: believed)
    answers.note("44.1.1.1", ADDRS[0], 0)
    answers.note("45.1.1.1", ADDRS[0], 0)
    assert (answers.verdict(1), answers.count(1), answers.confirmed(1)) == (UNKNOWN, 0, ())
    answers.note("46.1.1.1", "", 0)
    assert answers.verdict(1) == PRIVATE
    believed.add("44.1.2.3")
    assert (answers.verdict(1), answers.count(1), answers.confirmed(1)) == (PUBLIC, 3, (ADDRS[0],))


def test_requests_are_throttled_by_address_and_in_all() -> None:
    throttle = Throttle()
    assert [throttle.admit("44.1.1.1", 0) for _ in range(4)] == [True, True, True, False]
    admitted = sum(throttle.admit(f"44.1.{number}.1", 1) for number in range(100))
    assert admitted == server.MAX_PER_MINUTE - 3
    assert throttle.admit("44.1.1.1", 61)


def test_the_ports_of_addresses() -> None:
    addrs = (
        *ADDRS,
        "/ip4/10.0.0.1/tcp/70000",
        "/ip4/10.0.0.1/tcp/0",
        "/ip4/10.0.0.1/udp/5/quic-v1",
        "/ip4/1.2.3.4/tcp/4001",
    )
    assert ports_of(addrs) == [4001, 443]


# Asking and answering, over loopback


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(client, "ROUND_PAUSE", 0.05)
    yield


def allow(*peers: Peer) -> None:
    """Let loopback pass for the internet, before the peers meet."""
    for each in peers:
        each.network._reach.trusted = each.network._reach.server.serves = lambda ip: True


def at(name: str, ip: str) -> AbstractAsyncContextManager[Peer]:
    """A peer in another network of loopback."""
    return peer(name, listen=(f"/ip4/{ip}/tcp/0",))


@pytest.mark.usefixtures("prompt")
async def test_a_peer_that_two_networks_can_dial_is_public() -> None:
    async with peer("alice") as alice, at("bob", "127.0.1.1") as bob, at("carol", "127.0.2.1") as carol:
        allow(alice, bob, carol)
        await meet(alice, bob)
        await until(lambda: alice.network.reachability().asked == 1)
        assert not alice.network.reachable
        assert "unknown: one peer has dialled this one, another must confirm it" in alice.network.reachability().text
        await meet(alice, carol)
        await until(lambda: alice.network.reachable)
        found = alice.network.reachability()
        assert found.verdict == PUBLIC
        assert found.observed == ("127.0.0.1",)
        assert f"{found.confirmed[0]}/p2p/{alice.id}" in alice.network.addrs
        assert found.asked == 2
        assert "public: 2 peers asked" in found.text
        # Nobody is asked again and again.
        answered = [dict(each.network._reach.server.answered) for each in (bob, carol)]
        await trio.sleep(0.3)
        assert [each.network._reach.server.answered for each in (bob, carol)] == answered == [{OK: 2}, {OK: 1}]
        # The dial back is not a connection of its own, and nobody has misbehaved.
        assert len(alice.network._table.connections(bob.id)) == 1
        assert {each.peer_id for each in alice.network.connections()} == {bob.id, carol.id}
        assert not alice.network.misbehaviours()
        assert not bob.network.misbehaviours()
        # What was said of the old addresses says nothing of new ones.
        alice.network._recovery.moved()
        assert not alice.network.reachable
        await until(lambda: alice.network.reachable)


@pytest.mark.usefixtures("prompt")
async def test_a_peer_that_cannot_be_dialled_back_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peer("alice") as alice, peer("bob") as bob:
        allow(alice, bob)
        monkeypatch.setattr(alice.network._reach.client, "_candidates", lambda: ("/ip4/127.0.0.1/tcp/1",))
        await meet(alice, bob)
        await until(lambda: alice.network.reachability().verdict == PRIVATE)
        assert not alice.network.reachable
        assert "private: 1 peer asked" in alice.network.reachability().text


@pytest.mark.usefixtures("prompt")
async def test_a_server_that_lies_about_the_port_is_not_believed() -> None:
    async with peer("alice") as alice, peer("bob") as bob:
        allow(alice, bob)
        asked = trio.Event()

        async def lie(stream: object) -> None:
            await FrameReader(stream, 4096).next()  # type: ignore[arg-type]
            raw = encode_response(DialResponse(OK, addr="/ip4/127.0.0.1/tcp/53"))
            await stream.write(frame(raw))  # type: ignore[attr-defined]
            asked.set()

        bob.network.set_protocol_handler(PROTOCOL, lie)
        await meet(alice, bob)
        await asked.wait()
        await until(lambda: alice.network._reach.server.answered == {OK: 1})  # time enough to believe it
        assert alice.network.reachability().verdict == UNKNOWN


async def ask(one: Peer, other: Peer, raw: bytes) -> DialResponse:
    stream = await raw_stream(one, other.id, PROTOCOL)
    await stream.write(frame(raw))
    answer = await FrameReader(stream, 4096).next()
    assert answer is not None
    return decode_response(answer)


async def test_only_the_address_of_the_asker_is_dialled() -> None:
    async with pair() as (alice, bob):
        own, port = peer_id(alice.id).to_bytes(), alice.network.addrs[0].split("/")[4]
        elsewhere = encode_request(DialRequest(own, (f"/ip4/10.9.9.9/tcp/{port}",)))
        refused = await ask(alice, bob, elsewhere)
        assert refused.status == DIAL_REFUSED  # loopback is not public
        allow(bob)
        assert await ask(alice, bob, elsewhere) == DialResponse(OK, addr=f"/ip4/127.0.0.1/tcp/{port}")
        stranger = encode_request(DialRequest(peer_id(bob.id).to_bytes(), (f"/ip4/127.0.0.1/tcp/{port}",)))
        assert (await ask(alice, bob, stranger)).status == BAD_REQUEST
        # Somebody else's port: whoever answers there is not the asker.
        bobs = bob.network.addrs[0].split("/")[4]
        assert (
            await ask(alice, bob, encode_request(DialRequest(own, (f"/ip4/127.0.0.1/tcp/{bobs}",))))
        ).status == DIAL_ERROR
        assert (await ask(alice, bob, b"garbage")).status == BAD_REQUEST
        assert (await ask(alice, bob, elsewhere)).status == OK
        assert (await ask(alice, bob, elsewhere)).status == DIAL_REFUSED  # the fourth within a minute
        assert not bob.network.troubles()


async def test_a_forwarded_port_is_advertised_until_it_turns_out_to_be_useless() -> None:
    async with pair() as (alice, bob):
        reach = alice.network._reach
        reach._mapper = PortMapper(lambda: None, reach._update)
        reach._mapper.mapping = Mapping("44.1.2.3", 4444, 4001, None)
        reach._update()
        outside = f"/ip4/44.1.2.3/tcp/4444/p2p/{alice.id}"
        assert outside in alice.network.addrs
        assert alice.network.reachability().mapped in outside
        await until(lambda: outside in bob.network.connections()[0].addrs)
        for number in range(3):
            reach.client.answers.note(f"4{number}.1.1.1", "", trio.current_time())
        reach._update()
        assert outside not in alice.network.addrs
        reach._mapper.mapping = Mapping("10.1.2.3", 4444, 4001, None)  # a second router in between
        reach.client.answers.clear()
        reach._update()
        assert len(alice.network.addrs) == 1


async def test_a_port_is_no_longer_forwarded_when_nothing_needs_it(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Mapping] = []
    monkeypatch.setattr(mapping, "_unmap", removed.append)
    changes: list[Mapping | None] = []
    mapper = PortMapper(lambda: None, lambda: changes.append(mapper.mapping))
    mapper.mapping = known = Mapping("44.1.2.3", 4444, 4001, None)
    nursery.start_soon(mapper.run)
    await until(lambda: changes == [None])
    assert removed == [known]
    assert mapper.mapping is None
    nursery.cancel_scope.cancel()


async def test_after_a_sleep_the_answers_are_asked_for_anew() -> None:
    async with peer("alice") as alice:
        reach = alice.network._reach
        for ip in ("44.1.1.1", "45.1.1.1"):
            reach.client.answers.note(ip, "/ip4/127.0.0.1/tcp/1", trio.current_time())
        assert alice.network.reachable
        alice.network._recovery.woke()
        assert not alice.network.reachable
