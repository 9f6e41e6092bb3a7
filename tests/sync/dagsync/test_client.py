"""The client's side of a stream, against a scripted one."""

from itertools import pairwise

from betar_tui.ipld import car, cid
from betar_tui.replica import decode_node, delta
from betar_tui.replica.node import encode_node
from betar_tui.sync.dagsync import client
from betar_tui.sync.dagsync.client import DagSyncClient
from betar_tui.sync.dagsync.messages import Trailer, encode_trailer

PEER = "12D3KooWPeer"


class Script:
    """A stream that answers with given bytes."""

    def __init__(self, answer: bytes) -> None:
        self.peer = PEER
        self.left = answer
        self.was_reset = False

    async def read(self, n: int) -> bytes:
        data, self.left = self.left[:n], self.left[n:]
        return data

    async def write(self, data: bytes) -> None:
        pass

    async def close(self) -> None:
        pass

    async def reset(self) -> None:
        self.was_reset = True


def wide_chain(count: int, width: int) -> list[bytes]:
    """Blocks, newest first, each of which links to the next and to blocks that do not exist."""
    blocks: list[bytes] = []
    for height in range(1, count + 1):
        absent = [cid.of(b"%d %d" % (height, n)) for n in range(width - 1)]
        below = [cid.of(blocks[0])] if blocks else []
        blocks.insert(0, encode_node([*absent, *below], delta.encode([("/agents/YQ", b"x")], [], height)))
    return blocks


async def fetched(blocks: list[bytes]) -> tuple[list[bytes], Trailer | None, Script]:
    """The blocks that the client takes of an answer, the trailer, and the stream."""
    sections = b"".join(car.encode_section(cid.of(block), block) for block in blocks)
    whole = Trailer(len(blocks), sum(map(len, blocks)), complete=True)
    stream = Script(car.encode_header([]) + sections + car.END + encode_trailer(whole))

    async def open_stream(peer: str, protocol: str) -> Script:
        return stream

    got: list[bytes] = []
    trailer = None
    async for piece in DagSyncClient(open_stream).fetch(PEER, [cid.of(blocks[0])], []):
        got += [node.data for node in piece.nodes]
        trailer = piece.trailer
    return got, trailer, stream


async def test_an_answer_of_few_links_is_read_to_its_end():
    blocks = wide_chain(20, 3)
    got, trailer, stream = await fetched(blocks)
    assert got == blocks
    assert trailer == Trailer(20, sum(map(len, blocks)), complete=True)
    assert not stream.was_reset


async def test_an_answer_of_too_many_links_is_read_in_part_and_counts_as_truncated(monkeypatch):
    monkeypatch.setattr(client, "MAX_EXPECTED", 1000)
    monkeypatch.setattr(client, "READ_SIZE", 4096)
    blocks = wide_chain(20, 100)
    got, trailer, stream = await fetched(blocks)
    assert got == blocks[: len(got)]
    assert 10 <= len(got) <= 12, "a block of 4.4 kB with 99 new links each, up to the first above the limit"
    assert trailer == Trailer(len(got), sum(map(len, got)), complete=False)
    assert stream.was_reset, "what follows is not read, so the stream cannot be used again"
    assert all(decode_node(cid.of(a), a).links.count(cid.of(b)) == 1 for a, b in pairwise(got))
