"""What a seller says of its listings: withdrawals, timestamps that never fall, and healing in few deltas."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from betar_tui.errors import UnknownListingError
from betar_tui.market.marketplace import Difference, ListingDraft, ListingPatch, Provenance, RepublishReason
from betar_tui.market.own import records
from betar_tui.market.provenance import Signer
from betar_tui.market.withdrawal import KEPT, withdrawal, withdrawn_at
from betar_tui.peer import Peer, open_peer
from betar_tui.replica import keys
from tests.peers.harness import config
from tests.simulation.lab import node

DAY = 86_400.0


class Clock:
    """A clock that stands still until it is set. Unix seconds."""

    def __init__(self, now: float = 1_795_390_400.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def foreign(peer: Peer, puts: Mapping[str, bytes], removed: Collection[str] = (), above: int = 1) -> None:
    """Merge what somebody else puts, and removes of what is here."""
    height = peer._writer.replica.height + above
    dead = [(key, each.cid) for key in removed for each in peer._store.elements(key)]
    await peer._writer.merge_nodes([node((), puts.items(), dead, height)], "stranger")


async def the_map(peer: Peer, *names: str) -> dict[str, bytes]:
    return {key: winner.value for key, winner in peer._store.winners(names).items()}


async def deltas(peer: Peer) -> int:
    return (await peer.status()).blocks


async def test_delisting_removes_and_withdraws_in_one_delta(tmp_path: Path) -> None:
    async with open_peer(config(tmp_path), network=False) as peer:
        (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
        await peer.update(receipt.id, ListingPatch(price=2.0))
        before = await deltas(peer)
        removal = await peer.delist(receipt.id)
        assert (await deltas(peer), removal.tombstones) == (before + 1, 2)
        key, withdrawn = keys.of_agent(receipt.id), keys.of_withdrawal(receipt.id)
        found = await the_map(peer, key, withdrawn)
        assert found.keys() == {withdrawn}
        assert withdrawn_at(withdrawn, found[withdrawn]) is not None
        assert (await peer.listings()).listings == ()
        with pytest.raises(UnknownListingError, match="was withdrawn by its seller on 20"):
            await peer.show(receipt.id)
        with pytest.raises(UnknownListingError):
            await peer.delist(receipt.id)


async def test_what_another_peer_removed_is_still_shown_and_can_be_withdrawn(tmp_path: Path) -> None:
    async with open_peer(config(tmp_path), network=False) as peer:
        (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
        await foreign(peer, {}, [keys.of_agent(receipt.id)])
        (listing,) = (await peer.listings()).listings
        assert (listing.difference, listing.mine, listing.provenance) == (
            Difference.REMOVED,
            True,
            Provenance.VERIFIED,
        )
        detail = await peer.show(receipt.id)
        assert detail.listing.difference is Difference.REMOVED
        assert json.loads(detail.raw)["id"] == receipt.id
        assert detail.story == (
            "removed by another peer; its seller has not withdrawn it",
            "1 version: 1 signed by its seller",
        )
        assert [each.voice for each in detail.history] == ["signed by its seller"]
        await peer.delist(receipt.id)
        assert (await peer.listings()).listings == ()


async def test_timestamps_never_fall(tmp_path: Path) -> None:
    """Not within a second, not with a clock that is set back, not over restarts, and not after a withdrawal."""
    clock, said = Clock(), list[int]()

    async def note(peer: Peer, listing_id: str) -> None:
        (found,) = peer._catalogue.said([keys.of_agent(listing_id)]).values()
        said.append(found.last)

    async with open_peer(config(tmp_path), network=False, clock=clock) as peer:
        (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
        await note(peer, receipt.id)
        for price in (2.0, 3.0):
            await peer.update(receipt.id, ListingPatch(price=price))
            await note(peer, receipt.id)
    clock.now -= 1000
    async with open_peer(config(tmp_path), network=False, clock=clock) as peer:
        await peer.update(receipt.id, ListingPatch(price=4.0))
        await note(peer, receipt.id)
        await peer.delist(receipt.id)
        await note(peer, receipt.id)
    clock.now -= 1000
    async with open_peer(config(tmp_path), network=False, clock=clock) as peer:
        await peer.publish([ListingDraft("ocr", 5)])
        await note(peer, receipt.id)
        (listing,) = (await peer.listings()).listings
        assert (listing.price, listing.timestamp) == (5.0, said[-1])
        assert "and offered again since" in " ".join((await peer.show(receipt.id)).story)
        await foreign(peer, {keys.of_agent(receipt.id): b"junk"})
        await peer._seller.maintain()
        await note(peer, receipt.id)
    assert said == sorted(set(said))


async def test_withdrawals_leave_the_map_after_their_time_and_hold_all_the_same(tmp_path: Path) -> None:
    clock = Clock()
    async with open_peer(config(tmp_path), network=False, clock=clock) as peer:
        (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
        old = (await peer.show(receipt.id)).raw.encode()
        await peer.delist(receipt.id)
        clock.now += KEPT
        assert await peer._seller.maintain() == ()
        withdrawn = keys.of_withdrawal(receipt.id)
        assert withdrawn in await the_map(peer, withdrawn)
    async with open_peer(config(tmp_path), network=False, clock=clock) as peer:
        clock.now += DAY
        before = await deltas(peer)
        await peer._seller.maintain()
        assert await the_map(peer, withdrawn) == {}
        await peer._seller.maintain()
        assert await deltas(peer) == before + 1, "once"
        await foreign(peer, {keys.of_agent(receipt.id): old}, above=100)
        assert (await peer.listings()).listings == ()


async def test_a_round_heals_everything_in_one_delta_and_says_so_once(tmp_path: Path) -> None:
    clock = Clock()
    async with open_peer(config(tmp_path), network=False, clock=clock) as peer:
        receipts = await peer.publish([ListingDraft(f"a{n:02}", 1) for n in range(30)])
        names = [keys.of_agent(each.id) for each in receipts]
        await foreign(peer, {names[0]: b"junk", names[1]: b"{}"}, names[2:])
        before = await deltas(peer)
        repaired = await peer._seller.maintain()
        assert await deltas(peer) == before + 1
        assert {each.listing_id for each in repaired} == {each.id for each in receipts}
        assert [each.reason for each in repaired].count(RepublishReason.REPLACED) == 2
        assert all(each.healed for each in repaired)
        assert await peer._seller.maintain() == ()
        for _ in range(10):  # the stranger is at it again and again
            await foreign(peer, {}, names)
            await peer._seller.maintain()
        assert await deltas(peer) == before + 1 + 10, "its ten, and none of ours before the next is due"
        assert len((await peer.listings()).listings) == 30, "nobody here was deceived meanwhile"


@pytest.mark.parametrize("in_map", ["the newer word", "junk", "the older word", "nothing"])
async def test_the_newest_word_of_another_device_is_taken_over_wherever_the_map_went(
    tmp_path: Path, in_map: str
) -> None:
    clock = Clock()
    async with open_peer(config(tmp_path / "one"), network=False, clock=clock) as one:
        (receipt,) = await one.publish([ListingDraft("ocr", 1)])
    (tmp_path / "two").mkdir()
    for each in (tmp_path / "one").iterdir():
        if each.is_file() and not each.name.endswith((".lock", ".sock")):
            (tmp_path / "two" / each.name).write_bytes(each.read_bytes())
    key = keys.of_agent(receipt.id)
    clock.now += 100
    async with open_peer(config(tmp_path / "two"), network=False, clock=clock) as two:
        older = (await two.show(receipt.id)).raw.encode()
        await two.update(receipt.id, ListingPatch(price=7.0))
        newer = (await two.show(receipt.id)).raw.encode()
    async with open_peer(config(tmp_path / "one"), network=False, clock=clock) as one:
        await foreign(one, {key: newer})
        if in_map in ("junk", "the older word"):
            await foreign(one, {key: b"junk" if in_map == "junk" else older})
        elif in_map == "nothing":
            await foreign(one, {}, [key])
        assert [each.reason for each in await one._seller.maintain()] == [RepublishReason.ADOPTED]
        (listing,) = (await one.listings()).listings
        assert (listing.price, listing.mine) == (7.0, True)
        reasons = [each.reason for each in await one._seller.maintain()]
        healed = {"junk": [RepublishReason.REPLACED], "the older word": [RepublishReason.REPLACED]}
        healed["nothing"] = [RepublishReason.MISSING]
        assert reasons == healed.get(in_map, [])
        (value,) = (await the_map(one, key)).values()
        assert json.loads(value)["price"] == 7.0


async def test_a_withdrawal_on_another_device_is_not_undone(tmp_path: Path) -> None:
    clock = Clock()
    async with open_peer(config(tmp_path), network=False, clock=clock) as peer:
        (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
        signer: Signer = peer._seller._signer
        said = withdrawal(receipt.id, signer, int(clock.now) + 50)
        await foreign(peer, {keys.of_withdrawal(receipt.id): said}, [keys.of_agent(receipt.id)])
        assert (await peer.listings()).listings == ()
        (repaired,) = await peer._seller.maintain()
        assert (repaired.reason, repaired.healed) == (RepublishReason.WITHDRAWN, False)
        assert await peer._seller.maintain() == ()
        assert (await peer.listings()).listings == ()


async def test_a_removal_that_a_crash_cut_short_is_finished_with_its_withdrawal(tmp_path: Path) -> None:
    async with open_peer(config(tmp_path), network=False) as peer:
        (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
        key = keys.of_agent(receipt.id)
        peer._store.put_own(records({key: None}))
    async with open_peer(config(tmp_path), network=False) as peer:
        await peer._seller.maintain()
        found = await the_map(peer, key, keys.of_withdrawal(receipt.id))
        assert found.keys() == {keys.of_withdrawal(receipt.id)}
        assert (await peer.listings()).listings == ()
        before = await deltas(peer)
        await peer._seller.maintain()
        assert await deltas(peer) == before
