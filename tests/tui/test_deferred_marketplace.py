"""A marketplace that is still being opened."""

import pytest
import trio
import trio.testing

from betar_tui.errors import ControlError
from betar_tui.market.marketplace import ListingDraft, ListingPage, Missed
from betar_tui.tui.app import EventsArrived, ListingsLoaded
from betar_tui.tui.deferred_marketplace import LISTED_TIMEOUT, DeferredMarketplace
from betar_tui.tui.model import Load, News
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


async def test_the_first_listings_show_until_all_can_be_had(nursery):
    opening = DeferredMarketplace()
    fake = FakeMarketplace([listing("amber-ocr", 0.02), listing("brisk-chat", 0.5)])
    first = ListingPage((await fake.listings()).listings[:1], 2)
    nursery.start_soon(opening.first_page_ready, first)
    await trio.testing.wait_all_tasks_blocked()
    assert await opening.listings() == first
    async with opening.events() as stream:
        opening.opened(fake)
        assert isinstance(await stream.receive(), Missed), "what tells to load again"
        assert len((await opening.listings()).listings) == 2
        fake.notice("hello")
        assert (await stream.receive()).text == "hello"
    async with opening.events() as stream:
        fake.notice("again")
        assert (await stream.receive()).text == "again"


async def test_events_of_a_burst_wait_together_for_the_interface(nursery):
    """It takes what waits ten times a second: one at a time would be ten events a second."""
    opening, fake = DeferredMarketplace(), FakeMarketplace([listing("amber-ocr", 0.02)])
    nursery.start_soon(opening.first_page_ready, ListingPage((await fake.listings()).listings, 2))
    await trio.testing.wait_all_tasks_blocked()
    async with opening.events() as stream:
        opening.opened(fake)
        await trio.testing.wait_all_tasks_blocked()
        for n in range(200):
            fake.notice(f"hello {n}")
        await trio.testing.wait_all_tasks_blocked()
        assert stream.statistics().current_buffer_used == 201


async def test_an_empty_first_page_shows_nothing(nursery):
    opening, got = DeferredMarketplace(), []
    await opening.first_page_ready(ListingPage((), 0))

    async def ask() -> None:
        got.append(await opening.listings())

    nursery.start_soon(ask)
    await trio.testing.wait_all_tasks_blocked()
    assert not got
    opening.opened(FakeMarketplace([]))
    await trio.testing.wait_all_tasks_blocked()
    assert got[0].total == 0


async def test_the_first_page_waits_until_it_is_on_the_screen_but_not_for_ever(nursery, autojump_clock):
    opening, done = DeferredMarketplace(), []
    page = ListingPage((listing("amber-ocr", 0.02),), 2)

    async def show() -> None:
        await opening.first_page_ready(page)
        done.append(trio.current_time())

    began = trio.current_time()
    nursery.start_soon(show)
    await trio.testing.wait_all_tasks_blocked()
    assert not done, "what comes next would slow down the drawing"
    await trio.sleep(LISTED_TIMEOUT * 2)
    assert done == [began + LISTED_TIMEOUT]
    opening.listed()
    await opening.first_page_ready(page)
    assert trio.current_time() == began + LISTED_TIMEOUT * 2


async def test_an_error_that_ends_the_events_is_raised_as_it_is(nursery):
    opening, fake = DeferredMarketplace(), FakeMarketplace([])
    fake.fail["events"] = ControlError("the peer is gone")
    nursery.start_soon(opening.first_page_ready, ListingPage((listing("amber-ocr", 0.02),), 2))
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(ControlError, match="the peer is gone"):
        async with opening.events() as stream:
            opening.opened(fake)
            async for _ in stream:
                raise AssertionError("nothing can come")


@ui(listings=[listing("amber-ocr", 0.02)])
async def test_a_market_of_which_the_first_listings_are_known_says_that_it_is_reading(ui):
    await ui.sees("amber-ocr")
    ui.app.model.listings_load = Load.LOADING
    ui.app.screen.sync(News(listings=True))
    await ui.sees("amber-ocr", "◌ reading all of them…")
    ui.app.load()
    await ui.misses("reading all")


@pytest.mark.parametrize("error", ["", "the peer is busy"])
def test_missed_events_cause_a_load_also_while_one_goes_on(error):
    @ui(listings=[listing("amber-ocr", 0.02)])
    async def run(hand: Ui) -> None:
        await hand.sees("amber-ocr")
        before = [name for name, _ in hand.market.calls].count("listings")
        model = hand.app.model
        list(model.loading(await hand.app.bridge.listings()))
        hand.app.post_message(EventsArrived([Missed(0)]))
        hand.app.post_message(ListingsLoaded(error, all=False))
        await hand.until(
            lambda: [name for name, _ in hand.market.calls].count("listings") == before + 2, "loaded once more"
        )
        await hand.until(lambda: model.listings_load is Load.READY, "all listings")

    run()
