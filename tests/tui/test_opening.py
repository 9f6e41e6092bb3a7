"""A marketplace that is still being opened."""

import trio
import trio.testing

from betar_tui.market.marketplace import ListingDraft
from betar_tui.tui.opening import Opening
from tests.tui.fake import FakeMarketplace, listing


async def test_calls_wait_until_it_is_there(nursery):
    opening, got = Opening(), []

    async def ask() -> None:
        got.append(await opening.listings())

    nursery.start_soon(ask)
    await trio.testing.wait_all_tasks_blocked()
    assert not got
    fake = FakeMarketplace([listing("amber-ocr", 0.02)])
    opening.opened(fake)
    await trio.testing.wait_all_tasks_blocked()
    assert got[0].total == 1
    assert (await opening.publish([ListingDraft("mine", 1.0)]))[0].sent_to == 3
    async with opening.events() as stream:
        fake.notice("hello")
        assert (await stream.receive()).text == "hello"
