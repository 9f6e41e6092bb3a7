"""Publishing at once from many places: whoever is wrong harms nobody else."""

import threading
import time

import pytest
import trio
from nacl.exceptions import CryptoError
from trio.testing import wait_all_tasks_blocked

from betar_tui.errors import AlreadyListedError, ListingError, StoreError
from betar_tui.market.compose import new_document
from betar_tui.market.marketplace import ListingDraft, ListingPatch
from betar_tui.market.provenance import Signer
from betar_tui.peer import Peer, open_peer
from betar_tui.replica import keys
from betar_tui.store.database import Store
from tests.peers.harness import config

GOOD = {"good-0", "good-1", "good-2"}
UNSIGNABLE = [{"n": 1 << 70}, {"deep": {"n": [-(1 << 65)]}}, {"m": {1: 2}}]


async def publish_together(peer: Peer, bad: ListingDraft) -> list[Exception]:
    """Publish the bad one in the middle of one batch of good ones; what was refused."""
    refused: list[Exception] = []

    async def publish(draft: ListingDraft) -> None:
        try:
            await peer.publish([draft])
        except Exception as error:
            refused.append(error)

    async with trio.open_nursery() as nursery, peer._seller._lock:
        for draft in (ListingDraft("good-0", 1), bad, *(ListingDraft(f"good-{n}", 1) for n in (1, 2))):
            nursery.start_soon(publish, draft)
            await wait_all_tasks_blocked()
    return refused


async def _names(peer: Peer) -> set[str]:
    return {each.name for each in (await peer.listings()).listings}


@pytest.mark.parametrize("metadata", UNSIGNABLE)
async def test_a_draft_that_cannot_be_signed_is_refused_alone(tmp_path, metadata):
    async with open_peer(config(tmp_path), network=False) as peer:
        (error,) = await publish_together(peer, ListingDraft("bad", 1, metadata=metadata))
        assert isinstance(error, ListingError)
        assert error.field == "metadata"
        assert "cannot be signed" in str(error)
        assert await _names(peer) == GOOD
        assert (await peer.status()).blocks == 1, "not one batch"


async def test_two_own_listings_cannot_come_to_have_one_name(tmp_path):
    async with open_peer(config(tmp_path), network=False) as peer:
        first, second = await peer.publish([ListingDraft("one", 1), ListingDraft("two", 1)])
        with pytest.raises(AlreadyListedError, match="^you already list 'two'; choose another name$") as caught:
            await peer.update(first.id, ListingPatch(name="two", price=5))
        assert caught.value.field == "name"
        assert {(each.name, each.price) for each in (await peer.listings()).listings} == {("one", 1), ("two", 1)}
        await peer.update(second.id, ListingPatch(name="two", price=3))
        await peer.update(second.id, ListingPatch(name="three"))
        await peer.update(first.id, ListingPatch(name="two"))
        assert await _names(peer) == {"two", "three"}
        with pytest.raises(AlreadyListedError, match="^you already list 'three'; update it instead$"):
            await peer.publish([ListingDraft("three", 1)])
        await peer.delist(second.id)
        await peer.publish([ListingDraft("three", 1)])


async def test_a_mistake_of_the_caller_stays_with_the_caller(tmp_path):
    async with open_peer(config(tmp_path), network=False) as peer:
        (error,) = await publish_together(peer, ListingDraft(None, 1))
        assert isinstance(error, AttributeError)
        assert await _names(peer) == GOOD


async def test_what_failed_for_whatever_reason_is_not_published_later(tmp_path, monkeypatch):
    """The first of several deltas stands, and with it the records of all of them."""
    drafts = [ListingDraft(f"big-{n}", 1, "x" * 16_000) for n in range(80)]
    async with open_peer(config(tmp_path), network=False) as peer:
        apply, applied = Store.apply, []

        def breaks(self: Store, *changes: object) -> None:
            if applied:
                raise RuntimeError("broken")
            applied.append(changes)
            apply(self, *changes)

        monkeypatch.setattr(Store, "apply", breaks)
        with pytest.raises(RuntimeError, match="broken"):
            await peer.publish(drafts)
        monkeypatch.undo()
        assert await trio.to_thread.run_sync(peer._store.own) == {}
        assert 0 < len(await _names(peer)) < 80
    with pytest.raises(StoreError):
        await peer.publish([ListingDraft("late", 1)])


async def test_publishing_nothing_is_a_turn_for_others(tmp_path):
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with open_peer(config(tmp_path), network=False) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(count)
        for _ in range(50):
            assert await peer.publish([]) == ()
        nursery.cancel_scope.cancel()
    assert turns >= 40


async def test_puts_in_a_row_wait_for_the_store_in_the_thread(tmp_path):
    """Whoever holds it, for as long as that takes: the loop goes on."""
    used_in = list[threading.Thread]()
    async with open_peer(config(tmp_path), network=False) as peer:
        peer._writer.listen(lambda _: used_in.append(threading.current_thread()), lambda _: None)

        async def put() -> bool:
            """Whether it was done in the loop's thread."""
            await peer.publish([ListingDraft(f"agent-{len(used_in)}", 1)])
            return used_in[-1] is threading.main_thread()

        with trio.fail_after(20):
            while not await put():  # the machine may be slow
                pass
        at_it, go_on = threading.Event(), threading.Event()

        def use() -> None:
            with peer._store._reading():
                at_it.set()
                go_on.wait(20)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, use)
            await trio.to_thread.run_sync(at_it.wait)
            await put_while_held(peer, go_on)
        assert used_in[-1] is not threading.main_thread()


async def put_while_held(peer: Peer, go_on: threading.Event) -> None:
    """Puts that come straight after another, while somebody holds the store."""
    async with trio.open_nursery() as nursery:
        peer._writer._worker._streak._ended = time.perf_counter()  # however long it took to get here
        nursery.start_soon(peer.publish, [ListingDraft("held", 1)])
        await wait_all_tasks_blocked()
        go_on.set()


@pytest.mark.parametrize("dialect", ["documents", "betar-go"])
async def test_own_values_are_read_back_without_a_look_at_their_signature(tmp_path, monkeypatch, dialect):
    def refuse(*_: object) -> bytes:
        raise CryptoError("no signature is genuine")

    monkeypatch.setattr("nacl.signing.VerifyKey.verify", refuse)
    async with open_peer(config(tmp_path, listing_dialect=dialect), network=False) as peer:
        (receipt,) = await peer.publish([ListingDraft("one", 1)])
        await peer.update(receipt.id, ListingPatch(price=2.0))
        await peer._seller.maintain()
        (listing,) = (await peer.listings()).listings
        assert (listing.price, listing.mine) == (2.0, True)
        value = (await peer.show(receipt.id)).raw.encode()
        assert not peer._seller._signer.is_own_value(value), "once"
        assert not peer._seller._signer._own_values, "nor is anything known that is not to be written"


async def test_a_document_of_another_seller_is_not_own_though_this_peer_writes_it(tmp_path):
    """One that was remembered when the data directory had another key."""
    async with open_peer(config(tmp_path), network=False) as peer:
        other = new_document(ListingDraft("theirs", 1), Signer(b"\x06" * 32).peer_id, ())
        await peer._seller._put({keys.of_agent(str(other["id"])): peer._seller._rendered(other, 1)})
        page = await peer.listings()
        assert (page.listings, page.invalid) == ((), 1)
