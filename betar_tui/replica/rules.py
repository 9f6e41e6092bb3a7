"""The rule for values, in one place and pure (docs/protocol.md#merge-rules); that for heads is in `ancestry`.

An add-wins observed-remove set in which, among a key's elements that no tombstone removes, the greatest by
(height, value) is the value. It is a function of the *set* of blocks: nothing here depends on their order."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass

from betar_tui.replica.facts import Winner
from betar_tui.replica.node import DagNode


@dataclass(frozen=True, slots=True)
class Facts:
    """The keys that a merge touches, as they were before it. `greatest(key, blocks)` is the greatest element of a key
    that no tombstone removes and that is not in one of these blocks; `tombstoned` are the (key, CID) of new elements that a
    stored tombstone removes."""

    winners: Mapping[str, Winner]
    tombstoned: Collection[tuple[str, bytes]]
    greatest: Callable[[str, Set[bytes]], Winner | None]


def values_after(nodes: Sequence[DagNode], facts: Facts) -> dict[str, Winner | None]:
    """The value of each key that these new nodes touch, once they are merged; None for a key without one."""
    killed: dict[str, set[bytes]] = {}
    for node in nodes:
        for key, block in node.delta.tombstones:
            killed.setdefault(key, set()).add(block)
    after: dict[str, Winner | None] = {}
    for key, dead in killed.items():
        current = facts.winners.get(key)
        if current is not None and current.cid in dead:
            current = facts.greatest(key, dead)
        after[key] = current
    for cid, data, _, delta in nodes:
        height = delta.priority
        for key, start, length in delta.elements:
            best = after[key] if key in after else after.setdefault(key, facts.winners.get(key))
            if best is not None and best.height > height:
                continue
            if cid in killed.get(key, ()) or (key, cid) in facts.tombstoned:
                continue
            new = Winner(height, data[start : start + length], cid)
            if best is None or new > best:
                after[key] = new
    return after
