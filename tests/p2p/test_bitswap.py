"""Blocks between two of these peers: which peer they come from, also when one lacks them or is silent."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from betar_tui.errors import DecodeError
from betar_tui.ipld.protobuf import write_bytes
from betar_tui.p2p.bitswap.engine import BYTES_PER_TURN, LOOKUP_BATCH, Bitswap
from betar_tui.p2p.bitswap.link import MAX_QUEUED_PRESENCES
from betar_tui.p2p.bitswap.messages import (
    PROTOCOLS,
    V10,
    V11,
    V12,
    Block,
    Message,
    Presence,
    WantlistEntry,
    decode,
    encode,
)
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.network import MAX_LARGE_QUEUED
from betar_tui.p2p.types import LARGE_BLOCK, Misbehaviour, ReceivedBlock, Timing
from tests.p2p.peers import PATIENT, QUICK, cid_for, lived, meet, pair, peer, raw_stream, until

UNTOLD = replace(QUICK, nudges=())
"""Without the messages to a peer that joined."""


async def test_sixty_blocks_from_the_announcer() -> None:
    async with pair(timing=PATIENT) as (alice, bob):
        cids = [alice.shelf.put(os.urandom(600)) for _ in range(60)]
        assert await bob.fetch(cids, alice.id) == alice.shelf.stored
        assert len(bob.network._bitswap._wants) == 0
        times = []
        for _ in range(20):
            cid = alice.shelf.put(os.urandom(600))
            start = time.perf_counter()
            await bob.fetch([cid], alice.id)
            times.append(time.perf_counter() - start)
        # The library's client costs each block 15 ms of debounce, and answers on a second's tick; a machine under load
        # delays some, but not all.
        assert min(times) < 0.015


async def test_thousands_of_wants_go_out_in_few_messages() -> None:
    async with pair(timing=PATIENT) as (alice, bob):
        cids = [alice.shelf.put(b"%d" % number) for number in range(3000)]
        assert len(await bob.fetch(cids, alice.id)) == 3000


async def test_large_blocks() -> None:
    async with pair(timing=PATIENT) as (alice, bob):
        cids = [alice.shelf.put(os.urandom(1 << 20)) for _ in range(6)]
        assert await bob.fetch(cids, alice.id) == alice.shelf.stored


async def test_large_blocks_that_wait_hold_up_no_small_ones_of_others() -> None:
    async with pair(timing=PATIENT) as (alice, bob), peer("carol", timing=PATIENT) as carol:
        await meet(carol, bob)
        large = [alice.shelf.put(os.urandom(LARGE_BLOCK)) for _ in range(MAX_LARGE_QUEUED + 3)]
        bob.network.want(large, alice.id)
        await until(lambda: bob.network.large_blocks.statistics().current_buffer_used == MAX_LARGE_QUEUED)
        small = carol.shelf.put(os.urandom(LARGE_BLOCK - 1))
        bob.network.want([small], carol.id)
        with trio.fail_after(5):
            assert (await bob.network.blocks.receive()).cid == small
            assert {(await bob.network.large_blocks.receive()).cid for _ in large} == set(large)


async def test_blocks_that_a_look_up_left_out_are_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair(timing=PATIENT) as (alice, bob):
        whole = alice.shelf.blocks

        async def three(cids: Sequence[bytes]) -> Mapping[bytes, bytes | None]:
            return await whole(cids[:3])

        monkeypatch.setattr(alice.shelf, "blocks", three)
        cids = [alice.shelf.put(os.urandom(600)) for _ in range(60)]
        assert await bob.fetch(cids, alice.id) == alice.shelf.stored


async def test_a_third_peer_helps_when_the_announcer_has_not_got_it() -> None:
    never = replace(PATIENT, retry_min=600.0, retry_max=600.0)  # found by asking, not by retrying
    async with pair(timing=never) as (alice, bob), peer("carol", timing=never) as carol:
        await meet(carol, bob)
        cid = carol.shelf.put(b"only carol has it" * 100)
        assert await bob.fetch([cid], alice.id)
        assert bob.of(Misbehaviour) == []


async def test_a_peer_that_connects_later_is_asked() -> None:
    async with pair() as (alice, bob), peer("carol") as carol:
        cid = carol.shelf.put(b"late")
        bob.network.want([cid], alice.id)
        await until(lambda: cid in alice.shelf.asked)
        await meet(carol, bob)
        with trio.fail_after(5):
            block = await bob.network.blocks.receive()
        assert (block.cid, block.data, block.peer) == (cid, b"late", carol.id)


async def test_a_block_that_arrives_at_the_announcer_later_is_sent() -> None:
    async with pair(timing=replace(QUICK, retry_min=30.0, retry_max=30.0)) as (alice, bob):
        data = b"comes later" * 200
        cid = cid_for(data)
        bob.network.want([cid], alice.id)
        await until(lambda: cid in alice.shelf.asked)
        alice.shelf.put(data)
        alice.network.announce_block(cid)
        with trio.fail_after(5):
            assert (await bob.network.blocks.receive()).data == data


async def test_a_stalling_announcer_is_passed_over() -> None:
    never = replace(UNTOLD, retry_min=600.0, retry_max=600.0)
    async with pair(timing=never) as (alice, bob), peer("carol") as carol:
        await meet(carol, bob)

        async def swallow(stream: INetStream) -> None:
            await trio.sleep_forever()

        for protocol in PROTOCOLS:
            alice.network._host.set_stream_handler(protocol, swallow)  # type: ignore[arg-type]
        cid = carol.shelf.put(b"from carol")
        start = time.perf_counter()
        async with lived() as so_far:
            assert await bob.fetch([cid], alice.id)
        assert bob.network._timing.stall * 0.9 < time.perf_counter() - start
        assert so_far.seconds < 3


async def test_a_cancelled_want_is_neither_delivered_nor_a_misbehaviour() -> None:
    async with pair() as (alice, bob):
        cid = cid_for(b"cancelled")
        bob.network.want([cid], alice.id)
        await until(lambda: cid in alice.shelf.asked)
        bob.network.cancel([cid])
        assert len(bob.network._bitswap._wants) == 0
        late = Message(blocks=[Block(cid[:4], b"cancelled")])
        stream = await raw_stream(alice, bob.id, V12)
        await stream.write(frame(encode(late)))
        other = alice.shelf.put(b"another")
        await bob.fetch([other], alice.id)
        assert bob.of(Misbehaviour) == []
        await until(lambda: alice.network._bitswap._ledgers._ledgers[bob.id].wants == {})


async def test_a_cid_that_cannot_be_verified_is_refused() -> None:
    async with peer("alice") as alice:
        with pytest.raises(DecodeError):
            alice.network.want([b"\x01\x71\x12\x20" + bytes(32)])
        with pytest.raises(DecodeError):
            alice.network.want([b""])


@pytest.mark.parametrize("protocol", [V10, V11, V12])
async def test_old_protocol_versions_are_served_on_our_own_stream(protocol: str) -> None:
    """A peer that speaks only `protocol` asks, and gets its block on a stream that we open (item 9)."""
    async with pair(timing=UNTOLD) as (alice, bob):
        got: list[Message] = []

        async def collect(stream: INetStream) -> None:
            frames = FrameReader(stream, 1 << 22)
            while (raw := await frames.next()) is not None:
                got.append(decode(raw))

        mux = alice.network._host.get_mux()
        for each in PROTOCOLS:
            mux.handlers.pop(each, None)  # type: ignore[call-overload]
        alice.network._host.set_stream_handler(protocol, collect)  # type: ignore[arg-type]
        cid = bob.shelf.put(b"for an old peer")
        stream = await raw_stream(alice, bob.id, protocol)
        await stream.write(frame(encode(Message([WantlistEntry(cid)]), protocol)))
        await until(lambda: got)
        assert bytes(got[0].blocks[0].data) == b"for an old peer"
        answer = Message(blocks=[Block(cid[:4], b"for an old peer")])
        assert encode(answer, protocol) == encode(got[0], protocol)


async def test_answers_on_our_own_stream_are_read() -> None:
    """py-libp2p as shipped answers on the stream the wants came on."""
    async with peer("alice") as alice, peer("bob") as bob:
        data = b"answered where it was asked"

        async def answer(stream: INetStream) -> None:
            reader = FrameReader(stream, 1 << 22)
            while await reader.next() is not None:  # the first may be the word that is sent to whoever joins
                await stream.write(frame(encode(Message(blocks=[Block(cid_for(data)[:4], data)]))))

        for protocol in PROTOCOLS:
            alice.network._host.set_stream_handler(protocol, answer)  # type: ignore[arg-type]
        await meet(alice, bob)
        assert await bob.fetch([cid_for(data)], alice.id)


async def test_wants_survive_a_broken_stream() -> None:
    async with pair() as (alice, bob):
        first = alice.shelf.put(b"first")
        await bob.fetch([first], alice.id)
        link = bob.network._bitswap._links[alice.id]
        assert link.stream is not None
        await link.stream.reset()
        second = alice.shelf.put(b"second")
        await bob.fetch([second], alice.id)


async def test_a_want_list_without_end_is_cut() -> None:
    async with pair() as (alice, bob):
        stream = await raw_stream(alice, bob.id, V12)
        for part in range(3):
            entries = [WantlistEntry(cid_for(b"%d/%d" % (part, number))) for number in range(4000)]
            await stream.write(frame(encode(Message(entries))))
        ledgers = bob.network._bitswap._ledgers
        last = cid_for(b"0/0")
        await stream.write(frame(encode(Message([WantlistEntry(last, cancel=True)]))))
        await until(lambda: last not in ledgers._ledgers[alice.id].wants)
        assert len(ledgers._ledgers[alice.id].wants) == 4096 - 1
        cid = bob.shelf.put(b"others are served all the same")
        async with peer("carol") as carol:
            await meet(carol, bob)
            await carol.fetch([cid], bob.id)


async def test_a_peer_that_asks_and_never_reads_holds_little() -> None:
    async with pair(timing=PATIENT) as (alice, bob):

        async def deaf(stream: INetStream) -> None:
            await trio.sleep_forever()

        for protocol in PROTOCOLS:
            alice.network._host.set_stream_handler(protocol, deaf)  # type: ignore[arg-type]
        await until(lambda: alice.id in bob.network._bitswap._links)  # made after identify
        link = bob.network._bitswap._links[alice.id]
        cid = bob.shelf.put(b"x" * 5000)
        stream = await raw_stream(alice, bob.id, V12)
        wants = [WantlistEntry(cid_for(b"%d" % number), have=True, send_dont_have=True) for number in range(4000)]
        bitswap, taken = bob.network._bitswap, []
        process, ledgers = bitswap._process, bitswap._ledgers

        async def counted(peer: str, message: Message) -> None:
            await process(peer, message)
            taken.append(message)

        def unanswered() -> bool:
            ledger = ledgers._ledgers.get(alice.id)  # forgotten when it has nothing to say
            return ledger is not None and bool(ledger.lookups)

        bitswap._process = counted  # type: ignore[method-assign]
        for round_ in range(1, 9):
            await stream.write(frame(encode(Message([*wants, WantlistEntry(cid, have=True)]))))
            await until(lambda: link.stream)
            link.stream.muxed_stream.send_window = 0  # type: ignore[union-attr]  # as if 4 MiB were under way
            # All that was asked by then is answered, or waits for room.
            await until(lambda: len(taken) >= round_ and (link.full or not unanswered()))  # noqa: B023
        assert 4000 < len(link.presences) <= MAX_QUEUED_PRESENCES + LOOKUP_BATCH
        other = bob.shelf.put(b"others are served")
        async with peer("carol") as carol:
            await meet(carol, bob)
            await carol.fetch([other], bob.id)


async def test_no_link_is_made_for_a_peer_that_is_gone() -> None:
    async with pair() as (alice, bob):
        bitswap = bob.network._bitswap
        gone = alice.id
        bob.network.want([cid_for(b"never")], gone)
        await bob.network.disconnect(gone)
        await until(lambda: not bitswap._links)
        await bitswap._process(
            gone, Message([WantlistEntry(cid_for(b"x"))], presences=[Presence(cid_for(b"never"), True)])
        )
        bitswap.peer_up(gone, PROTOCOLS)
        bitswap.announce(cid_for(b"x"))
        assert not bitswap._links
        assert not bitswap._ledgers._ledgers


async def test_a_link_whose_peer_is_gone_ends_without_a_notification() -> None:
    async with pair() as (alice, bob):
        bitswap = bob.network._bitswap
        await until(lambda: alice.id in bitswap._links)  # made after identify, not with the topic
        link = bitswap._links[alice.id]
        bitswap._connected = lambda peer: False  # type: ignore[method-assign]
        bob.network.want([cid_for(b"x")], alice.id)
        await until(lambda: link.peer not in bitswap._links)


async def test_a_stream_that_breaks_again_and_again_is_opened_ever_more_rarely() -> None:
    async with pair(timing=UNTOLD) as (alice, bob):
        opened: list[float] = []

        async def breaks(stream: INetStream) -> None:
            opened.append(trio.current_time())
            await stream.reset()

        for protocol in PROTOCOLS:
            alice.network._host.set_stream_handler(protocol, breaks)  # type: ignore[arg-type]
        bob.network.want([cid_for(b"never")], alice.id)
        await until(lambda: len(opened) == 4)
        pauses = [b - a for a, b in zip(opened, opened[1:], strict=False)]
        assert pauses[1] > 1.5 * pauses[0] > 0.3
        assert pauses[2] > 1.5 * pauses[1]


async def test_a_source_that_fails_is_reported_and_does_not_end_the_link() -> None:
    async with pair() as (alice, bob):
        cid = alice.shelf.put(b"x")
        working = alice.shelf.blocks

        async def failing(cids: object) -> dict[bytes, bytes]:
            raise OSError("disk on fire")

        alice.shelf.blocks = failing  # type: ignore[method-assign]
        bob.network.want([cid], alice.id)
        await until(alice.network.troubles)
        alice.shelf.blocks = working  # type: ignore[method-assign]
        with trio.fail_after(5):
            assert (await bob.network.blocks.receive()).cid == cid


async def test_others_get_their_turn_while_large_messages_are_read() -> None:
    """One read of a stream may bring nothing else, without a wait between two messages."""
    count, size = 60, 16_000
    pieces = [count * frame(write_bytes(15, bytes(size)))]

    async def read(size: int) -> bytes:
        return pieces.pop() if pieces else b""

    alice = ID.from_pubkey(create_new_key_pair(bytes(32)).public_key)
    stream = SimpleNamespace(muxed_conn=SimpleNamespace(peer_id=alice), read=read)
    connection = SimpleNamespace(is_closed=False)
    host = SimpleNamespace(get_network=lambda: SimpleNamespace(get_connections=lambda peer: [connection]))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    penalties: list[object] = []
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            received = trio.open_memory_channel[ReceivedBlock](1)[0]
            note = lambda *penalty: penalties.append(penalty)  # noqa: E731
            bitswap = Bitswap(host, None, Timing(), nursery, received.send, note, note)  # type: ignore[arg-type]
            nursery.start_soon(other)
            await bitswap.handle(stream)  # type: ignore[arg-type]
            nursery.cancel_scope.cancel()
    assert turns >= count // (BYTES_PER_TURN // size + 1) - 1
    assert penalties == []
