"""Heads, wants and the incomplete blocks of the DAG: the rule for heads, pure (docs/protocol.md#merge-rules).

A block is *complete* when all its links are; a head is a complete block that no complete block links to. Blocks are
merged as they come, newest first, so most of a history is incomplete until its root arrives; `Ancestry` keeps just that
part in memory and finds the blocks that each new block completes. Each incomplete block counts its open links, those at or
below which something is missing, so that a new block costs one step for each block that waits for it.

Blocks that are not deltas are merged where deltas link to them. Such a block is *passable* when nothing below it is
missing, which is enough for a delta that links to it to be complete; it is complete only together with one. So it is
never a head, and hides no head before a delta does.

A block that is merged in slices is *held*: incomplete until the last of them, whatever its links are.

Anybody can link to blocks that nobody has, and write heads without end. So what each peer brings of both is limited: of
the one that brought most the oldest go (`excess`). A block whose links are not waited for any more is *laid aside*. Its
values stay, and otherwise it counts as missing: who announces or links to it has it fetched and waited for again."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import islice

from betar_tui.replica.facts import DagChange
from betar_tui.replica.node import DagNode

MAX_GAPS_PER_PEER, MAX_GAPS = 1 << 15, 1 << 17
"""Maximum links to missing blocks, counted for each block that has them, of the blocks that one peer brought and of all.
A history that comes in has as many as it has branches."""
MAX_WANTS = 8192
"""Maximum different missing blocks: as many as are requested at a time."""
MAX_HEADS_PER_PEER, MAX_HEADS = 4096, 8192
"""Maximum heads that one peer brought, and of all peers."""
_KEPT = 7 / 8
"""Part of a limit that is kept when it is exceeded, so that not every block exceeds it again."""
_EARLIER = "?"
"""Stands for the peers that brought what an earlier run has left."""


class _Waiting:
    """An incomplete block: its height and links, the peer that brought it, its number of open links, one more while it is
    held, and how many of them are missing themselves."""

    __slots__ = ("gaps", "height", "links", "opened", "via")

    def __init__(self, height: int, links: tuple[bytes, ...], via: str) -> None:
        self.height = height
        self.links = links
        self.via = via
        self.opened = self.gaps = 0


class Ancestry:
    """Heads, wants and the incomplete blocks of a DAG. `plan` and `excess` compute a change, `commit` and `lay_aside` make
    it."""

    def __init__(
        self,
        heads: Mapping[bytes, int],
        incomplete: Mapping[bytes, tuple[int, tuple[bytes, ...]]],
        wants: Iterable[bytes],
        not_deltas: Iterable[bytes] = (),
        held: Iterable[bytes] = (),
    ) -> None:
        """`incomplete` are heights and links; `not_deltas` and `held` are those of them that are not deltas or are held."""
        self.heads = dict(sorted(heads.items(), key=lambda head: head[1]))
        self.wants = set(wants)
        self._brought = dict.fromkeys(heads, _EARLIER)  # heads, with the peers that brought them
        self._incomplete = {cid: _Waiting(height, links, _EARLIER) for cid, (height, links) in incomplete.items()}
        self._not_deltas = set(not_deltas)
        self._held = set(held)
        # By link, the link itself and then the blocks that have it: so equal links are one object.
        self._parents: dict[bytes, list[bytes]] = {}
        self._gapped: dict[str, dict[bytes, None]] = {}  # by peer, the blocks with gaps, oldest first
        self._gaps = Counter[str]()
        self._passable: set[bytes] = set()
        for cid, block in self._incomplete.items():
            self._wait(cid, block)
        self._passable = self._find_passable()
        for cid in self._passable:
            for parent in self._parents_of(cid):
                self._incomplete[parent].opened -= 1

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
        above_gaps = {cid: block.height for cid, block in self._incomplete.items() if cid not in self._parents}
        return {**self.heads, **above_gaps}

    def plan(
        self,
        nodes: Sequence[DagNode],
        stored: Mapping[bytes, bool],
        *,
        held: Set[bytes] = frozenset(),
        released: Set[bytes] = frozenset(),
    ) -> DagChange:
        """The change that merging `nodes`, none of which is stored, would make, `held` ones of them in slices. `released`
        are blocks that were held until now.

        `stored` has those of their links that are stored, each with whether it is complete."""
        new = {node.cid: node for node in nodes}
        missing = {link for node in nodes for link in node.links if link not in stored and link not in new}
        closed = self._closed_by(new, stored, held, released)
        complete = self._complete_of(closed, new)
        linked: set[bytes] = set()
        for cid in complete:
            linked.update(new[cid].links if cid in new else self._incomplete[cid].links)
        added = {
            cid: new[cid].delta.priority if cid in new else self._incomplete[cid].height
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
            held=frozenset(held),
            released=frozenset(released),
        )

    def commit(self, nodes: Sequence[DagNode], change: DagChange, via: str = "") -> None:
        """Make a planned change that has been stored; the nodes came from `via`."""
        for cid in change.wants_removed:
            for parent in self._parents_of(cid):
                self._add_gaps(parent, -1)
        closed = {*change.complete, *change.completed, *change.passable} - self._passable
        for cid in closed:
            for parent in self._parents_of(cid):
                self._incomplete[parent].opened -= 1
        for cid in change.released:
            self._incomplete[cid].opened -= 1
        came = {cid: self._incomplete.pop(cid).via for cid in change.completed}
        for cid in (*change.complete, *change.completed):
            self._parents.pop(cid, None)
        self._passable |= change.passable
        for marks in (self._passable, self._not_deltas):
            marks.difference_update(change.completed)
        self._held = (self._held | change.held) - change.released
        # A new dictionary: other threads may be reading the old one.
        kept = {cid: height for cid, height in self.heads.items() if cid not in change.heads_removed}
        self.heads = {**kept, **change.heads_added}
        for cid in change.heads_removed:
            del self._brought[cid]
        self._brought.update((cid, came.get(cid, via)) for cid in change.heads_added)
        self.wants -= change.wants_removed
        self.wants |= change.wants_added
        self._add([node for node in nodes if node.cid not in change.complete], via)

    def _add(self, nodes: Sequence[DagNode], via: str) -> None:
        """Wait for what is missing below new blocks."""
        added = {node.cid: _Waiting(node.delta.priority, node.links, via) for node in nodes}
        self._incomplete.update(added)
        self._not_deltas.update(node.cid for node in nodes if not node.is_delta)
        for cid, block in added.items():
            self._wait(cid, block)

    def _wait(self, cid: bytes, block: _Waiting) -> None:
        links = []
        gaps = 0
        for link in block.links:
            waiting = link in self._incomplete
            if waiting or link in self.wants:
                entry = self._parents.setdefault(link, [link])
                entry.append(cid)
                link = entry[0]
                gaps += not waiting
                block.opened += link not in self._passable
            links.append(link)
        block.links = tuple(links)
        block.opened += cid in self._held
        if gaps:
            self._add_gaps(cid, gaps)

    def _add_gaps(self, cid: bytes, number: int) -> None:
        block = self._incomplete[cid]
        block.gaps += number
        self._gaps[block.via] += number
        gapped = self._gapped.setdefault(block.via, {})
        if block.gaps:
            gapped.setdefault(cid)
        else:
            gapped.pop(cid, None)
        if not gapped:
            del self._gapped[block.via], self._gaps[block.via]

    def excess(self) -> tuple[frozenset[bytes], DagChange] | None:
        """The blocks to lay aside and the change that makes, heads to forget included; None within all limits.

        Of the peer that brought most the oldest go, and never an own head or a block that is held."""
        aside = frozenset(self._too_many_gaps())
        heads = self._too_many_heads()
        if not aside and not heads:
            return None
        links = {link for cid in aside for link in self._incomplete[cid].links if link in self.wants}
        return aside, DagChange(
            complete=frozenset(),
            completed=(),
            heads_added={},
            heads_removed=frozenset(heads),
            # Others still wait for those that stay.
            wants_added=frozenset(cid for cid in aside if not aside.issuperset(self._parents_of(cid))),
            wants_removed=frozenset(link for link in links if aside.issuperset(self._parents_of(link))),
            all_complete=False,
        )

    def lay_aside(self, aside: Set[bytes], change: DagChange) -> None:
        """Make a change of `excess` that has been stored."""
        for cid in aside:
            self._add_gaps(cid, -self._incomplete[cid].gaps)
        links = {link for cid in aside for link in self._incomplete.pop(cid).links if link in self._parents}
        for link in links:
            entry = self._parents[link]
            entry[1:] = [parent for parent in islice(entry, 1, None) if parent not in aside]
            if len(entry) == 1:
                del self._parents[link]
        self._not_deltas -= aside
        self.wants = self.wants - change.wants_removed | change.wants_added
        for cid in change.wants_added:
            for parent in self._parents_of(cid):
                self._add_gaps(parent, 1)
        self.heads = {cid: height for cid, height in self.heads.items() if cid not in change.heads_removed}
        for cid in change.heads_removed:
            del self._brought[cid]

    def _too_many_gaps(self) -> list[bytes]:
        counts, total, wants = Counter(self._gaps), sum(self._gaps.values()), len(self.wants)
        aside: list[bytes] = []
        while counts:
            ((most, count),) = counts.most_common(1)
            if count <= MAX_GAPS_PER_PEER and total <= MAX_GAPS and wants <= MAX_WANTS:
                break
            left = count - int(min(count, MAX_GAPS_PER_PEER) * _KEPT)
            if wants > MAX_WANTS:
                left = max(left, wants - int(MAX_WANTS * _KEPT))
            for cid in self._gapped[most]:
                if left <= 0:
                    break
                if cid not in self._held:
                    aside.append(cid)
                    gaps = self._incomplete[cid].gaps
                    left, total, wants = left - gaps, total - gaps, wants - gaps
            del counts[most]
        return aside

    def _too_many_heads(self) -> list[bytes]:
        if len(self.heads) <= MAX_HEADS_PER_PEER:
            return []
        counts, total = Counter(via for via in self._brought.values() if via), len(self.heads)
        forgotten: list[bytes] = []
        while counts:
            ((most, count),) = counts.most_common(1)
            if count <= MAX_HEADS_PER_PEER and total <= MAX_HEADS:
                break
            number = count - int(min(count, MAX_HEADS_PER_PEER) * _KEPT)
            forgotten += islice((cid for cid in self.heads if self._brought[cid] == most), number)
            total -= number
            del counts[most]
        return forgotten

    def _parents_of(self, cid: bytes) -> Iterable[bytes]:
        return islice(self._parents.get(cid, ()), 1, None)

    def _find_passable(self) -> set[bytes]:
        """The blocks that are passable in a state that was loaded."""
        found: set[bytes] = set()
        opened = {cid: self._incomplete[cid].opened for cid in self._not_deltas}
        ready = [cid for cid, count in opened.items() if not count]
        while ready:
            cid = ready.pop()
            found.add(cid)
            for parent in self._parents_of(cid):
                if parent in opened:
                    opened[parent] -= 1
                    if not opened[parent]:
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
            for link in new[cid].links if cid in new else self._incomplete[cid].links:
                if link not in complete and (link in others or link in self._passable):
                    complete[link] = None
                    left.append(link)
        return complete

    def _closed_by(
        self, new: Mapping[bytes, DagNode], stored: Mapping[bytes, bool], held: Set[bytes], released: Set[bytes]
    ) -> dict[bytes, None]:
        """New and older blocks below which nothing is missing any more, each after its links."""
        parents: dict[bytes, list[bytes]] = {}
        opened: dict[bytes, int] = dict.fromkeys(held, 1)
        for node in new.values():
            for link in node.links:
                if not stored.get(link, False) and link not in self._passable:
                    opened[node.cid] = opened.get(node.cid, 0) + 1
                    parents.setdefault(link, []).append(node.cid)
        ready = [cid for cid in new if cid not in opened]
        for cid in released:
            opened[cid] = self._incomplete[cid].opened - 1
            if not opened[cid]:
                ready.append(cid)
        closed: dict[bytes, None] = {}
        while ready:
            cid = ready.pop()
            closed[cid] = None
            for parent in (*parents.get(cid, ()), *self._parents_of(cid)):
                if parent not in opened:
                    opened[parent] = self._incomplete[parent].opened
                opened[parent] -= 1
                if opened[parent] == 0:
                    ready.append(parent)
        return closed
