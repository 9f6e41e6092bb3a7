"""Nothing is said of "1 listings": one helper puts each noun into the number that it is counted in."""

import re
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui import output, wording
from betar_tui.market.marketplace import (
    Connectivity,
    DelistReceipt,
    Imported,
    ListingPage,
    Receipt,
    SkippedBlocks,
    Status,
)
from betar_tui.market.peer_facts import limit_lines
from betar_tui.plurals import plural
from betar_tui.values import Quota, Quotas, SyncProgress
from tests.tui.fake import listing

ONE_OF_MANY = re.compile(r"(?<![\d.,])1 (?:new |unsigned |other |older )?(?:[a-z]+s|were|are|that match)\b(?!: )")
ALLOWED = {"1 was", "1 is", "1 that matches"}


def wrong(text: str) -> list[str]:
    return [each for each in ONE_OF_MANY.findall(text) if each not in ALLOWED]


@given(st.integers(0, 10**6))
def test_a_number_with_its_noun(count):
    number, noun = plural(count, "entry", "entries").split()
    assert (int(number.replace(",", "")), noun) == (count, "entry" if count == 1 else "entries")
    assert plural(count, "peer").endswith("peer" if count == 1 else "peers")


def status(count: int) -> Status:
    """A status in which everything is there this many times."""
    numbers = {each.name: count for each in fields(Status) if each.type in (int, "int")}
    limits = Quotas(Quota(count, count, count), Quota(count, count, count), Quota(count, count, count))
    plain = Status("1.0", True, "12D3", (), uptime=1.0, connectivity=Connectivity.ONLINE, **numbers)
    sync = SyncProgress(count, count, float(count), "")
    return replace(plain, sync=sync, limits=limits, troubles=())


@pytest.mark.parametrize("count", [1, 2])
def test_the_words_of_a_status(count):
    found = status(count)
    shown = [f"{name}: {value}" for name, value in wording.status_fields(found, 0.0).items()]
    text = "\n".join([*shown, *limit_lines(found.limits)])
    assert wrong(text) == [] and f"{count} tombstone" in text and f"{count} block" in text


def test_the_words_of_other_answers():
    page = ListingPage((listing("a"),), 1, matching=1)
    said = [
        wording.page_text(page, 1, "", False),
        wording.page_text(page, 1, "a", False),
        wording.receipt_text("updated", Receipt("a", "b", 1, 1), whole=True, running=True),
        wording.receipt_text("delisted", DelistReceipt("a", "b", 1, 1, 1), whole=True, running=True),
        *output.import_report(Imported("f", 1, 1, 1, 1, 1, (SkippedBlocks("torn", 1),), 1)),
    ]
    assert [wrong(each) for each in said] == [[]] * len(said)
    assert said[:2] == ["1 of 1 listing", "1 of 1 that matches, of 1 listing"]


def test_a_receipt_says_when_a_listing_goes_out():
    stored = Receipt("a", "b", 7, 0)
    running, alone = (wording.receipt_text("updated", stored, whole=True, running=each) for each in (True, False))
    assert (
        running == "updated a in b at height 7, stored here; no peer is on the topic, and it goes out as soon as one is"
    )
    assert alone.endswith("stored here; it goes out when betar-tui or betar-tui --serve runs and a peer is there")
