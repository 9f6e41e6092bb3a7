"""The merge rules, each in one place and pure (docs/protocol.md#merge-rules).

Values: an add-wins observed-remove set in which, among a key's elements that no tombstone removes, the greatest by
(height, value) is the value. It is a function of the *set* of blocks: nothing here depends on their order.

Heads: a block is *complete* when all its links are; a head is a complete block that no complete block links to. Blocks
are merged as they come, newest first, so most of a history is incomplete until its root arrives; `Ancestry` keeps just
that part in memory and finds the blocks that each new block completes.

Blocks that are not deltas are merged where deltas link to them. Such a block is *passable* when nothing below it is
missing, which is enough for a delta that links to it to be complete; it is complete only together with one. So it is
never a head, and hides no head before a delta does."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from betar_tui.replica.facts import DagChange, Winner
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


class Ancestry:
    """Heads, wants and the incomplete blocks of a DAG. `plan` computes a change, `commit` makes it."""

    def __init__(
        self,
        heads: Mapping[bytes, int],
        incomplete: Mapping[bytes, tuple[int, tuple[bytes, ...]]],
        wants: Iterable[bytes],
        not_deltas: Iterable[bytes] = (),
    ) -> None:
        """`incomplete` are heights and links; `not_deltas` are those of them that are not deltas."""
        self.heads = dict(heads)
        self.wants = set(wants)
        self._incomplete = dict(incomplete)
        self._not_deltas = set(not_deltas)
        self._parents: dict[bytes, list[bytes]] = {}
        for parent, (_, links) in incomplete.items():
            self._add_parent(parent, links)
        self._passable = self._find_passable()

    @property
    def height(self) -> int:
        """The greatest height of a head, 0 without one."""
        return max(self.heads.values(), default=0)

    def certainly_has(self, cid: bytes) -> bool:
        """Whether the block is a head or incomplete, and so is stored: of others nothing is known here."""
        return cid in self.heads or cid in self._incomplete

    def incomplete(self) -> int:
        """Number of blocks that are merged but not complete."""
        return len(self._incomplete)

    def tops(self) -> dict[bytes, int]:
        """The heads and the incomplete blocks that no stored block links to, with their heights: everything stored is at
        or below them."""
        above_gaps = {cid: height for cid, (height, _) in self._incomplete.items() if not self._parents_of(cid)}
        return {**self.heads, **above_gaps}

    def plan(self, nodes: Sequence[DagNode], stored: Mapping[bytes, bool]) -> DagChange:
        """The change that merging `nodes`, none of which is stored, would make.

        `stored` has those of their links that are stored, each with whether it is complete."""
        new = {node.cid: node for node in nodes}
        missing = {link for node in nodes for link in node.links if link not in stored and link not in new}
        closed = self._closed_by(new, stored)
        complete = self._complete_of(closed, new)
        linked: set[bytes] = set()
        for cid in complete:
            linked.update(new[cid].links if cid in new else self._incomplete[cid][1])
        added = {
            cid: new[cid].delta.priority if cid in new else self._incomplete[cid][0]
            for cid in complete
            if cid not in linked
        }
        return DagChange(
            complete=frozenset(cid for cid in complete if cid in new),
            completed=tuple(cid for cid in complete if cid not in new),
            heads_added=added,
            heads_removed=frozenset(linked & self.heads.keys()),
            wants_added=frozenset(missing - self.wants),
            wants_removed=frozenset(new.keys() & self.wants),
            all_complete=len(complete) == len(new) + len(self._incomplete),
            passable=frozenset(closed.keys() - complete.keys()),
        )

    def commit(self, nodes: Sequence[DagNode], change: DagChange) -> None:
        """Make a change that has been stored."""
        for cid in change.completed:
            self._parents_of(cid, remove=True)
            for link in self._incomplete.pop(cid)[1]:  # some were complete when their parent came
                self._parents_of(link, remove=True)
        for node in nodes:
            if node.cid in change.complete:
                self._parents_of(node.cid, remove=True)
            else:
                self._incomplete[node.cid] = (node.delta.priority, node.links)
                self._add_parent(node.cid, node.links)
                if not node.is_delta:
                    self._not_deltas.add(node.cid)
        self._passable |= change.passable
        self._passable.difference_update(change.completed)
        self._not_deltas.difference_update(change.completed)
        # A new dictionary: other threads may be reading the old one.
        kept = {cid: height for cid, height in self.heads.items() if cid not in change.heads_removed}
        self.heads = {**kept, **change.heads_added}
        self.wants -= change.wants_removed
        self.wants |= change.wants_added

    def _add_parent(self, parent: bytes, links: Iterable[bytes]) -> None:
        for link in links:
            self._parents.setdefault(link, []).append(parent)

    def _parents_of(self, cid: bytes, remove: bool = False) -> list[bytes]:
        return self._parents.pop(cid, []) if remove else self._parents.get(cid, [])

    def _find_passable(self) -> set[bytes]:
        """The blocks that are passable in a state that was loaded."""
        found: set[bytes] = set()
        open_links = {
            cid: sum(1 for link in self._incomplete[cid][1] if self._is_open(link, found)) for cid in self._not_deltas
        }
        ready = [cid for cid, count in open_links.items() if not count]
        while ready:
            cid = ready.pop()
            found.add(cid)
            for parent in self._parents_of(cid):
                if parent in open_links:
                    open_links[parent] -= 1
                    if not open_links[parent]:
                        ready.append(parent)
        return found

    def _complete_of(self, closed: Mapping[bytes, None], new: Mapping[bytes, DagNode]) -> dict[bytes, None]:
        """The blocks that become complete: the deltas of `closed`, and what is passable below them."""
        others = {cid for cid in closed if (not new[cid].is_delta if cid in new else cid in self._not_deltas)}
        complete = {cid: None for cid in closed if cid not in others}
        if not others and not self._passable:
            return complete
        left = list(complete)
        while left:
            cid = left.pop()
            for link in new[cid].links if cid in new else self._incomplete[cid][1]:
                if link not in complete and (link in others or link in self._passable):
                    complete[link] = None
                    left.append(link)
        return complete

    def _closed_by(self, new: Mapping[bytes, DagNode], stored: Mapping[bytes, bool]) -> dict[bytes, None]:
        """New and older blocks below which nothing is missing any more, each after its links."""
        parents: dict[bytes, list[bytes]] = {}
        open_links: dict[bytes, int] = {}  # how many links of a block have something missing at or below them
        for node in new.values():
            for link in node.links:
                if not stored.get(link, False) and link not in self._passable:
                    open_links[node.cid] = open_links.get(node.cid, 0) + 1
                    parents.setdefault(link, []).append(node.cid)
        ready = [cid for cid in new if cid not in open_links]
        closed: dict[bytes, None] = {}
        while ready:
            cid = ready.pop()
            closed[cid] = None
            for parent in (*parents.get(cid, ()), *self._parents_of(cid)):
                if parent not in open_links:
                    links = self._incomplete[parent][1]
                    open_links[parent] = sum(1 for link in links if self._is_open(link, self._passable))
                open_links[parent] -= 1
                if open_links[parent] == 0:
                    ready.append(parent)
        return closed

    def _is_open(self, link: bytes, passable: Set[bytes]) -> bool:
        """Whether something is missing at or below a link of an older block."""
        return (link in self._incomplete and link not in passable) or link in self.wants
