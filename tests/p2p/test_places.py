"""Who gives way when there are not enough places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.p2p.places import (
    GRACE,
    MAX_PER_IP,
    MAX_PER_PREFIX,
    MIN_HALF_OPEN,
    HalfOpen,
    Refusal,
    Seat,
    giving_way,
    limits_of,
    prefix_of,
)

NOW = 1000.0
FLAGS = st.booleans()


@pytest.mark.parametrize(
    ("ip", "prefix"),
    [
        ("8.8.8.8", "8.8.8.0/24"),
        ("::ffff:8.8.8.8", "8.8.8.0/24"),
        ("2a00:1450:4001:82a::200e", "2a00:1450:4001:800::/56"),
        ("127.0.0.1", ""),
        ("10.1.2.3", ""),
        ("fe80::1", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_the_network_of_an_address(ip: str, prefix: str) -> None:
    assert prefix_of(ip) == prefix


def crowd(number: int, ip: str = "127.0.0.1", **facts: bool) -> list[Seat]:
    return [Seat((ip, index, *facts), ip, NOW - 100 - index, **facts) for index in range(number)]


def test_while_there_is_room_nobody_gives_way() -> None:
    assert giving_way(crowd(100), "127.0.0.1", False, 256, NOW) is None


def test_of_a_full_house_the_useless_of_the_greatest_group_give_way() -> None:
    places = [*crowd(100, "127.0.0.1"), *crowd(60, "127.0.0.3"), *crowd(64, "127.0.0.4", on_topic=True, useful=True)]
    chosen = giving_way(places, "127.0.0.2", False, 256, NOW)
    assert chosen is not None
    assert chosen.ip == "127.0.0.1"
    assert chosen.since == min(place.since for place in places)


def test_places_are_kept_for_known_peers() -> None:
    places = crowd(224)
    assert giving_way(places, "127.0.0.9", True, 256, NOW) is None
    assert giving_way(places, "127.0.0.9", False, 256, NOW) is not None


def test_an_address_and_a_network_have_their_limits() -> None:
    assert limits_of("8.8.8.8", 256) == MAX_PER_IP
    one = crowd(MAX_PER_IP, "8.8.8.8")
    chosen = giving_way(one, "8.8.8.8", False, 256, NOW)
    assert chosen is not None
    assert giving_way(one, "8.8.8.9", False, 256, NOW) is None
    many = [Seat(index, f"8.8.8.{index}", NOW - 50) for index in range(MAX_PER_PREFIX)]
    assert giving_way(many, "8.8.8.200", False, 256, NOW) is not None
    assert giving_way(many, "8.8.9.200", False, 256, NOW) is None


places_of = st.builds(
    Seat,
    st.integers(),
    st.sampled_from(("127.0.0.1", "127.0.0.2", "8.8.8.8", "8.8.8.9", "9.9.9.9")),
    st.floats(NOW - 60, NOW),
    FLAGS,
    FLAGS,
    FLAGS,
    FLAGS,
)


@given(st.lists(places_of, max_size=40, unique_by=lambda place: place.key), FLAGS, st.integers(1, 30))
def test_what_gives_way_is_neither_kept_nor_new_nor_better_than_another(
    places: list[Seat], known: bool, maximum: int
) -> None:
    evictable = [place for place in places if not place.kept and NOW - place.since >= GRACE]
    new = [place for place in places if place.arriving or (not place.kept and NOW - place.since < GRACE)]
    try:
        chosen = giving_way(places, "9.9.9.1", known, maximum, NOW)
    except Refusal:
        assert not evictable or (new and all(place.useful for place in evictable))
        return
    if chosen is None:
        assert len(places) < maximum
        return
    assert not chosen.kept
    assert NOW - chosen.since >= GRACE
    assert not (chosen.useful and new)
    assert (chosen.useful, chosen.on_topic) == min((place.useful, place.on_topic) for place in evictable)


def test_a_rush_of_new_connections_does_not_displace_a_useful_one() -> None:
    useful = crowd(10, on_topic=True, useful=True)
    new = [Seat(("new", index), "127.0.0.1", NOW - GRACE / 2) for index in range(6)]
    with pytest.raises(Refusal):
        giving_way([*useful, *new], "127.0.0.2", False, 16, NOW)
    assert giving_way([*useful, *new], "127.0.0.2", False, 16, NOW + GRACE) in new
    assert giving_way(crowd(16, on_topic=True, useful=True), "127.0.0.2", False, 16, NOW) is not None


def test_half_open_connections_of_one_address_leave_room_for_others() -> None:
    door = HalfOpen(maximum=20, per_ip=15)
    for number in range(15):
        assert door.enter(number, "127.0.0.1", 0.0) is None
    with pytest.raises(Refusal):
        door.enter(15, "127.0.0.1", MIN_HALF_OPEN / 2)
    assert door.enter("honest", "127.0.0.2", 0.0) is None
    assert door.enter(15, "127.0.0.1", MIN_HALF_OPEN) == 0
    door.leave(0)  # it is gone already
    assert len(door) == 16


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 2), FLAGS), max_size=60))
def test_half_open_connections_are_never_more_than_there_are_places(events: list[tuple[str, float, bool]]) -> None:
    door, now, inside = HalfOpen(maximum=8, per_ip=5), 0.0, list[tuple[int, str]]()
    for number, (ip, pause, leaves) in enumerate(events):
        now += pause
        if leaves and inside:
            door.leave(inside.pop(0)[0])
            continue
        try:
            gone = door.enter(number, ip, now)
        except Refusal:
            continue
        inside = [each for each in inside if each[0] != gone] + [(number, ip)]
        assert len(door) == len(inside) <= 8
        assert all(sum(each[1] == one for each in inside) <= 5 for one in "abc")
