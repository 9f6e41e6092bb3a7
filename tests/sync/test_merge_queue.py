"""Blocks that wait to be merged: in order, together where they may be, and never more than there is room for."""

from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from betar_tui.sync import merge_queue
from betar_tui.sync.merge_queue import MergeQueue
from betar_tui.sync.writer import RawBlock


def block(n: int, size: int = 10) -> RawBlock:
    return RawBlock(b"%d" % n, bytes(size), "alice")


async def test_waiting_blocks_are_taken_together_and_in_order(nursery: trio.Nursery) -> None:
    queue, taken = MergeQueue(), list[list[RawBlock]]()

    async def take() -> None:
        while True:
            taken.append(await queue.take())

    await queue.put([block(1), block(2)])
    await queue.put([block(3)])
    nursery.start_soon(take)
    await wait_all_tasks_blocked()
    assert taken == [[block(1), block(2), block(3)]]
    await queue.put([block(4)])
    await wait_all_tasks_blocked()
    assert taken[1:] == [[block(4)]]


@pytest.mark.parametrize("authors", [1, 20])
async def test_single_deltas_of_a_crowd_are_taken_together(
    nursery: trio.Nursery, autojump_clock: MockClock, authors: int
) -> None:
    """Those of one author are not: the next one may wait for this."""
    queue, taken = MergeQueue(), list[int]()

    async def take() -> None:
        while True:
            taken.append(len(await queue.take()))

    nursery.start_soon(take)
    for number in range(400):
        await queue.put([RawBlock(b"%d" % number, b"x", "alice", f"author {number % authors}")])
        await trio.sleep(0.005)
    await trio.sleep(merge_queue.MERGE_TIME)
    assert sum(taken) == 400
    assert len(taken) == 400 if authors == 1 else len(taken) < 60


async def test_a_merge_is_given_no_more_than_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge_queue, "MAX_BATCH", 3)
    monkeypatch.setattr(merge_queue, "MAX_BATCH_BYTES", 50)
    queue = MergeQueue()
    await queue.put([*map(block, range(4)), block(4, 30), block(5, 30), block(6, 30)])
    assert [[int(each.cid) for each in await queue.take()] for _ in range(3)] == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize(("blocks", "size"), [(4, 1), (99, 25)])
async def test_put_waits_while_the_queue_is_full(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, blocks: int, size: int
) -> None:
    """By number or by bytes: each block may have megabytes."""
    monkeypatch.setattr(merge_queue, "MAX_WAITING", blocks)
    monkeypatch.setattr(merge_queue, "MAX_WAITING_BYTES", 100)
    queue, brought = MergeQueue(), list[int]()

    async def bring() -> None:
        for n in range(7):
            await queue.put([block(n, size)])
            brought.append(n)

    nursery.start_soon(bring)
    await wait_all_tasks_blocked()
    assert brought == [0, 1, 2, 3]
    assert len(await queue.take()) == 4
    await wait_all_tasks_blocked()
    assert brought == list(range(7))
    assert [int(each.cid) for each in await queue.take()] == [4, 5, 6]


async def test_small_blocks_do_not_wait_for_large_ones(nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge_queue, "MAX_LARGE_BYTES", 100)
    monkeypatch.setattr(merge_queue, "LARGE_BLOCK", 50)
    queue, brought = MergeQueue(), list[int]()

    async def bring(*numbers: int, size: int) -> None:
        for n in numbers:
            await queue.put([block(n, size)])
            brought.append(n)

    nursery.start_soon(partial(bring, 0, 1, 2, size=50))
    await wait_all_tasks_blocked()
    assert brought == [0, 1], "the third has no room"
    with trio.fail_after(1):
        await bring(3, 4, size=10)
    assert [int(each.cid) for each in await queue.take()] == [3, 4]
    await wait_all_tasks_blocked()
    assert brought == [0, 1, 3, 4], "nor does a small one make it any"
    assert [int(each.cid) for each in await queue.take_large()] == [0]
    await wait_all_tasks_blocked()
    assert brought == [0, 1, 3, 4, 2]
    with trio.fail_after(1):
        await queue.put([block(5, 10)])
    assert [int(each.cid) for _ in range(2) for each in await queue.take_large()] == [1, 2]


async def test_what_comes_together_is_sorted_by_its_kind() -> None:
    queue = MergeQueue()
    await queue.put([block(0), block(1, merge_queue.LARGE_BLOCK), block(2), block(0)])
    assert b"1" in queue
    assert [int(each.cid) for each in await queue.take()] == [0, 2]
    (large,) = await queue.take_large()
    assert int(large.cid) == 1
    queue.done([large])
    assert b"1" not in queue
