"""The merge rules, each in one place and pure (PROTOCOL 4).

Values: an add-wins observed-remove set in which, among a key's elements that no tombstone names, the greatest by
(height, value) is the value. It is a function of the *set* of blocks: nothing here asks in which order they came.

Heads: a block is *complete* when all its links are; a head is a complete block that no complete block links to. Blocks
are merged as they come, newest first, so most of a history is incomplete until its root arrives; `Ancestry` holds just
that part in memory and says what each new block completes.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from betar_tui.replica.facts import Winner
from betar_tui.replica.node import DagNode


@dataclass(frozen=True, slots=True)
class Facts:
    """What was known of the keys that a merge touches, before it. `greatest` gives the best element of a key that no
    tombstone names and that does not lie in one of these blocks."""

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
    for name, data, _, delta in nodes:
        height = delta.priority
        for key, start, length in delta.elements:
            best = after[key] if key in after else after.setdefault(key, facts.winners.get(key))
            if best is not None and best.height > height:
                continue
            if name in killed.get(key, ()) or (key, name) in facts.tombstoned:
                continue
            new = Winner(height, data[start : start + length], name)
            if best is None or new > best:
                after[key] = new
    return after


@dataclass(frozen=True, slots=True)
class Growth:
    """What new nodes do to the DAG: which of them and of the older blocks become complete, the heads and the wants.
    `whole` says that no block is left incomplete."""

    complete: frozenset[bytes]
    completed: tuple[bytes, ...]
    heads_added: Mapping[bytes, int]
    heads_removed: frozenset[bytes]
    wants_added: frozenset[bytes]
    wants_removed: frozenset[bytes]
    whole: bool


class Ancestry:
    """Heads, wants and the incomplete blocks of a DAG. `grow` asks, `commit` changes; nothing else does."""

    def __init__(
        self,
        heads: Mapping[bytes, int],
        incomplete: Mapping[bytes, tuple[int, tuple[bytes, ...]]],
        wants: Iterable[bytes],
    ) -> None:
        self.heads = dict(heads)
        self.wants = set(wants)
        self._incomplete = dict(incomplete)
        self._parents: dict[bytes, list[bytes]] = {}
        for parent, (_, links) in incomplete.items():
            self._adopt(parent, links)

    @property
    def height(self) -> int:
        """The greatest height of a head, 0 without one."""
        return max(self.heads.values(), default=0)

    def knows(self, name: bytes) -> bool:
        """Whether the block is held for certain; a complete block that is no head is not remembered here."""
        return name in self.heads or name in self._incomplete

    def incomplete(self) -> int:
        """How many blocks are merged but not complete."""
        return len(self._incomplete)

    def grow(self, nodes: Sequence[DagNode], stored: Mapping[bytes, bool]) -> Growth:
        """What merging `nodes`, none of which is held, would do; `stored` tells of those of their links that are."""
        new = {node.cid: node for node in nodes}
        missing = {link for node in nodes for link in node.links if link not in stored and link not in new}
        complete = self._completed_by(new, stored)
        gone: set[bytes] = set()
        for name in complete:
            gone.update(new[name].links if name in new else self._incomplete[name][1])
        added = {
            name: new[name].delta.priority if name in new else self._incomplete[name][0]
            for name in complete
            if name not in gone
        }
        return Growth(
            complete=frozenset(name for name in complete if name in new),
            completed=tuple(name for name in complete if name not in new),
            heads_added=added,
            heads_removed=frozenset(gone & self.heads.keys()),
            wants_added=frozenset(missing - self.wants),
            wants_removed=frozenset(new.keys() & self.wants),
            whole=len(complete) == len(new) + len(self._incomplete),
        )

    def commit(self, nodes: Sequence[DagNode], growth: Growth) -> None:
        """Take over a growth that has been remembered."""
        for name in growth.completed:
            self._parents_of(name, remove=True)
            for link in self._incomplete.pop(name)[1]:  # some were complete when their parent came
                self._parents_of(link, remove=True)
        for node in nodes:
            if node.cid in growth.complete:
                self._parents_of(node.cid, remove=True)
            else:
                self._incomplete[node.cid] = (node.delta.priority, node.links)
                self._adopt(node.cid, node.links)
        # Others hold the heads as they were, and may be reading them now.
        kept = {name: height for name, height in self.heads.items() if name not in growth.heads_removed}
        self.heads = {**kept, **growth.heads_added}
        self.wants -= growth.wants_removed
        self.wants |= growth.wants_added

    def _adopt(self, parent: bytes, links: Iterable[bytes]) -> None:
        for link in links:
            self._parents.setdefault(link, []).append(parent)

    def _parents_of(self, name: bytes, remove: bool = False) -> list[bytes]:
        return self._parents.pop(name, []) if remove else self._parents.get(name, [])

    def _completed_by(self, new: Mapping[bytes, DagNode], stored: Mapping[bytes, bool]) -> dict[bytes, None]:
        """New and older blocks that become complete, in an order in which links come first."""
        parents: dict[bytes, list[bytes]] = {}
        lacking: dict[bytes, int] = {}
        for node in new.values():
            for link in node.links:
                if not stored.get(link, False):
                    lacking[node.cid] = lacking.get(node.cid, 0) + 1
                    parents.setdefault(link, []).append(node.cid)
        ready = [name for name in new if name not in lacking]
        complete: dict[bytes, None] = {}
        while ready:
            name = ready.pop()
            complete[name] = None
            for parent in (*parents.get(name, ()), *self._parents_of(name)):
                if parent not in lacking:
                    links = self._incomplete[parent][1]
                    lacking[parent] = sum(1 for link in links if self._lacks(link))
                lacking[parent] -= 1
                if lacking[parent] == 0:
                    ready.append(parent)
        return complete

    def _lacks(self, link: bytes) -> bool:
        """Whether an older block's link was not complete before this growth."""
        return link in self._incomplete or link in self.wants
