"""The message definitions of docs/protocol.md against the code's own encoders and decoders."""

import base58

from betar_tui.ipld import cid
from betar_tui.p2p.bitswap import messages as bitswap
from betar_tui.p2p.dht import messages as dht
from betar_tui.replica import Head, broadcast, delta, node
from tests.docs import schema
from tests.docs.pages import messages, vectors

A = cid.from_str(vectors()["A.cid"])
B = cid.from_str(vectors()["B.cid"])
KEY = "/agents/YQ"


def test_every_message_is_defined() -> None:
    assert set(messages()) == {
        *("CRDTBroadcast", "Head", "Delta", "Element", "PBNode", "PBLink"),
        *("Message", "Wantlist", "Entry", "Block", "BlockPresence"),
        *("DhtMessage", "DhtPeer"),
    }


def test_a_broadcast() -> None:
    raw = broadcast.encode_broadcast([Head(A, b"block"), Head(B)])
    assert schema.decode("CRDTBroadcast", raw) == {"heads": [{"cid": A, "block": b"block"}, {"cid": B}]}
    named = schema.encode("CRDTBroadcast", {"heads": [{"cid": A, "dag_name": "", "block": b"block"}]})
    assert broadcast.decode_broadcast(named) == (Head(A, b"block"),)


def test_a_delta() -> None:
    raw = delta.encode([(KEY, b"v")], [("/agents/Yg", A)], 7)
    values = {
        "elements": [{"key": KEY, "value": b"v"}],
        "tombstones": [{"key": "/agents/Yg", "id": cid.element_id(A)}],
        "priority": 7,
    }
    assert schema.decode("Delta", raw) == values
    named = schema.encode("Delta", {**values, "dag_name": "ignored"})
    found = delta.decode(named, 0, len(named))
    assert ([span.key for span in found.elements], found.priority) == ([KEY], 7)
    assert found.tombstones == (("/agents/Yg", A),)


def test_a_node() -> None:
    raw = node.encode_node([B, A], b"data")
    links = [{"Hash": link, "Name": "", "Tsize": 0} for link in sorted([A, B])]
    assert schema.decode("PBNode", raw) == {"Links": links, "Data": b"data"}
    assert raw == schema.encode("PBNode", {"Links": links, "Data": b"data"})
    assert node.links_of(schema.encode("PBNode", {"Data": b"", "Links": [{"Hash": A}]})) == (A,)


def test_a_bitswap_message() -> None:
    message = bitswap.Message(
        entries=[
            bitswap.WantlistEntry(A, priority=3, have=True, send_dont_have=True),
            bitswap.WantlistEntry(B, cancel=True),
        ],
        full=True,
        blocks=[bitswap.Block(A[:4], b"block")],
        presences=[bitswap.Presence(B, have=False), bitswap.Presence(A, have=True)],
    )
    values = schema.decode("Message", bitswap.encode(message))
    wantlist = values["wantlist"]
    assert isinstance(wantlist, dict)
    entries = wantlist["entries"]
    assert isinstance(entries, list)
    assert entries[0] == {"block": A, "priority": 3, "wantType": 1, "sendDontHave": True}
    assert isinstance(entries[1], dict)
    assert (entries[1]["block"], entries[1]["cancel"]) == (B, True)
    assert wantlist["full"] is True
    assert values["payload"] == [{"prefix": A[:4], "data": b"block"}]
    presences = values["blockPresences"]
    assert isinstance(presences, list)
    assert presences[0] == {"cid": B, "type": 1}
    assert bitswap.decode(schema.encode("Message", values)) == message


def test_a_bitswap_message_of_version_1_0_has_bare_blocks() -> None:
    raw = bitswap.encode(bitswap.Message(blocks=[bitswap.Block(A[:4], b"block")]), bitswap.V10)
    assert schema.decode("Message", raw)["blocks"] == [b"block"]


def test_a_dht_message() -> None:
    one, other = b"\x12\x20" + bytes(32), b"\x12\x20" + bytes([1] * 32)
    peers = [dht.DhtPeer(base58.b58encode(raw).decode(), (b"address", b"another")) for raw in (one, other)]
    message = dht.DhtMessage(dht.Kind.GET_PROVIDERS, b"key", peers[:1], peers[1:])
    values: dict[str, schema.Value] = {
        "type": 3,
        "key": b"key",
        "closerPeers": [{"id": one, "addrs": [b"address", b"another"]}],
        "providerPeers": [{"id": other, "addrs": [b"address", b"another"]}],
    }
    assert schema.decode("DhtMessage", dht.encode(message)) == values
    named = schema.encode("DhtMessage", {**values, "closerPeers": [{"id": one, "connection": 1}]})
    assert list(dht.decode(named).closer) == [dht.DhtPeer(peers[0].peer)]
