"""What is read of a data directory without a peer is what a peer reads of it."""

from pathlib import Path

import pytest
import trio

from betar_tui import stored
from betar_tui.catalogue import checking
from betar_tui.errors import StoreLockedError, UnknownListingError
from betar_tui.market.marketplace import Difference, ListingDraft, ListingPatch
from betar_tui.peer import indexing, open_peer
from betar_tui.replica import keys
from betar_tui.store.lock import DirectoryLock
from betar_tui.stored import open_stored
from tests.bench.common import chain
from tests.peers.harness import config


async def test_the_same_is_read_as_by_a_peer(tmp_path: Path) -> None:
    async with open_peer(config(tmp_path), network=False) as peer:
        receipts = await peer.publish([ListingDraft(name, n) for n, name in enumerate("abc")])
        await peer.update(receipts[0].id, ListingPatch(price=9))
        await peer.delist(receipts[1].id)
        expected = (
            await peer.listings("price>1", "-price", 1),
            await peer.show(receipts[0].id),
            await peer.heads(),
            await peer.log(3),
            await peer.log(-1),
        )
    with open_stored(config(tmp_path)) as market:
        found = (
            await market.listings("price>1", "-price", 1),
            await market.show(receipts[0].id),
            await market.heads(),
            await market.log(3),
            await market.log(-1),
        )
        assert found == expected
        for unknown in (receipts[1].id, "\udcff"):
            with pytest.raises(UnknownListingError):
                await market.show(unknown)
    assert [each.price for each in found[0].listings] == [9]
    assert len(found[3]) == 3


async def test_what_another_process_left_to_the_catalogue_is_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(indexing.Indexing, "run", nothing)
    async with open_peer(config(tmp_path), network=False) as peer:
        await peer._writer.merge_nodes(list(chain(900, 900)), "honest")
        assert (await peer.status()).listings == 0
    monkeypatch.setattr(stored, "MAX_UNINDEXED", 0)
    told: list[str] = []
    with open_stored(config(tmp_path), told.append) as market:
        page = await market.listings("agent", limit=2)
        before = len(told)
        await market.listings("agent")
    assert (page.total, len(page.listings)) == (900, 2)
    assert all(each.endswith("; Ctrl+C ends it, and what is done stays") for each in told)
    done = [each.partition(";")[0] for each in told]
    rows = [each for each in done if each.endswith("of 900 listings read")]
    texts = [each for each in done if each.endswith("of 900 listings indexed")]
    assert done == rows + texts
    for numbers in ([int(each.split()[0]) for each in rows], [int(each.split()[0]) for each in texts]):
        assert numbers == sorted(set(numbers)) and numbers[-1] == 899, (
            "the last one waits for a look that finds nothing"
        )
    assert len(told) == before


async def test_a_listing_that_waits_to_be_taken_in_is_shown(tmp_path: Path) -> None:
    """Removed from the map by another peer, it is shown for its signature, which is not looked at yet."""
    async with open_peer(config(tmp_path), network=False) as peer:
        (receipt,) = await peer.publish([ListingDraft("ocr", 1)])
        await peer._writer.write({}, [keys.of_agent(receipt.id)])
        checking.make_afresh(peer._store, peer.peer_id)
    with open_stored(config(tmp_path)) as market:
        assert (await market.show(receipt.id)).listing.difference is Difference.REMOVED


def test_an_empty_directory_and_one_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(tmp_path / "new")
    with open_stored(settings):
        assert settings.key_file.exists()
        monkeypatch.setattr(stored, "LOCK_TIMEOUT", 0.1)
        with pytest.raises(StoreLockedError), open_stored(settings):
            pass
    lock = DirectoryLock(settings.data_dir)
    lock.acquire()
    monkeypatch.setattr(stored, "LOCK_TIMEOUT", 600.0)
    monkeypatch.setattr(stored.time, "sleep", lambda _: lock.release())  # the other command is done
    with open_stored(settings):
        pass
