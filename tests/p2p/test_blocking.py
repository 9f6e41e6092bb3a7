"""A blocked peer is not dialled and not let in, and what it announces is dropped whoever brings it."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from betar_tui.errors import NetworkError
from betar_tui.p2p.addresses import peer_id
from betar_tui.p2p.blocklist import Blocklist
from betar_tui.p2p.types import PeerDisconnected, ReceivedBroadcast
from tests.p2p.peers import meet, pair, peer, until
from tests.p2p.test_address_book import some_peers


def test_a_blocklist_knows_ids_and_authors() -> None:
    someone = "12D3KooWGRUKZ8sRKx5n3xzwtTxhsHCqDM1NXGDRYrbkkmqBKqyk"
    blocked = Blocklist(["nobody", someone])
    author = peer_id(someone).to_bytes()
    assert someone in blocked
    assert "nobody" not in blocked
    assert blocked.has_author(author)
    assert not blocked.has_author(b"x" * 1_000_000)
    blocked.discard(someone)
    blocked.discard("nobody")
    assert someone not in blocked
    assert not blocked.has_author(author)
    assert not blocked.has_author(b"")


async def test_a_blocked_peer_is_closed_kept_out_and_let_in_again() -> None:
    async with pair() as (alice, bob):
        await bob.network.block(alice.id)
        await until(lambda: bob.of(PeerDisconnected))
        await until(lambda: not alice.network.connections())
        with pytest.raises(NetworkError, match="is blocked"):
            await bob.network.connect(alice.network.addrs[0])
        with suppress(NetworkError):  # refused, or closed at once
            await alice.network.connect(bob.network.addrs[0])
        await until(lambda: not alice.network.connections() and not bob.network.connections())
        bob.network.unblock(alice.id)
        await meet(alice, bob)
        await alice.network.broadcast(b"here again")
        await until(lambda: any(each.payload == b"here again" for each in bob.of(ReceivedBroadcast)))


async def test_one_that_is_being_shut_out_is_not_among_the_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stalled(connections: object) -> None:
        await trio.sleep_forever()

    async with peer("alice") as alice, peer("bob", blocked=(alice.id,)) as bob:
        with monkeypatch.context() as held:
            held.setattr(bob.network, "_close", stalled)
            await alice.network.connect(bob.network.addrs[0])
            await until(lambda: bob.network._table.get(alice.id) is not None)
            assert bob.network.connections() == () and bob.network.connected == 0


async def test_peers_that_were_blocked_before_the_start_are_not_dialled() -> None:
    async with peer("alice") as alice:
        known = ((alice.id, alice.network.addrs),)
        async with peer("bob", blocked=(alice.id,), known_peers=known) as bob, peer("carol") as carol:
            bob.network.remember(alice.id, alice.network.addrs)
            await meet(carol, bob)
            assert alice.id not in {each.peer_id for each in bob.network.connections()}
            assert not alice.network.connections()
            assert bob.network.searches() == ()
            bob.network.unblock(alice.id)
            await until(lambda: alice.id in bob.network.topic_peers())


async def test_a_blocked_peer_is_none_of_those_that_are_dialled() -> None:
    with_address = dict.fromkeys(some_peers(2, 1), ("/ip4/127.0.0.1/tcp/9",))  # where nobody listens
    blocked, other = with_address
    async with peer("bob", blocked=(blocked,), known_peers=tuple(with_address.items())) as bob:
        assert [each.what for each in bob.network.searches()] == ["dialling 1 remembered peer"]
        bob.network.unblock(blocked)
        assert [each.what for each in bob.network.searches()] == ["dialling 2 remembered peers"]
        await bob.network.block(other)
        assert [each.what for each in bob.network.searches()] == ["dialling 1 remembered peer"]


async def test_what_a_blocked_author_says_is_dropped_though_another_brings_it() -> None:
    async with peer("alice") as alice, peer("carol") as carol, peer("bob", blocked=(alice.id,)) as bob:
        await meet(alice, carol)
        await meet(bob, carol)
        await alice.network.broadcast(b"of alice")
        await until(lambda: carol.of(ReceivedBroadcast))
        await carol.network.broadcast(b"of carol")
        await until(lambda: bob.of(ReceivedBroadcast))
        with trio.move_on_after(0.5):  # longer than a heartbeat, with which what was not seen is offered again
            await until(lambda: len(bob.of(ReceivedBroadcast)) > 1)
        assert [each.payload for each in bob.of(ReceivedBroadcast)] == [b"of carol"]
