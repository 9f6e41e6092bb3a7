"""Cuts merges into slices of bounded time. Pure.

A delta of 2 MiB can name a hundred thousand keys, and merging one takes seconds; a Go peer's delete of a listing that was
put again and again may name tens of thousands of tombstones, so none is refused by count. What a delta says of one key
does not depend on what it says of others, and whether it is complete does not change the values: so a large delta may be
merged some keys at a time, in transactions of their own, and only then counts for what is complete and what are heads."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from betar_tui.replica.delta import Delta
from betar_tui.replica.facts import Span
from betar_tui.replica.node import DagNode

MAX_ITEMS = 2000
"""Maximum elements, tombstones and blocks of one transaction, two links counting as one: some 60 ms of work."""

SLICE = 500
"""Maximum elements and tombstones of a slice of a large delta, but for the tombstones of one key: what is published
meanwhile waits for a slice or two, and deltas of this kind are rare."""


def weight(node: DagNode) -> int:
    """What it costs to merge a node."""
    return 1 + len(node.delta.elements) + len(node.delta.tombstones) + len(node.links) // 2


def is_large(node: DagNode) -> bool:
    """Whether a node does not fit into a transaction."""
    return weight(node) > MAX_ITEMS


def groups(nodes: Iterable[DagNode]) -> Iterator[list[DagNode]]:
    """The nodes in their order, as many together as fit into one transaction; one that is too large comes alone."""
    group: list[DagNode] = []
    room = MAX_ITEMS
    for node in nodes:
        size = weight(node)
        if group and size > room:
            yield group
            group, room = [], MAX_ITEMS
        group.append(node)
        room -= size
    if group:
        yield group


class SlicedDelta:
    """A large delta that is merged some keys at a time, always in the same order. `done` counts the keys that are."""

    def __init__(self, node: DagNode, via: str, done: int = 0) -> None:
        self.node = node
        self.via = via
        self.done = done
        self._elements: Mapping[str, Span] = {span.key: span for span in node.delta.elements}
        self._tombstones: dict[str, list[bytes]] = {}
        for key, block in node.delta.tombstones:
            self._tombstones.setdefault(key, []).append(block)
        self._keys: Sequence[str] = tuple(dict.fromkeys((*self._elements, *self._tombstones)))

    def next(self) -> tuple[DagNode, int, bool]:
        """The node with the next slice of its keys alone, how many keys are done with it, and whether it is the last.

        All tombstones of a key are in one slice, however many there are."""
        elements: list[Span] = []
        tombstones: list[tuple[str, bytes]] = []
        done = self.done
        while done < len(self._keys):
            key = self._keys[done]
            dead = self._tombstones.get(key, ())
            size = len(elements) + len(tombstones)
            if size and size + len(dead) >= SLICE:
                break
            if key in self._elements:
                elements.append(self._elements[key])
            tombstones += ((key, block) for block in dead)
            done += 1
        part = Delta(tuple(elements), tuple(tombstones), self.node.delta.priority, self.node.delta.typed)
        return self.node._replace(delta=part), done, done >= len(self._keys)
