"""`Replica`: the state machine that a peer feeds with blocks and that writes deltas.

It decides, the port remembers, and its own memory follows only after the port has. A merge that fails leaves both as
they were; a crash leaves what the port's transaction left. Not thread-safe: one caller at a time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest

from betar_tui.errors import BetarError, DecodeError, StoreError
from betar_tui.replica import delta, keys
from betar_tui.replica.facts import BlockRow, Changes, Winner
from betar_tui.replica.node import MAX_EMITTED, MAX_LINKS, DagNode, compose, links_of
from betar_tui.replica.rules import Ancestry, Facts, Growth, values_after
from betar_tui.replica.storage import ReplicaStorage

_CEILING = 1 << 62
"""Nobody comes to this height honestly; a version that has it is not surpassed unless a head has it too."""
_DELTA_OVERHEAD = 64
_LINK_SIZE = 46
_TOMBSTONE_SIZE = 72


@dataclass(frozen=True, slots=True)
class Effect:
    """What a merge did to one key; at least one side is not None and they differ."""

    key: str
    before: Winner | None
    after: Winner | None


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome of a merge: the nodes that were new, the keys whose value changed, the heads before and after when
    they differ, and what is newly wanted."""

    nodes: tuple[DagNode, ...]
    effects: tuple[Effect, ...]
    heads_changed: bool
    wants: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Written:
    """One delta of ours, stored: its node, and how many versions its tombstones named."""

    node: DagNode
    tombstones: int
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """What changed the replica: `via` is the peer it came through, "" for our own; `at` Unix seconds, `took` seconds."""

    nodes: tuple[DagNode, ...]
    effects: tuple[Effect, ...]
    heads_changed: bool
    via: str
    at: float
    took: float = 0.0


class Replica:
    """One replica of the map. `port` is where it is remembered. Raises StoreError when that is damaged."""

    def __init__(self, port: ReplicaStorage) -> None:
        self._port = port
        snapshot = port.load()
        try:
            incomplete = {name: (height, links_of(data)) for name, (height, data) in snapshot.incomplete.items()}
        except DecodeError as error:
            raise StoreError(f"a block in the database is damaged: {error}; run betar-tui doctor") from error
        self._ancestry = Ancestry(snapshot.heads, incomplete, snapshot.wants)

    @property
    def heads(self) -> Mapping[bytes, int]:
        """The heads and their heights, as they are now: what was returned never changes."""
        return self._ancestry.heads

    @property
    def height(self) -> int:
        """The greatest height of a head."""
        return self._ancestry.height

    @property
    def wants(self) -> frozenset[bytes]:
        """Blocks that merged blocks link to and that are not held; a copy, and there may be very many."""
        return frozenset(self._ancestry.wants)

    @property
    def wanted(self) -> int:
        """How many there are of these."""
        return len(self._ancestry.wants)

    def is_wanted(self, name: bytes) -> bool:
        """Whether a block is one of them. May be called while a merge runs."""
        return name in self._ancestry.wants

    @property
    def incomplete(self) -> int:
        """How many merged blocks have a hole below them."""
        return self._ancestry.incomplete()

    def may_lack(self, name: bytes) -> bool:
        """Whether a block may be missing, told without asking the port: right about heads and what lies above a hole.
        May be called while a merge runs."""
        return not self._ancestry.knows(name)

    def missing(self, cids: Iterable[bytes]) -> tuple[bytes, ...]:
        """Those of the blocks that are not held, in the order given."""
        asked = tuple(dict.fromkeys(cids))
        stored = self._port.stored(asked)
        return tuple(name for name in asked if name not in stored)

    def merge(self, nodes: Sequence[DagNode], via: str, at: float) -> Merged:
        """Apply verified nodes in one transaction; those already held change nothing. Raises StoreError."""
        unique = {node.cid: node for node in nodes}
        stored = self._port.stored(unique.keys() | {link for node in unique.values() for link in node.links})
        fresh = tuple(node for name, node in unique.items() if name not in stored)
        return self._merge(fresh, stored, via, at) if fresh else Merged((), (), False, frozenset())

    def write(
        self, puts: Mapping[str, bytes], deletes: Iterable[str], at: float, own: Mapping[str, str] | None = None
    ) -> tuple[Written, ...]:
        """See `writing`."""
        return tuple(self.writing(puts, deletes, at, own))

    def writing(
        self, puts: Mapping[str, bytes], deletes: Iterable[str], at: float, own: Mapping[str, str] | None = None
    ) -> Iterator[Written]:
        """Put and delete keys in as few deltas as fit in 1 MiB each, durably, one as each is asked for; deletes of
        absent keys make none. `own` are documents to remember in the transaction of the first delta: whoever dies
        between two deltas finds there what was meant.

        Raises BetarError for an empty value or one that fits in no delta, StoreError; what was written before the error
        stays written.
        """
        puts = {keys.clean(key): value for key, value in puts.items()}
        deletes = tuple(dict.fromkeys(map(keys.clean, deletes)))
        for key, value in (*puts.items(), *((key, b"-") for key in deletes)):
            if not value:
                raise BetarError(f"the value of {key} is empty, which Go peers do not replicate; give it content")
            if len(key.encode()) + len(value) + _DELTA_OVERHEAD > MAX_EMITTED // 2:
                raise BetarError(
                    f"{key[:80]} and its value of {len(value)} bytes are more than a delta may carry; shorten them"
                )
        height, removed = self._above(puts)
        named = ((key, block) for key in deletes for block in self._port.live(key))
        tombstones = tuple(dict.fromkeys((*named, *removed)))
        room = MAX_EMITTED - _DELTA_OVERHEAD - _LINK_SIZE * max(1, min(len(self._ancestry.heads), MAX_LINKS))
        for some_puts, some_tombstones in _batches(puts, tombstones, room):
            yield self._write_one(some_puts, some_tombstones, max(height, self._next_height), at, own or {})
            own = None

    def put_removes(self, key: str) -> bool:
        """Whether a put of this key has to remove versions that are there, thousands perhaps (see `_above`)."""
        key = keys.clean(key)
        winner = self._port.winners([key]).get(key)
        return winner is not None and winner.height >= max(_CEILING, self._next_height)

    def _above(self, puts: Mapping[str, bytes]) -> tuple[int, list[tuple[str, bytes]]]:
        """The height at which new values of these keys win over what is there, and what must be removed for that.

        What is there may be higher than every head: it lies above blocks that are still to come, or were never there, or
        below a hostile block that is lower. Where its height is absurd, it is removed instead: our delta is a head for
        everybody, and Go peers begin at 0 again above the greatest height.
        """
        limit = max(_CEILING, self._next_height)
        heights, removed = [0], list[tuple[str, bytes]]()
        for key, winner in self._port.winners(puts.keys()).items():
            best: Winner | None = winner
            if winner.height >= limit:
                absurd = self._port.live(key, limit)
                removed += [(key, block) for block in absurd]
                best = self._port.greatest(key, frozenset(absurd))  # there may be thousands
            heights.append(best.height if best else 0)
        return max(heights) + 1, removed

    @property
    def _next_height(self) -> int:
        # A head at the greatest height leaves nothing above it: the value then decides.
        return min(self._ancestry.height + 1, delta.MAX_PRIORITY)

    def _write_one(
        self,
        puts: Sequence[tuple[str, bytes]],
        tombstones: Sequence[tuple[str, bytes]],
        height: int,
        at: float,
        own: Mapping[str, str],
    ) -> Written:
        heads = self._ancestry.heads
        # Those that find no room stay heads, for the next delta.
        links = heads if len(heads) <= MAX_LINKS else nlargest(MAX_LINKS, heads, key=lambda name: (heads[name], name))
        node = compose(links, puts, tombstones, height)
        # Its links are heads, so they are held and complete. It is not: a block that is held with all its links complete is
        # complete itself, and what a complete block links to is no head.
        merged = self._merge((node,), dict.fromkeys(node.links, True), "", at, durable=True, own=own)
        return Written(node, len(tombstones), merged.effects)

    def _merge(
        self,
        fresh: tuple[DagNode, ...],
        stored: Mapping[bytes, bool],
        via: str,
        at: float,
        *,
        durable: bool = False,
        own: Mapping[str, str] | None = None,
    ) -> Merged:
        """Merge nodes that are not held. `stored` has those of their links that are, each with whether it is complete."""
        growth = self._ancestry.grow(fresh, stored)
        before, after = self._values(fresh)
        effects = tuple(
            Effect(key, before.get(key), winner) for key, winner in after.items() if before.get(key) != winner
        )
        self._port.apply(self._changes(fresh, growth, effects, via, at, own or {}), durable)
        self._ancestry.commit(fresh, growth)
        return Merged(fresh, effects, bool(growth.heads_added or growth.heads_removed), growth.wants_added)

    def _values(self, nodes: Sequence[DagNode]) -> tuple[Mapping[str, Winner], Mapping[str, Winner | None]]:
        keys = {span.key for node in nodes for span in node.delta.elements}
        keys.update(key for node in nodes for key, _ in node.delta.tombstones)
        pairs = [(span.key, node.cid) for node in nodes for span in node.delta.elements]
        before = self._port.winners(keys)
        facts = Facts(before, self._port.tombstoned(pairs), self._port.greatest)
        return before, values_after(nodes, facts)

    @staticmethod
    def _changes(
        nodes: Sequence[DagNode],
        growth: Growth,
        effects: Sequence[Effect],
        via: str,
        at: float,
        own: Mapping[str, str],
    ) -> Changes:
        return Changes(
            blocks=tuple(
                BlockRow(n.cid, n.data, n.delta.priority, n.cid in growth.complete, n.delta.elements) for n in nodes
            ),
            tombstones=tuple(pair for node in nodes for pair in node.delta.tombstones),
            winners={each.key: each.after for each in effects},
            completed=growth.completed,
            heads_added=growth.heads_added,
            heads_removed=growth.heads_removed,
            wants_added=growth.wants_added,
            wants_removed=growth.wants_removed,
            whole=growth.whole,
            via=via,
            at=at,
            own=own,
        )


def _batches(
    puts: Mapping[str, bytes], tombstones: Sequence[tuple[str, bytes]], room: int
) -> Iterable[tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]]:
    """Puts and tombstones cut into deltas of at most `room` bytes."""
    some_puts: list[tuple[str, bytes]] = []
    some_tombstones: list[tuple[str, bytes]] = []
    left = room
    sized = [(_TOMBSTONE_SIZE + len(key.encode()), some_tombstones, (key, block)) for key, block in tombstones]
    for key, value in puts.items():
        sized.append((len(key.encode()) + len(value) + 16, some_puts, (key, value)))
    for size, target, item in sized:
        if size > left and (some_puts or some_tombstones):
            yield list(some_puts), list(some_tombstones)
            some_puts.clear()
            some_tombstones.clear()
            left = room
        target.append(item)
        left -= size
    if some_puts or some_tombstones:
        yield some_puts, some_tombstones
