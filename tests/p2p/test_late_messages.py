"""The latest message of an author waits, bounded, and no neighbour displaces those of the others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from betar_tui.p2p.late_messages import MAX_LATE, MAX_LATE_BYTES, LateMessages

RELAY, OTHER = b"relay", b"other"


@given(
    st.lists(st.tuples(st.sampled_from((RELAY, OTHER)), st.binary(max_size=2), st.integers(0, 2 << 20)), max_size=60)
)
def test_of_what_came_too_early_the_latest_waits(messages: list[tuple[bytes, bytes, int]]) -> None:
    late, waiting = LateMessages(), dict[tuple[bytes, bytes], bytes]()
    for neighbour, author, size in messages:
        dropped = late.put(neighbour, author, bytes(size), 0.0)
        count = len(waiting) + 1
        waiting[neighbour, author] = bytes(size)
        while sum(len(each) + len(key[1]) for key, each in waiting.items()) > MAX_LATE_BYTES:
            weights = dict.fromkeys((key[0] for key in waiting), 0)
            for key, each in waiting.items():
                weights[key[0]] += len(each) + len(key[1])
            greatest = max(weights, key=weights.__getitem__)
            del waiting[next(key for key in reversed(waiting) if key[0] == greatest)]
        assert sum(dropped.values()) == count - len(waiting)
        assert list(late._messages) == list(waiting)
        assert late.bytes == sum(len(each) + len(key[1]) for key, each in waiting.items())
    for key, message in waiting.items():
        assert late.take(*key) == message
        assert late.take(*key) is None
    assert not late._of
    assert not late._bytes_of


def test_beyond_the_bytes_the_neighbour_with_most_bytes_gives_way() -> None:
    late = LateMessages()
    late.put(RELAY, b"a", bytes(MAX_LATE_BYTES // 2), 0.0)
    for number in range(10):
        assert not late.put(OTHER, b"%d" % number, b"x", 0.0)
    assert late.put(RELAY, b"b", bytes(MAX_LATE_BYTES // 2), 0.0) == {RELAY: 1}
    assert len(late) == 11


def test_few_messages_wait_and_the_neighbour_with_most_displaces_its_own() -> None:
    late = LateMessages()
    for number in range(MAX_LATE):
        assert not late.put(RELAY, b"%d" % number, b"x", 0.0)
    for number in range(MAX_LATE):
        assert late.put(RELAY, b"more %d" % number, b"x", 0.0) == {RELAY: 1}
    for number in range(10):
        assert late.put(OTHER, b"%d" % number, b"x", 0.0) == {RELAY: 1}
    assert len(late) == MAX_LATE
    assert [late.take(OTHER, b"%d" % number) for number in range(10)] == [b"x"] * 10
    assert late.take(RELAY, b"0") == b"x"


def test_a_later_message_waits_no_longer_than_the_one_before() -> None:
    late = LateMessages()
    late.put(RELAY, b"a", b"first", 1.0)
    assert late.put(RELAY, b"a", b"second", 2.0) == {RELAY: 1}
    assert late.due(0.9) == []
    assert late.due(1.0) == [(RELAY, b"a")]
    assert late.take(RELAY, b"a") == b"second"
