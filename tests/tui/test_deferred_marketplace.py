"""A marketplace that is still being opened."""

from collections.abc import Callable
from functools import partial

import pytest
import trio
import trio.testing

from betar_tui.errors import ControlError
from betar_tui.market.marketplace import ListingDraft, Missed
from betar_tui.tui.app import EventsArrived
from betar_tui.tui.deferred_marketplace import DeferredMarketplace
from betar_tui.tui.model import Load
from tests.tui.fake import FakeMarketplace, listing
from tests.tui.ui import Ui, ui


async def test_calls_wait_until_it_is_there(nursery):
    opening, got = DeferredMarketplace(), []

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


async def test_events_are_those_of_the_real_one(nursery):
    opening, fake, got = DeferredMarketplace(), FakeMarketplace([]), []

    async def follow() -> None:
        async with opening.events() as stream:
            got.append((await stream.receive()).text)

    nursery.start_soon(follow)
    await trio.testing.wait_all_tasks_blocked()
    opening.opened(fake)
    await trio.testing.wait_all_tasks_blocked()
    fake.notice("hello")
    await trio.testing.wait_all_tasks_blocked()
    assert got == ["hello"]


async def test_an_error_that_ends_the_events_is_raised_as_it_is():
    opening, fake = DeferredMarketplace(), FakeMarketplace([])
    fake.fail["events"] = ControlError("the peer is gone")
    opening.opened(fake)
    with pytest.raises(ControlError, match="the peer is gone"):
        async with opening.events():
            raise AssertionError("nothing can come")


@pytest.mark.parametrize("fails", [False, True])
def test_missed_events_cause_a_load_also_while_one_goes_on(fails):
    @ui(listings=[listing("amber-ocr", 0.02)])
    async def run(hand: Ui) -> None:
        await hand.sees("amber-ocr")
        asked = [name for name, _ in hand.market.calls].count("listings")
        hand.market.gates["listings"] = trio.Event()
        hand.app.load()
        await hand.until(lambda: hand.app.paging.current is not None, "a load goes on")
        hand.app.post_message(EventsArrived([Missed(0)]))
        await hand.until(lambda: hand.app.model.table.reload, "another is due")
        if fails:
            hand.market.fail["listings"] = ControlError("the peer is busy")
            hand.app.paging._pages.taken = partial(_healing, hand.market, hand.app.paging._pages.taken)
        hand.market.gates.pop("listings").set()
        await hand.until(
            lambda: [name for name, _ in hand.market.calls].count("listings") >= asked + 2, "loaded once more"
        )
        await hand.until(lambda: hand.app.model.listings_load is Load.READY, "all listings")

    run()


def _healing(market: FakeMarketplace, taken: Callable[..., bool], *answer: object) -> bool:
    market.fail.clear()
    return taken(*answer)
