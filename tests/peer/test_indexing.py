"""Listings that come in bulk are taken in while the peer works, and told of as any other."""

import sqlite3
from pathlib import Path

import pytest
import trio

from betar_tui.catalogue.backlog import Backlog
from betar_tui.catalogue.projection import SMALL
from betar_tui.errors import StoreError
from betar_tui.market.marketplace import Change, ChangeKind, ListingDraft, Missed
from betar_tui.peer import indexing, open_peer
from tests.bench.common import chain
from tests.market.values import key, value
from tests.peers.harness import config, eventually
from tests.simulation.lab import node

COUNT = 1500


async def test_each_listing_of_a_large_merge_is_shown_and_told_of(tmp_path: Path) -> None:
    async with open_peer(config(tmp_path), network=False) as peer, peer.events() as events:
        await peer._writer.merge_nodes(list(chain(COUNT, COUNT)), "honest")
        page = await peer.listings()
        assert (page.total, len(page.listings)) == (COUNT, COUNT)
        put: set[str] = set()
        with trio.fail_after(30):
            while len(put) < COUNT:
                event = await events.receive()
                assert not isinstance(event, Missed)
                if isinstance(event, Change):
                    assert (event.kind, event.via) == (ChangeKind.PUT, "honest")
                    put.add(event.id)
        assert put == {each.id for each in page.listings}


async def test_a_command_has_all_that_another_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        await trio.sleep_forever()

    with monkeypatch.context() as patch:
        patch.setattr(indexing.Indexing, "run", nothing)
        async with open_peer(config(tmp_path), network=False) as peer:
            await peer._writer.merge_nodes(list(chain(COUNT, COUNT)), "honest")
            status = await peer.status()
            assert (status.listings, status.indexing and status.indexing.text) == (0, "0 of 1,500 indexed")
    async with open_peer(config(tmp_path), network=False) as peer:
        assert len((await peer.listings()).listings) == COUNT
        await eventually(lambda: not peer._catalogue.backlog.progress.rows)


async def test_the_index_follows_when_no_merge_comes(tmp_path: Path) -> None:
    async with open_peer(config(tmp_path), network=True, start=trio.Event()) as peer:
        await peer.publish([ListingDraft("only", 1.0, description="reads scans")])

        async def indexed() -> bool:
            with peer._store.readers.reading() as (db, _):
                return (
                    db.execute("SELECT rowid FROM listing_search WHERE listing_search MATCH '\"scans\"'").fetchall()
                    != []
                )

        await eventually(indexed, what="it is in the search index")


async def test_a_burst_is_not_taken_for_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync goes before making rows; what comes in a burst is to be shown."""
    monkeypatch.setattr(indexing, "SYNCING", 1e6)
    monkeypatch.setattr(indexing, "SHARE", 1e9)
    async with open_peer(config(tmp_path), network=False) as peer:
        await peer._writer.merge_nodes(list(chain(COUNT, COUNT)), "honest")
        with trio.fail_after(30):
            assert (await peer.listings()).total == COUNT


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (StoreError("the disk is full"), "the disk is full"),
        (RuntimeError("it came"), "RuntimeError: it came"),
        (sqlite3.OperationalError("locked"), "OperationalError: locked"),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_a_fault_is_tried_again_and_told_to_who_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, reason: str
) -> None:
    monkeypatch.setattr(indexing, "RETRY", 0.2)
    prepare, faults = Backlog.prepare, [fault] * 2
    said = f"taking listings into the catalogue failed: {reason}"

    def failing(self: Backlog) -> object:
        if faults:
            raise faults.pop()
        return prepare(self)

    async with open_peer(config(tmp_path), network=False) as peer:
        monkeypatch.setattr(Backlog, "prepare", failing)
        many = {key(f"agent-{n}"): value(f"agent-{n}") for n in range(SMALL + 20)}
        await peer._writer.merge_nodes([node((), many.items())], "peer")
        with pytest.raises(StoreError) as caught:
            await peer.listings()
        assert str(caught.value) == said
        assert (await peer.status()).troubles == (said,)
        await eventually(lambda: not peer._catalogue.backlog.progress.rows)
        assert (await peer.listings()).total == len(many)
