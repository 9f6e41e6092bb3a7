"""Reading that nobody waits for any more ends."""

import threading

import pytest
import trio

from betar_tui.errors import FilterError
from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import open_peer
from betar_tui.peer.reading import read
from tests.peers.harness import config


async def test_what_is_cancelled_is_told_so():
    begun, told = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def work(go_on) -> None:
        token.run_sync_soon(begun.set)
        while go_on():
            pass
        told.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, work)
        await begun.wait()
        nursery.cancel_scope.cancel()
    with trio.fail_after(10):
        assert await trio.to_thread.run_sync(told.wait, 10)


async def test_a_result_and_an_error_come_back():
    assert await read(lambda go_on: go_on()) is True

    def fail(go_on) -> None:
        raise FilterError("bad", 3)

    with pytest.raises(FilterError, match="bad"):
        await read(fail)


async def test_a_count_and_listings_by_their_ids(tmp_path):
    async with open_peer(config(tmp_path), network=False) as peer:
        receipts = await peer.publish([ListingDraft(name, 1.0, "text") for name in "abc"])
        assert await peer.count("text") == 3
        assert await peer.count("text", [peer.peer_id]) == 0
        found = await peer.find([receipts[2].id, receipts[0].id])
        assert [each.name for each in found] == ["c", "a"]
        page = await peer.listings("", "", 1, None, None, receipts[2].id)
        assert ([each.name for each in page.listings], page.start) == (["c"], 2)
