"""Messages that wait for the loop: bounded, in order, the oldest gives way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from betar_tui.p2p import backlog
from betar_tui.p2p.backlog import MAX_ALL_BYTES, MAX_ALL_MESSAGES, MAX_BYTES, MAX_MESSAGES, Backlog


@given(st.lists(st.tuples(st.sampled_from((b"a", b"b", b"c", b"d", b"e", b"f")), st.integers(0, 3 << 19)), max_size=80))
def test_the_oldest_of_a_neighbour_gives_way(messages: list[tuple[bytes, int]]) -> None:
    waiting, expected = Backlog[int](), dict[bytes, list[tuple[int, int]]]()
    for number, (neighbour, size) in enumerate(messages):
        dropped = waiting.put(neighbour, b"author", number, size)
        queue = expected.setdefault(neighbour, [])
        queue.append((number, size))
        del queue[:dropped]
        assert sum(each for _, each in queue) <= MAX_BYTES
        assert sum(each for one in expected.values() for _, each in one) <= MAX_ALL_BYTES
        assert waiting.of(neighbour) == len(queue)
        assert waiting.has(neighbour, b"author") == bool(queue)
    for neighbour, queue in expected.items():
        assert [waiting.take(neighbour) for _ in queue] == [number for number, _ in queue]
        assert waiting.take(neighbour) is None
    assert waiting._all == waiting._all_bytes == 0
    assert not waiting._queues
    assert not waiting._authors


def test_few_messages_of_a_neighbour_and_of_all_wait() -> None:
    waiting = Backlog[int]()
    assert sum(waiting.put(b"one", b"author", number, 1) for number in range(MAX_MESSAGES + 10)) == 10
    for number in range(MAX_ALL_MESSAGES):
        waiting.put(b"%d" % (number % 100), b"author", number, 1)
    assert waiting._all == backlog.MAX_ALL_MESSAGES
    assert waiting.of(b"one") == MAX_MESSAGES
