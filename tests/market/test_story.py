"""The history of a listing: its versions, and the removals between them."""

from betar_tui.ipld import cid as cids
from betar_tui.market.marketplace import Version
from betar_tui.market.story import Voice, told_history
from betar_tui.market.withdrawal import withdrawal
from betar_tui.replica import keys
from betar_tui.replica.facts import Element
from betar_tui.replica.replica import CEILING
from tests.market.values import SIGNER

LISTING = f"{SIGNER.peer_id}/ocr"
KEY = keys.of_withdrawal(LISTING)


def version(height: int, *, dead: bool = False) -> Element:
    return Element(cids.of(b"version %d" % height), height, b"%d" % height, dead)


def withdrawn(height: int, at: int) -> Element:
    return Element(cids.of(b"withdrawal %d" % height), height, withdrawal(LISTING, SIGNER, at))


def told(elements: list[Element], withdrawals: list[Element]) -> list[tuple[int, str | None, str]]:
    """Height, value and voice of each line, by a history in which the seller has signed every version."""
    voices = [Voice.SELLER] * len(elements)
    history: tuple[Version, ...] = told_history(KEY, elements, voices, withdrawals)
    return [(each.height, each.value, each.voice) for each in history]


SIGNED, WITHDRAWN, NOBODY = str(Voice.SELLER), str(Voice.WITHDRAWN), str(Voice.NOBODY)


def test_each_removal_stands_between_the_versions_that_it_parts():
    elements = [version(8), version(5, dead=True), version(1, dead=True)]
    assert told(elements, [withdrawn(6, 20), withdrawn(3, 10)]) == [
        (8, "8", SIGNED),
        (6, None, WITHDRAWN),
        (5, "5", SIGNED),
        (3, None, WITHDRAWN),
        (1, "1", SIGNED),
    ]


def test_a_withdrawal_that_somebody_puts_again_withdraws_nothing():
    again = [withdrawn(9, 10), withdrawn(2, 10)]
    assert told([version(6), version(1, dead=True)], again) == [
        (6, "6", SIGNED),
        (2, None, WITHDRAWN),
        (1, "1", SIGNED),
    ]


def test_junk_of_great_height_hides_no_withdrawal():
    junk = [Element(cids.of(b"%d" % n), 1000 - n, b"junk %d" % n) for n in range(300)]
    assert told([version(1, dead=True)], [*junk, withdrawn(2, 10)]) == [(2, None, WITHDRAWN), (1, "1", SIGNED)]


def test_a_removal_by_a_tombstone_alone_is_told_once():
    elements = [version(7), version(4, dead=True), version(1, dead=True)]
    assert told(elements, []) == [(7, "7", SIGNED), (0, None, NOBODY), (4, "4", SIGNED), (1, "1", SIGNED)]


def test_what_a_withdrawal_explains_is_no_removal_of_its_own():
    elements = [version(4), version(3, dead=True)]
    assert told(elements, [withdrawn(5, 10)]) == [(5, None, WITHDRAWN), (4, "4", SIGNED), (3, "3", SIGNED)]


def test_a_version_of_absurd_height_was_removed_by_an_update():
    elements = [version(CEILING, dead=True), version(2)]
    assert told(elements, []) == [(CEILING, str(CEILING), SIGNED), (2, "2", SIGNED)]
