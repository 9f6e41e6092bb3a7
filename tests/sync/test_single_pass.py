"""Between two real peers, a broadcast is decoded once by its receiver, and a block is hashed once however it comes."""

import hashlib
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from betar_tui.ipld import cid as cids
from betar_tui.peer import Peer
from betar_tui.replica import Head
from betar_tui.sync import accepting, replication
from tests.peers.harness import eventually, meet, peer

KEY = "/agents/YQ"


class Calls:
    """How often each payload was decoded and each block hashed, by both peers together."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.decoded, self.hashed = Counter[bytes](), Counter[bytes]()
        decode = accepting.decode_broadcast

        def decode_broadcast(payload: bytes) -> tuple[Head, ...]:
            self.decoded[payload] += 1
            return decode(payload)

        def sha256(data: bytes) -> Any:
            self.hashed[data] += 1
            return hashlib.sha256(data)

        monkeypatch.setattr(accepting, "decode_broadcast", decode_broadcast)
        monkeypatch.setattr(cids, "hashlib", SimpleNamespace(sha256=sha256))


async def _transfer(a: Peer, b: Peer, value: bytes) -> bytes:
    """The block of a delta that one peer writes, once the other has merged it."""
    (written,) = await a._writer.write({KEY: value})
    a.session.announce([written.node.cid])
    await eventually(lambda: b._store.winners([KEY]), what="the delta")
    return written.node.data


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    # Other broadcasts of the same head would be decoded and verified as well.
    monkeypatch.setattr(replication, "REBROADCAST_DELAYS", (600.0,))
    monkeypatch.setattr(replication, "MAX_JOIN_ANNOUNCEMENTS", 0)
    monkeypatch.setattr(replication, "JOIN_INTERVAL", 600.0)
    return Calls(monkeypatch)


async def test_a_block_in_a_broadcast_is_decoded_and_hashed_once(tmp_path, calls: Calls) -> None:
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        block = await _transfer(a, b, b"small")
    assert [count for payload, count in calls.decoded.items() if block in payload] == [1]
    assert calls.hashed[block] == 2, "by its author, and by the peer that it came to"


async def test_a_block_that_comes_by_dagsync_is_hashed_once(tmp_path, calls: Calls) -> None:
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        block = await _transfer(a, b, bytes(20_000))
    assert calls.hashed[block] == 2, "by its author, and by the peer that it came to"


async def test_a_block_that_comes_over_bitswap_is_hashed_once(tmp_path, calls: Calls) -> None:
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        await b.hold_sync(True)  # announced heads are then fetched over Bitswap
        block = await _transfer(a, b, bytes(20_000))
        await eventually(lambda: calls.hashed[block] > 2, what="the author's note that it was sent")
    assert calls.hashed[block] == 3, (
        "by its author twice, for its CID and as a block sent; by the peer that it came to once"
    )
