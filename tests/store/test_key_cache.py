"""The cache of the store returns what the store would read, after failures too."""

import sys
from pathlib import Path

import pytest

from betar_tui.errors import StoreError
from betar_tui.replica import Replica
from betar_tui.replica.facts import Winner
from betar_tui.store.database import Store, open_store
from betar_tui.store.key_cache import CachedKey, KeyCache
from betar_tui.store.sql import short_key
from tests.simulation.lab import node


def test_the_key_asked_for_longest_ago_is_forgotten() -> None:
    recent = KeyCache(2)
    a, b, c = (CachedKey(k, None, None) for k in range(3))
    recent.put("a", a)
    recent.put("b", b)
    assert recent.get("a") is a
    recent.put("c", c)
    assert [recent.get(key) for key in "abc"] == [a, None, c]


def test_long_values_are_not_kept() -> None:
    recent = KeyCache()
    recent.put("a", CachedKey(1, 1, Winner(1, b"short", b"")))
    recent.put("a", CachedKey(1, 2, Winner(2, bytes(5000), b"")))
    assert recent.get("a") is None


def test_long_keys_are_not_kept() -> None:
    """Anybody can write them, thousands of them, megabytes each."""
    recent = KeyCache()
    long = "/" + 5000 * "k"
    recent.put(long, CachedKey(1, None, None))
    assert recent.get(long) is None
    known = sys.getrefcount(long)
    assert short_key(long) == short_key(long)
    assert sys.getrefcount(long) == known, "nothing holds it"


def test_what_failed_is_not_known(tmp_path: Path) -> None:
    """A merge that cannot be remembered leaves nothing behind: neither a value nor a number that the next one takes."""
    store = open_store(tmp_path / "db")
    replica = Replica(store)
    first = node((), [("/k", b"1")], (), 1)
    replica.merge([first], "peer", 0)
    _forbid(store)
    with pytest.raises(StoreError):
        replica.merge([node((first,), [("/k", b"2"), ("/new", b"2")], (), 2)], "another", 0)
    assert store.winners(["/k", "/new"]) == {"/k": Winner(1, b"1", first.cid)}
    store._db.execute("DROP TRIGGER full")
    second = node((first,), [("/k", b"3"), ("/other", b"3")], (), 2)
    replica.merge([second], "a third", 0)
    by_heart = dict(store.winners(["/k", "/other", "/new"]))
    store.close()
    again = open_store(tmp_path / "db")
    assert again.winners(["/k", "/other", "/new"]) == by_heart
    assert by_heart == {"/k": Winner(2, b"3", second.cid), "/other": Winner(2, b"3", second.cid)}
    assert [row.via for row in again.log(9)] == ["a third", "peer"]
    again.close()


@pytest.mark.parametrize("fails", [False, True])
def test_a_key_that_was_not_there_is_looked_for_again(tmp_path: Path, fails: bool) -> None:
    """It is known to be absent for one merge: or the next one would give it a second number."""
    store = open_store(tmp_path / "db", cached_keys=1)
    replica = Replica(store)
    first = node((), [("/new", b"1")], (), 1)
    assert store.winners(["/new"]) == {}
    if fails:
        _forbid(store, "INSERT")
        with pytest.raises(StoreError):
            replica.merge([first], "peer", 0)
        store._db.execute("DROP TRIGGER full")
    replica.merge([first, node((), [("/other", b"1")], (), 1)], "peer", 0)  # of which it caches only one
    second = node((first,), [("/new", b"2"), ("/other", b"2")], (), 2)
    replica.merge([second], "peer", 0)
    assert store._db.execute("SELECT key FROM keys ORDER BY key").fetchall() == [("/new",), ("/other",)]
    assert store.winners(["/new"]) == {"/new": Winner(2, b"2", second.cid)}
    store.close()


def test_a_head_that_is_not_where_it_was_is_damage(tmp_path: Path) -> None:
    store = open_store(tmp_path / "db")
    replica = Replica(store)
    first = node((), [("/k", b"1")], (), 1)
    replica.merge([first], "peer", 0)
    store._db.execute("DELETE FROM heads")
    with pytest.raises(StoreError, match="doctor"):
        replica.merge([node((first,), [("/k", b"2")], (), 2)], "peer", 0)
    assert replica.heads == {first.cid: 1}
    assert store.totals().blocks == 1
    store.close()


def _forbid(store: Store, what: str = "UPDATE") -> None:
    """The heads, which are written after the blocks and the keys, cannot be changed from now on."""
    store._db.execute(f"CREATE TRIGGER full BEFORE {what} ON heads BEGIN SELECT RAISE(FAIL, 'no room'); END")
