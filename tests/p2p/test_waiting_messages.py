"""Messages that wait for the loop: bounded, in order, the oldest of the neighbour with most gives way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from betar_tui.p2p.waiting_messages import (
    MAX_ALL_BYTES,
    MAX_ALL_MESSAGES,
    MAX_BYTES,
    MAX_MESSAGES,
    WaitingMessages,
)

ZEROS = memoryview(bytes(3 << 19))


@given(st.lists(st.tuples(st.sampled_from((b"a", b"b", b"c", b"d", b"e", b"f")), st.integers(1, 3 << 19)), max_size=80))
def test_the_oldest_of_a_neighbour_gives_way(messages: list[tuple[bytes, int]]) -> None:
    waiting, expected = WaitingMessages(), dict[bytes, list[bytes]]()
    for neighbour, size in messages:
        dropped = waiting.put(neighbour, b"author", bytes(ZEROS[:size]))
        expected.setdefault(neighbour, []).append(bytes(ZEROS[:size]))
        sizes = {each: sum(len(one) + 6 for one in queue) for each, queue in expected.items()}
        for each, count in dropped.items():
            assert each == neighbour or sizes[each] == max(sizes.values())
            del expected[each][:count]
        assert sum(len(each) + 6 for each in expected[neighbour]) <= MAX_BYTES
        assert (
            sum(len(each) + 6 for queue in expected.values() for each in queue) == waiting._all_bytes <= MAX_ALL_BYTES
        )
        for each, queue in expected.items():
            assert waiting.of(each) == len(queue)
            assert waiting.has(each, b"author") == bool(queue)
    for neighbour, queue in expected.items():
        assert [waiting.take(neighbour) for _ in queue] == queue
        assert waiting.take(neighbour) is None
    assert waiting._all == waiting._all_bytes == 0
    assert not waiting._queues
    assert not waiting._authors


def test_two_neighbours_that_fill_everything_leave_room_for_a_third() -> None:
    waiting = WaitingMessages()
    for neighbour in (b"one", b"two"):
        for number in range(MAX_MESSAGES):
            assert not waiting.put(neighbour, b"%d" % number, b"x")
    assert waiting.put(b"one", b"author", b"x") == {b"one": 1}
    for number in range(10):
        (dropped,) = waiting.put(b"three", b"%d" % number, b"x")
        assert dropped in (b"one", b"two")
    assert waiting.of(b"three") == 10
    assert waiting._all == MAX_ALL_MESSAGES


def test_four_neighbours_that_fill_all_bytes_leave_room_for_a_fifth() -> None:
    waiting = WaitingMessages()
    for neighbour in (b"1", b"2", b"3", b"4"):
        for _ in range(4):
            assert not waiting.put(neighbour, b"", bytes(MAX_BYTES // 4))
    (dropped,) = waiting.put(b"five", b"", b"x")
    assert dropped != b"five"
    assert waiting.of(b"five") == 1
