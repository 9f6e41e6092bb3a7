"""Announced heads that wait for a merge: gathered, looked up together, bounded, and never lost when a peer stops."""

import trio
from trio.testing import wait_all_tasks_blocked

from betar_tui.sync.head_lookups import MAX_AUTHORS, MAX_PER_AUTHOR, HeadLookups


class Store:
    """`stored` blocks are here; a lookup waits for `free`."""

    def __init__(self, stored=()):
        self.stored, self.free = set(stored), trio.Event()
        self.asked = []
        self.found = []
        self.lookups = HeadLookups(self.missing, lambda *found: self.found.append(found))

    async def missing(self, cids):
        self.asked.append(sorted(cids))
        await self.free.wait()
        return [cid for cid in cids if cid not in self.stored]


async def test_those_that_are_missing_are_found_with_who_announced_and_who_brought_them(nursery):
    store = Store({b"a"})
    nursery.start_soon(store.lookups.run)
    store.free.set()
    store.lookups.add([b"a", b"b"], "alice", "relay")
    store.lookups.add([b"c"], "bob", "bob")
    store.lookups.add([b"a"], "carol", "bob")
    await wait_all_tasks_blocked()
    assert store.asked == [[b"a", b"b", b"c"]]
    assert store.found == [([b"b"], "alice", "relay"), ([b"c"], "bob", "bob")]


async def test_what_comes_during_a_lookup_is_looked_up_after_it_together(nursery):
    store = Store()
    nursery.start_soon(store.lookups.run)
    for cid in (b"a", b"b", b"c"):
        store.lookups.add([cid], "alice", "alice")
        await wait_all_tasks_blocked()
    assert store.asked == [[b"a"]]
    store.free.set()
    await wait_all_tasks_blocked()
    assert store.asked == [[b"a"], [b"b", b"c"]]


async def test_an_author_keeps_its_newest_heads_and_the_authors_that_came_last_are_kept():
    lookups = Store().lookups
    many = [number.to_bytes(2) for number in range(MAX_PER_AUTHOR + 2)]
    lookups.add(many, "mallory", "mallory")
    assert lookups.left() == [("mallory", many[2:])]
    for number in range(MAX_AUTHORS):
        lookups.add([b"x"], f"author {number}", "mallory")
    assert lookups.left() == [(f"author {number}", [b"x"]) for number in range(MAX_AUTHORS)]


async def test_what_was_not_looked_up_before_the_end_is_left():
    store = Store()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.lookups.run)
        store.lookups.add([b"a"], "alice", "alice")
        await wait_all_tasks_blocked()
        store.lookups.add([b"b"], "bob", "relay")
        nursery.cancel_scope.cancel()
    assert store.lookups.left() == [("alice", [b"a"]), ("bob", [b"b"])]
    assert store.found == []
