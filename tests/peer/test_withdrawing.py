"""What a seller says of its listings: withdrawals, timestamps that never fall, and healing in few deltas."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from betar_tui.catalogue import checking
from betar_tui.config import load_identity
from betar_tui.errors import UnknownListingError
from betar_tui.market.history import version_changes
from betar_tui.market.marketplace import Difference, ListingDraft, ListingPatch, Provenance, RepublishReason
from betar_tui.market.own import records
from betar_tui.market.provenance import Signer
from betar_tui.market.republish import Said
from betar_tui.market.withdrawal import KEPT, withdrawal, withdrawn_at
from betar_tui.peer import Peer, indexing, open_peer
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
        assert [(each.voice, each.value is None) for each in detail.history] == [
            ("unsigned", True),
            ("signed by its seller", False),
        ]
        await peer.delist(receipt.id)
        assert (await peer.listings()).listings == ()


async def test_the_history_has_each_removal_of_a_listing_that_is_listed_again(tmp_path: Path) -> None:
    async with open_peer(config(tmp_path), network=False) as peer:
        (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
        changed = await peer.update(receipt.id, ListingPatch(price=2.0))
        removal = await peer.delist(receipt.id)
        (again,) = await peer.publish([ListingDraft("ocr", 3)])
        history = (await peer.show(receipt.id)).history
        assert [(each.cid, each.height, each.voice) for each in history] == [
            (again.cid, again.height, "signed by its seller"),
            (removal.cid, removal.height, "withdrawn by its seller"),
            (changed.cid, changed.height, "signed by its seller"),
            (receipt.cid, receipt.height, "signed by its seller"),
        ]
        assert [each.value and json.loads(each.value)["price"] for each in history] == [3, None, 2, 1]
        summaries = [each.summary for each in version_changes(history)]
        assert summaries == ["listed again", "removed", "changed", "published"]


async def test_a_removal_that_nobody_signed_is_in_the_history_too(tmp_path: Path) -> None:
    async with open_peer(config(tmp_path), network=False) as peer:
        (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
        await foreign(peer, {}, [keys.of_agent(receipt.id)])
        await peer.update(receipt.id, ListingPatch(price=2.0))
        history = (await peer.show(receipt.id)).history
        assert [each.summary for each in version_changes(history)] == ["listed again", "removed", "published"]
        assert (history[1].cid, history[1].height) == ("", 0)


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
    (tmp_path / "two").mkdir(mode=0o700)
    for each in (tmp_path / "one").iterdir():
        if each.is_file() and not each.name.endswith((".lock", ".sock")):
            shutil.copy(each, tmp_path / "two")
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


async def test_a_change_keeps_what_another_device_has_changed_since(tmp_path: Path) -> None:
    clock = Clock()
    async with open_peer(config(tmp_path / "one"), network=False, clock=clock) as one:
        (receipt,) = await one.publish([ListingDraft("ocr", 1, description="Reads.")])
    clock.now += 100
    newer = await the_newer_word(tmp_path / "two", receipt.id, clock, 7.0)
    clock.now += 100
    async with open_peer(config(tmp_path / "one"), network=False, clock=clock) as one:
        await foreign(one, {keys.of_agent(receipt.id): newer})
        await one.update(receipt.id, ListingPatch(description="Reads scans."))
        (listing,) = (await one.listings()).listings
        assert (listing.price, listing.description) == (7.0, "Reads scans.")


async def test_what_another_device_has_delisted_is_not_changed(tmp_path: Path) -> None:
    clock = Clock()
    async with open_peer(config(tmp_path), network=False, clock=clock) as peer:
        (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
        said = withdrawal(receipt.id, peer._seller._signer, int(clock.now) + 50)
        await foreign(peer, {keys.of_withdrawal(receipt.id): said}, [keys.of_agent(receipt.id)])
        with pytest.raises(UnknownListingError, match="ocr was delisted on another device"):
            await peer.update(receipt.id, ListingPatch(price=2.0))
        assert (await peer.listings()).listings == ()


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


async def large(peer: Peer, puts: Mapping[str, bytes], removed: Collection[str] = ()) -> None:
    """The same with so much else that the rows are made later."""
    others = {keys.of_agent(f"{n}"): b"{}" for n in range(300)}
    await foreign(peer, {**others, **puts}, removed)


@contextmanager
def nothing_looked_at() -> Iterator[None]:
    """Rows that large merges leave are not made meanwhile."""

    async def nothing(*_: object) -> None:
        await trio.sleep_forever()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing.Indexing, "run", nothing)
        yield


async def the_newer_word(path: Path, listing_id: str, clock: Clock, price: float) -> bytes:
    """What another device of the same person says of a listing now."""
    path.mkdir(mode=0o700)
    shutil.copy(path.parent / "one" / "identity.key", path)
    async with open_peer(config(path), network=False, clock=clock) as two:
        await two.publish([ListingDraft("ocr", price)])
        return (await two.show(listing_id)).raw.encode()


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_a_newer_word_that_nobody_has_looked_at_yet_is_not_undone(tmp_path: Path, withdrawn: bool) -> None:
    clock = Clock()
    async with open_peer(config(tmp_path / "one"), network=False, clock=clock) as one:
        (receipt,) = await one.publish([ListingDraft("ocr", 1)])
        key = keys.of_agent(receipt.id)
    clock.now += 100
    newer = await the_newer_word(tmp_path / "two", receipt.id, clock, 7.0)
    said = withdrawal(receipt.id, Signer(load_identity(tmp_path / "one" / "identity.key")), int(clock.now))
    clock.now += 100
    with nothing_looked_at():
        async with open_peer(config(tmp_path / "one"), network=False, clock=clock) as one:
            if withdrawn:
                await large(one, {keys.of_withdrawal(receipt.id): said}, [key])
            else:
                await large(one, {key: newer})
            before = await deltas(one)
            assert await one._seller.maintain() == ()
            assert await deltas(one) == before
    async with open_peer(config(tmp_path / "one"), network=False, clock=clock) as one:
        await one.indexing.settled()
        reasons = [each.reason for each in await one._seller.maintain()]
        assert reasons == [RepublishReason.WITHDRAWN if withdrawn else RepublishReason.ADOPTED]
        assert [each.price for each in (await one.listings("state:mine")).listings] == ([] if withdrawn else [7.0])


async def test_a_withdrawal_alone_that_nobody_has_looked_at_yet_is_not_undone(tmp_path: Path) -> None:
    clock = Clock()
    with nothing_looked_at():
        async with open_peer(config(tmp_path), network=False, clock=clock) as peer:
            (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
            key = keys.of_agent(receipt.id)
            said = withdrawal(receipt.id, peer._seller._signer, int(clock.now) + 50)
            await large(peer, {keys.of_withdrawal(receipt.id): said})
            await foreign(peer, {}, [key])
            assert peer._catalogue.waiting([key, keys.of_agent("another")]) == {key}
            assert await peer._seller.maintain() == ()


@pytest.mark.parametrize("call", ["update", "delist", "publish"])
async def test_the_next_word_is_newer_than_those_that_nobody_has_looked_at_yet(tmp_path: Path, call: str) -> None:
    """Else a reader would take what is said now for a replay."""
    clock = Clock()
    async with open_peer(config(tmp_path / "one"), network=False, clock=clock) as one:
        (receipt,) = await one.publish([ListingDraft("ocr", 1)])
        key = keys.of_agent(receipt.id)
        if call == "publish":
            await one.delist(receipt.id)
    clock.now += 1000
    newer = await the_newer_word(tmp_path / "two", receipt.id, clock, 7.0)
    last = int(clock.now) + 50
    signer = Signer(load_identity(tmp_path / "one" / "identity.key"))
    said = {keys.of_withdrawal(receipt.id): withdrawal(receipt.id, signer, last)} if call == "publish" else {key: newer}
    clock.now -= 900
    with nothing_looked_at():
        async with open_peer(config(tmp_path / "one"), network=False, clock=clock) as one:
            await large(one, said)
            known = one._catalogue.said([key])[key].last
            assert known == (last if call == "publish" else last - 50)
            if call == "update":
                await one._seller.update(receipt.id, ListingPatch(price=3.0))
            elif call == "delist":
                await one._seller.delist(receipt.id)
            else:
                await one._seller.publish([ListingDraft("ocr", 3)])
            assert one._catalogue.said([key])[key].last == known + 1
    async with open_peer(config(tmp_path / "one"), network=False, clock=clock) as one:
        mine = (await one.listings("state:mine")).listings
        assert [each.price for each in mine] == ([] if call == "delist" else [3.0])


@pytest.mark.parametrize("call", ["update", "delist", "show"])
async def test_a_command_knows_all_that_is_stored(tmp_path: Path, call: str) -> None:
    """Also what another process left to be taken into the catalogue: here a listing that is removed from the map."""
    async with open_peer(config(tmp_path), network=False) as peer:
        (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
        key = keys.of_agent(receipt.id)
        await foreign(peer, {}, [key])
        peer._store.drop_own([key])
        checking.make_afresh(peer._store, peer.peer_id)
    async with open_peer(config(tmp_path), network=False) as peer:
        if call == "show":
            assert (await peer.show(receipt.id)).listing.difference is Difference.REMOVED
        elif call == "update":
            await peer.update(receipt.id, ListingPatch(price=2.0))
        else:
            await peer.delist(receipt.id)
        prices = [each.price for each in (await peer.listings()).listings]
        assert prices == {"update": [2.0], "delist": [], "show": [1.0]}[call]


async def test_what_was_said_is_not_read_on_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_in = list[threading.Thread]()
    async with open_peer(config(tmp_path), network=False) as peer:
        receipts = await peer.publish([ListingDraft(name, 1) for name in "abcd"])
        peer._store.put_own(records({keys.of_agent(each.id): None for each in receipts[:2]}))
    async with open_peer(config(tmp_path), network=False) as peer:
        said = peer._catalogue.said

        def noted(names: Collection[str]) -> Mapping[str, Said]:
            read_in.append(threading.current_thread())
            return said(names)

        monkeypatch.setattr(peer._catalogue, "said", noted)
        await peer._seller.maintain()
        await peer.update(receipts[2].id, ListingPatch(price=2.0))
        await peer.delist(receipts[3].id)
        assert [each.name for each in (await peer.listings()).listings] == ["c"]
    assert len(read_in) == 4, "once for all removals, once for those that are kept, and once for each command"
    assert threading.main_thread() not in read_in


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
