"""Identify messages from hostile peers."""

from __future__ import annotations

from libp2p.identity.identify.pb.identify_pb2 import Identify
from multiaddr import Multiaddr

from betar_tui.p2p.identify import IdentifyInfo, parse

BOB = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"
PUBLIC = "/ip4/93.184.216.34/tcp/4001"


def test_a_message_of_garbage_is_cut_to_size() -> None:
    message = Identify(agent_version="a" * 10_000, protocols=["p" * 1000] * 1000)
    message.listen_addrs.extend([b"\xff\xff", Multiaddr(PUBLIC).to_bytes(), b""] * 100)
    info = parse(message.SerializeToString(), BOB)
    assert len(info.agent) == 256
    assert len(info.protocols) == 256
    assert info.addrs == (f"{PUBLIC}/p2p/{BOB}",)
    assert parse(b"", BOB) == IdentifyInfo()
