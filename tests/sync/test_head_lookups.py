"""Announced heads that wait to be looked up: gathered, bounded, and never lost when a lookup fails or a peer stops."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from betar_tui.errors import StoreError
from betar_tui.sync import head_lookups
from betar_tui.sync.head_lookups import Announcement, HeadLookups

ALICE, BOB, MALLORY = Announcement("alice", "relay"), Announcement("bob", "bob"), Announcement("mallory", "mallory")


class Store:
    """`stored` blocks are here; a lookup waits for `free`, and fails while it is `broken`."""

    def __init__(self, stored=()):
        self.stored, self.free, self.broken = set(stored), trio.Event(), False
        self.asked = []
        self.found = []
        self.lookups = HeadLookups(self.missing, lambda *found: self.found.append(found))

    async def missing(self, cids):
        self.asked.append(sorted(cids))
        await self.free.wait()
        if self.broken:
            raise StoreError("the disk is full")
        return [cid for cid in cids if cid not in self.stored]


async def test_those_that_are_missing_are_found_with_who_announced_and_who_brought_them(nursery):
    store = Store({b"a"})
    nursery.start_soon(store.lookups.run)
    store.free.set()
    store.lookups.add([b"a", b"b"], ALICE)
    store.lookups.add([b"c"], BOB)
    store.lookups.add([b"a"], MALLORY)
    store.lookups.add([b"d"], BOB._replace(below=True))
    await wait_all_tasks_blocked()
    assert store.asked == [[b"a", b"b", b"c", b"d"]]
    assert store.found == [([b"b"], ALICE), ([b"c"], BOB), ([b"d"], Announcement("bob", "bob", below=True))]


async def test_what_comes_during_a_lookup_is_looked_up_after_it_together(nursery):
    store = Store()
    nursery.start_soon(store.lookups.run)
    for cid in (b"a", b"b", b"c"):
        store.lookups.add([cid], ALICE)
        await wait_all_tasks_blocked()
    assert store.asked == [[b"a"]]
    store.free.set()
    await wait_all_tasks_blocked()
    assert store.asked == [[b"a"], [b"b", b"c"]]


async def test_who_announces_most_loses_the_last_of_it(monkeypatch):
    monkeypatch.setattr(head_lookups, "MAX_WAITING", 5)
    lookups = Store().lookups
    lookups.add([b"1", b"2", b"3", b"4"], MALLORY)
    lookups.add([b"a", b"b"], ALICE)
    assert lookups.left() == {MALLORY: [b"1", b"2", b"3"], ALICE: [b"a", b"b"]}
    lookups.add([b"5", b"6", b"2"], MALLORY)
    assert lookups.left() == {MALLORY: [b"1", b"2", b"3"], ALICE: [b"a", b"b"]}
    lookups.add([b"c"], BOB)
    assert lookups.left() == {MALLORY: [b"1", b"2"], ALICE: [b"a", b"b"], BOB: [b"c"]}


async def test_authors_of_one_head_each_leave_nothing_when_it_is_dropped(monkeypatch):
    monkeypatch.setattr(head_lookups, "MAX_WAITING", 5)
    lookups = Store().lookups
    for number in range(50):
        lookups.add([b"x"], Announcement(f"author {number}", "mallory"))
    assert len(lookups._waiting) == 5
    assert sum(map(len, lookups.left().values())) == 5


async def test_what_was_not_looked_up_before_the_end_is_left():
    store = Store()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.lookups.run)
        store.lookups.add([b"a"], ALICE)
        await wait_all_tasks_blocked()
        store.lookups.add([b"b"], ALICE)
        store.lookups.add([b"c"], BOB)
        nursery.cancel_scope.cancel()
    left = {announcement: set(heads) for announcement, heads in store.lookups.left().items()}
    assert left == {ALICE: {b"a", b"b"}, BOB: {b"c"}}
    assert store.found == []


async def test_a_lookup_that_failed_is_done_by_the_next_run(nursery):
    store = Store()
    store.free.set()
    store.broken = True
    store.lookups.add([b"a"], ALICE)
    with pytest.raises(StoreError):
        await store.lookups.run()
    store.broken = False
    nursery.start_soon(store.lookups.run)
    await wait_all_tasks_blocked()
    assert store.found == [([b"a"], ALICE)]
