"""Messages of the DHT: what is sent, what is read, and what hostile bytes cost."""

import contextlib

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiaddr import Multiaddr

from betar_tui.errors import DecodeError
from betar_tui.ipld.protobuf import write_bytes, write_varint
from betar_tui.p2p.dht.messages import (
    MAX_ADDR,
    MAX_ADDRS,
    MAX_CLOSER,
    MAX_FIELDS,
    MAX_KEY,
    DhtMessage,
    DhtPeer,
    Kind,
    binary_addresses,
    decode,
    encode,
    tcp_address,
)
from betar_tui.p2p.discovery.kademlia import KEY

PEER = "12D3KooWPnmAARxjFHdAxwtj8Jses8UvEDpfGBQqou22Qejk3DJp"
OLD_PEER = "QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN"  # a hash of an RSA key

peer_ids = st.binary(min_size=32, max_size=32).map(lambda raw: base58.b58encode(b"\x12\x20" + raw).decode())
peers = st.builds(DhtPeer, peer_ids, st.lists(st.binary(max_size=MAX_ADDR), max_size=MAX_ADDRS, unique=True).map(tuple))
lists = st.lists(peers, max_size=4, unique_by=lambda each: each.peer).map(tuple)


@given(st.builds(DhtMessage, st.sampled_from(Kind), st.binary(max_size=MAX_KEY), lists, lists))
def test_a_message_survives(message: DhtMessage) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(raw: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode(raw)


def test_the_key_is_the_hash_that_go_provides() -> None:
    # From go-libp2p's log: providing cid bafkreifa4mtalixxnmioy455ji33bdikvmpctbpfivldhp22b45hs2bdpq
    assert KEY.hex() == "1220a0e32605a2f76b10ec73bd4a37b08d0aab1e2985e5455633bf5a0f3a7968237c"


def test_a_request_as_go_writes_it() -> None:
    # type 3, key; go-libp2p-kad-dht leaves out what is empty
    assert encode(DhtMessage(Kind.GET_PROVIDERS, b"key")) == bytes.fromhex("0803 1203 6b6579")
    # clusterLevelRaw and the connection of a peer are read over
    raw = b"\x08\x03\x50\x01" + write_bytes(8, write_bytes(1, base58.b58decode(PEER)) + b"\x18\x01")
    assert decode(raw) == DhtMessage(Kind.GET_PROVIDERS, b"", (DhtPeer(PEER),))


def test_peers_of_both_kinds_of_id_are_read_and_others_are_not() -> None:
    def named(raw: bytes) -> bytes:
        return write_bytes(8, write_bytes(1, raw))

    good = [base58.b58decode(PEER), base58.b58decode(OLD_PEER)]
    bad = [b"", b"\x12\x20", b"\x12\x20" + bytes(31), b"\x00\x02ab", b"\x13\x20" + bytes(32), bytes(1000)]
    read = decode(b"".join(map(named, [*bad, *good, *good])))
    assert [each.peer for each in read.closer] == [PEER, OLD_PEER]


def test_parts_beyond_a_maximum_are_dropped() -> None:
    def peer(number: int, *addrs: bytes) -> bytes:
        parts = write_bytes(1, b"\x12\x20" + number.to_bytes(32)) + b"".join(write_bytes(2, each) for each in addrs)
        return write_bytes(8, parts)

    assert len(decode(b"".join(peer(number) for number in range(100))).closer) == MAX_CLOSER
    one = decode(peer(1, bytes(MAX_ADDR + 1), *(bytes((number,)) for number in range(100)))).closer[0]
    assert one.addrs == tuple(bytes((number,)) for number in range(MAX_ADDRS))


@pytest.mark.parametrize(
    "raw",
    [
        b"\x08\x03" * (MAX_FIELDS + 1),
        write_bytes(8, b"\x18\x00" * (MAX_FIELDS + 1)),
        write_bytes(2, bytes(MAX_KEY + 1)),
        b"\x10\x01",  # a key that is a number
        b"\x0a\x00",  # a type that is bytes
        b"\x40\x01",  # a closer peer that is a number
        write_bytes(8, b"\x10\x01"),
    ],
)
def test_nonsense_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(raw)


ADDRESSES = ["/ip4/203.0.113.5/tcp/4001", "/ip6/2001:db8::1/tcp/1", "/ip4/127.0.0.1/tcp/65535"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_are_those_of_the_library(address: str) -> None:
    assert binary_addresses([address]) == (Multiaddr(address).to_bytes(),)
    assert tcp_address(Multiaddr(address).to_bytes()) == address
    assert tcp_address(Multiaddr(f"{address}/p2p/{PEER}").to_bytes()) == address
    assert tcp_address(Multiaddr(f"{address}/p2p/{OLD_PEER}").to_bytes()) == address


@pytest.mark.parametrize(
    "address",
    [
        "/ip4/203.0.113.5/udp/4001/quic-v1",
        "/ip4/203.0.113.5/tcp/443/tls/ws",
        f"/ip4/203.0.113.5/tcp/4001/p2p/{PEER}/p2p-circuit",
        "/ip4/203.0.113.5/tcp/0",
        "/ip4/0.0.0.0/tcp/4001",
        "/ip6/::/tcp/4001",
        "/dns4/example.org/tcp/4001",
    ],
)
def test_other_addresses_are_not_dialled(address: str) -> None:
    assert tcp_address(Multiaddr(address).to_bytes()) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_an_address_or_none(raw: bytes) -> None:
    address = tcp_address(raw)
    assert address is None or Multiaddr(address).to_bytes() == raw[: len(Multiaddr(address).to_bytes())]


def test_a_varint_of_an_id_may_be_broken() -> None:
    assert tcp_address(Multiaddr(ADDRESSES[0]).to_bytes() + b"\xa5\x03\xff\xff") is None
    assert tcp_address(Multiaddr(ADDRESSES[0]).to_bytes() + b"\xa5\x03" + write_varint(5) + b"abc") is None


def test_own_addresses_that_are_no_plain_tcp_are_left_out() -> None:
    given = [
        "/ip4/1.2.3.4/tcp/1",
        "/dns4/a/tcp/1",
        "/ip4/x/tcp/1",
        "/ip4/1.2.3.4/tcp/99999",
        "/ip4",
        "/ip4/1.2.3.4/udp/1",
    ]
    assert binary_addresses(given) == binary_addresses(["/ip4/1.2.3.4/tcp/1"])
