"""The first listings of a store are those that the whole market begins with."""

import pytest

from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import FirstPage, open_peer
from betar_tui.peer.first_page import ROWS
from tests.peers.harness import config


@pytest.mark.parametrize("sort", ["", "name", "-name", "price", "-price", "seen", "-seen"])
async def test_it_is_how_the_market_begins(tmp_path, sort):
    drafts = [
        ListingDraft(f"Agent-{n * 7919 % 1000:03}", n * 31 % 211 / 10, description="[" * n) for n in range(ROWS + 50)
    ]
    async with open_peer(config(tmp_path), network=False) as peer:
        for at in range(0, len(drafts), 50):
            await peer.publish(drafts[at : at + 50])
    pages = []

    async def take(page):
        pages.append(page)

    async with open_peer(config(tmp_path), network=False, first_page=FirstPage(sort, take)) as peer:
        whole = await peer.listings(sort=sort or "name")
    (page,) = pages
    assert page.total == len(whole.listings) == len(drafts)
    assert len(page.listings) == ROWS
    key = {"seen": lambda each: each.seen_at, "price": lambda each: each.price}.get(sort.removeprefix("-"))
    if key is None:
        assert page.listings == whole.listings[:ROWS]
    else:  # of equals, any may be among them
        assert [key(each) for each in page.listings] == [key(each) for each in whole.listings[:ROWS]]
    assert all(each.mine for each in page.listings)


async def test_what_is_no_listing_is_left_out(tmp_path):
    pages = []

    async def take(page):
        pages.append(page)

    async with open_peer(config(tmp_path), network=False) as peer:
        await peer.publish([ListingDraft("only", 1.0)])
        await peer._writer.write(
            {"/agents/YmFk": b"no listing", "/agents/YmFkMg": b"{}", "/agents/YmFkMw": b'{"price": "nan"}'}
        )
    async with open_peer(config(tmp_path), network=False, first_page=FirstPage("price", take)):
        pass
    assert [each.name for each in pages[0].listings] == ["only"]
    assert pages[0].total == 4
