"""Roots in broadcasts: as many as honest peers write, and no crowds of them."""

import pytest

from betar_tui.p2p.types import LARGE_BLOCK
from betar_tui.sync import roots
from betar_tui.sync.merge_queue import MergeQueue
from betar_tui.sync.roots import RootAllowance, is_root
from tests.simulation.lab import node
from tests.sync.test_merge_queue import block as raw


def test_a_root_links_to_nothing() -> None:
    root = node((), [("/a", b"1")])
    assert is_root(root.data)
    assert not is_root(node([root], [("/a", b"2")], (), 2).data)
    assert not is_root(b"\xff")


def test_an_author_has_a_burst_and_then_a_rate() -> None:
    allowance = RootAllowance()
    taken = sum(allowance.take("author", "neighbour", 0.0) for _ in range(1000))
    assert taken == roots.AUTHOR_BURST
    assert allowance.take("author", "neighbour", 1.0)
    assert allowance.take("other", "neighbour", 1.0)


def test_throwaway_authors_spend_what_their_neighbour_has() -> None:
    allowance = RootAllowance()
    taken = sum(allowance.take(f"author {n}", "neighbour", n / 1000) for n in range(5000))
    assert taken <= roots.NEIGHBOUR_BURST + 5 * roots.NEIGHBOUR_RATE + 1
    assert allowance.take("author 1", "another", 5.0)


async def test_a_large_block_holds_up_no_small_one() -> None:
    queue = MergeQueue()
    large, small = raw(1, LARGE_BLOCK), raw(2)
    await queue.put([large, small])
    assert await queue.take() == [small]
    assert await queue.take_large() == [large]


async def test_a_block_that_is_being_merged_is_not_merged_again() -> None:
    queue = MergeQueue()
    await queue.put([raw(1), raw(1)])
    batch = await queue.take()
    assert len(batch) == 1
    await queue.put([raw(1), raw(2)])
    assert raw(1).cid in queue
    assert await queue.take() == [raw(2)]
    queue.done(batch)
    assert raw(1).cid not in queue


@pytest.mark.parametrize("remembered", [3])
def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch, remembered: int) -> None:
    monkeypatch.setattr(roots, "MAX_REMEMBERED", remembered)
    allowance = RootAllowance()
    for n in range(50):
        allowance.take(f"author {n}", f"neighbour {n}", 0.0)
    assert len(allowance._left) == remembered
