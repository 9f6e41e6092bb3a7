"""Samples of every format, made by the product's own encoders where it has them. Small: a mutation does the rest."""

from __future__ import annotations

import base64
import json
from functools import cache

import cbor2
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.pubsub.pb import rpc_pb2
from multiaddr import Multiaddr
from nacl.signing import SigningKey

from betar_tui.ipld import car, cid, unixfs
from betar_tui.ipld.protobuf import write_bytes
from betar_tui.market.provenance import peer_id_of, signed_bytes
from betar_tui.p2p.bitswap import messages as bitswap
from betar_tui.p2p.dht import messages as dht
from betar_tui.p2p.discovery import mdns_messages as mdns
from betar_tui.p2p.keys import ED25519
from betar_tui.p2p.types import MARKET_TOPIC
from betar_tui.replica import Head, delta, encode_broadcast, keys
from betar_tui.replica.node import encode_node
from betar_tui.sync.dagsync.messages import Request, Trailer, encode_request, encode_trailer

KEY = SigningKey(b"k" * 32)
PEER = peer_id_of(bytes(KEY.verify_key))
AGENT = f"{PEER}/ocr"
ADDRESSES = (
    "/ip4/203.0.113.5/tcp/4001", "/ip6/::1/tcp/1", "/dns4/example.org/tcp/443", "/ip4/1.2.3.4/udp/4001/quic-v1",
    f"/ip4/10.0.0.1/tcp/4001/p2p/{PEER}", f"/dnsaddr/example.org/p2p/{PEER}",
)  # fmt: skip


def listing() -> dict[str, object]:
    """A signed listing with every field."""
    fields: dict[str, object] = {
        "id": AGENT,
        "name": "Optical \u1112\u1161\u11ab letters",
        "price": 0.5,
        "metadata": {"description": "reads\nscans", "tags": ["a", {"b": [1, 2.5, None, True]}]},
        "seller_id": PEER,
        "addrs": list(ADDRESSES),
        "protocols": ["/x402/libp2p/1.0.0"],
        "timestamp": 1_795_390_401,
        "token_id": "7",
    }
    signature = KEY.sign(signed_bytes(fields)).signature
    texts = {"key": bytes(KEY.verify_key), "sig": signature}
    encoded = {name: base64.b64encode(each).decode() for name, each in texts.items()}
    return {**fields, "signature": {"alg": "ed25519", **encoded}}


@cache
def listings() -> tuple[bytes, ...]:
    """Values in both dialects."""
    go = {"id": "did:key:z6Mk", "name": "Hagga", "price": 1, "metadata": cid.to_str(cid.of(b"")), "sellerId": PEER}
    return tuple(json.dumps(each).encode() for each in (listing(), {**go, "timestamp": 1}, {"id": "a", "name": "b"}))


@cache
def deltas() -> tuple[bytes, ...]:
    puts = [(keys.of_agent(AGENT), listings()[0]), ("/agents/YQ", b"v1"), ("/other", b"x")]
    tombstones = [("/agents/YQ", cid.of(b"%d" % n)) for n in range(3)]
    return (
        delta.encode(puts, tombstones, 7),
        delta.encode([], tombstones, (1 << 64) - 1),
        delta.encode(puts[1:2], [], 1),
        b"\x0a\x00\x22\x01x\x18\x01",
    )


@cache
def nodes() -> tuple[bytes, ...]:
    links = [cid.of(b"%d" % n) for n in range(4)]
    return (
        *(encode_node(links[:n], each) for n, each in enumerate(deltas())),
        unixfs.encode_file(b"{}")[1],
        encode_node(links, b"\x08\x02\x18\x03\x20\x01"),
    )


@cache
def broadcasts() -> tuple[bytes, ...]:
    heads = [Head(cid.of(each), each) for each in nodes()]
    return (
        encode_broadcast(heads),
        encode_broadcast([Head(heads[0].cid)]),
        heads[0].cid,
        write_bytes(1, write_bytes(1, heads[0].cid) + write_bytes(2, b"dag")),
    )


@cache
def archives() -> tuple[bytes, ...]:
    sections = b"".join(car.encode_section(cid.of(each), each) for each in nodes())
    whole = car.encode_header([cid.of(nodes()[0])]) + sections
    second = bytes.fromhex("0aa16776657273696f6e02") + bytes(16)
    second += (51).to_bytes(8, "little") + len(whole).to_bytes(8, "little") + bytes(8) + whole
    return whole, whole + car.END + encode_trailer(Trailer(5, 300, True)), second


@cache
def requests() -> tuple[bytes, ...]:
    """Requests and trailers of dagsync without their lengths, and a header of an archive."""
    cids = tuple(cid.of(each) for each in nodes())
    request, trailer = encode_request(Request(cids, cids[:2])), encode_trailer(Trailer(1, 2, False))
    return request[2:], trailer[1:], car.encode_header(cids)[2:], cbor2.dumps({"v": 1, "a": [1, -2, b"x", {"b": None}]})


@cache
def identifies() -> tuple[bytes, ...]:
    message = Identify(
        agent_version="go-libp2p",
        protocols=["/ipfs/id/1.0.0", "/meshsub/1.1.0"],
        listen_addrs=[Multiaddr(each).to_bytes() for each in ADDRESSES],
        observed_addr=Multiaddr(ADDRESSES[0]).to_bytes(),
        public_key=ED25519 + bytes(KEY.verify_key),
    )
    return bytes(message.SerializeToString()), b""


def broadcast_message(payload: bytes, number: bytes) -> rpc_pb2.Message:
    """A message on the topic, signed."""
    made = rpc_pb2.Message(
        from_id=b"\x00\x24" + ED25519 + bytes(KEY.verify_key), data=payload, seqno=number, topicIDs=[MARKET_TOPIC]
    )
    made.signature = KEY.sign(b"libp2p-pubsub:" + made.SerializeToString()).signature
    return made


@cache
def rpcs() -> tuple[bytes, ...]:
    """Gossip RPCs with every part."""
    message = broadcast_message(broadcasts()[0], b"12345678")
    number = message.from_id + message.seqno
    control = rpc_pb2.ControlMessage(
        ihave=[rpc_pb2.ControlIHave(topicID=MARKET_TOPIC, messageIDs=[number])],
        iwant=[rpc_pb2.ControlIWant(messageIDs=[number, b"x"])],
        graft=[rpc_pb2.ControlGraft(topicID=MARKET_TOPIC)],
        prune=[rpc_pb2.ControlPrune(topicID=MARKET_TOPIC, backoff=60, peers=[rpc_pb2.PeerInfo(peerID=b"p")])],
    )
    membership = [rpc_pb2.RPC.SubOpts(subscribe=each, topicid=MARKET_TOPIC) for each in (True, False)]
    whole = rpc_pb2.RPC(subscriptions=membership, publish=[message], control=control)
    parts = rpc_pb2.RPC(publish=[message]), rpc_pb2.RPC(control=control), rpc_pb2.RPC(subscriptions=membership)
    return tuple(bytes(each.SerializeToString()) for each in (whole, *parts))


@cache
def exchanges() -> tuple[bytes, ...]:
    """Bitswap messages with every part, of two versions."""
    cids = [cid.of(each) for each in nodes()]
    entries = [bitswap.WantlistEntry(each, n - 2, bool(n % 2), n > 2, n == 3) for n, each in enumerate(cids)]
    blocks = [bitswap.block_for(one, each) for one, each in zip(cids, nodes(), strict=True)]
    whole = bitswap.Message(entries, True, blocks, [bitswap.Presence(each, True) for each in cids])
    return bitswap.encode(whole), bitswap.encode(whole, bitswap.V10), bitswap.encode(bitswap.Message(entries))


@cache
def announcements() -> tuple[bytes, ...]:
    """Questions and answers of mDNS."""
    return (
        mdns.question(),
        mdns.answer(mdns.SERVICES[0], "x" * 40, [f"/ip4/10.0.0.1/tcp/4001/p2p/{PEER}"]),
        mdns.answer(mdns.SERVICES[-1], "y" * 40, ADDRESSES[4:5], goodbye=True),
    )


@cache
def lookups() -> tuple[bytes, ...]:
    """Messages of the DHT."""
    peers = tuple(dht.DhtPeer(PEER, dht.binary_addresses(ADDRESSES)) for _ in range(3))
    return (
        dht.encode(dht.DhtMessage(dht.Kind.FIND_NODE, b"key")),
        dht.encode(dht.DhtMessage(dht.Kind.GET_PROVIDERS, b"key", peers, peers)),
    )
