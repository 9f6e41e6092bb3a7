from betar_tui.market.announce import LONGEST_RETRY, Announcer, Why
from betar_tui.market.listing import BETAR_GO, DOCUMENTS

from .values import NOW, document, key, value

OWN = {key(): document()}
HOUR = 3600.0


def announcer() -> Announcer:
    made = Announcer(HOUR)
    made.wrote(key(), value())
    return made


def test_a_listing_that_stands_and_is_young_is_left_alone():
    assert announcer().due(OWN, {key(): value()}, DOCUMENTS, NOW + 10) == {}


def test_after_a_restart_an_unchanged_listing_is_left_alone():
    assert Announcer(HOUR).due(OWN, {key(): value()}, DOCUMENTS, NOW + 10) == {}


def test_an_old_timestamp_is_refreshed():
    assert announcer().due(OWN, {key(): value()}, DOCUMENTS, NOW + HOUR) == {key(): Why.STALE}


def test_a_removed_listing_is_put_back():
    assert announcer().due(OWN, {}, DOCUMENTS, NOW) == {key(): Why.MISSING}


def test_a_replaced_listing_is_put_back():
    for other in (value(price=9), b"junk", value(timestamp=NOW + 5)):
        assert announcer().due(OWN, {key(): other}, DOCUMENTS, NOW + 10) == {key(): Why.REPLACED}
    assert Announcer(HOUR).due(OWN, {key(): value(price=9)}, DOCUMENTS, NOW) == {key(): Why.REPLACED}


def test_the_other_dialect_is_rewritten():
    assert announcer().due(OWN, {key(): value()}, BETAR_GO, NOW) == {key(): Why.DIALECT}


def test_repairs_that_do_not_last_come_less_often():
    made = announcer()
    times = [t for t in range(4000) if made.due(OWN, {}, DOCUMENTS, NOW + t)]
    gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
    assert gaps == [5, 10, 20, 40, 80, 160, 320, 640, 1280]


def test_patience_returns_after_a_quiet_time():
    made = announcer()
    for t in range(100):
        made.due(OWN, {}, DOCUMENTS, NOW + t)
    later = NOW + 10 * LONGEST_RETRY
    assert made.due(OWN, {}, DOCUMENTS, later)
    assert not made.due(OWN, {}, DOCUMENTS, later + 4)
    assert made.due(OWN, {}, DOCUMENTS, later + 5)


def test_what_is_not_ours_any_more_is_left_alone():
    made = announcer()
    made.forget(key())
    assert made.due({}, {}, DOCUMENTS, NOW) == {}
