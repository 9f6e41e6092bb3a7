"""Nodes that are not deltas, and what stands for them."""

from betar_tui.ipld import cid
from betar_tui.sync.not_deltas import MAX_BELOW, MAX_LINKS, MAX_NODES, NotDeltas


def names(start: int, count: int) -> tuple[bytes, ...]:
    return tuple(cid.of(b"%d" % n) for n in range(start, start + count))


def test_links_lead_through_others() -> None:
    top, inner, other, one, two = names(0, 5)
    known = NotDeltas()
    known.add({top: (inner, one), inner: (two, one), other: (one,)})
    assert set(known.below([top])) == {one, two}
    assert (known.below([other]), known.below([one]), known.below([])) == ([one], [], [])
    assert top in known
    assert one not in known


def test_the_oldest_are_forgotten() -> None:
    known = NotDeltas()
    known.add(dict.fromkeys(names(0, MAX_NODES + 1), ()))
    assert [each in known for each in names(0, 2)] == [False, True]
    first, second = names(0, 2)
    known = NotDeltas()
    known.add({first: names(10, MAX_LINKS // 2), second: names(10, MAX_LINKS // 2)})
    known.add({second: names(10, MAX_LINKS // 2)})
    assert first in known
    known.add({names(2, 1)[0]: names(10, 1)})
    assert [each in known for each in names(0, 3)] == [False, True, True]


def test_of_too_many_links_each_has_its_turn() -> None:
    known = NotDeltas()
    (top,) = names(0, 1)
    known.add({top: names(1, MAX_BELOW + 100)})
    first, second = (set(known.below([top])) for _ in range(2))
    assert len(first) == len(second) == MAX_BELOW
    assert first != second
