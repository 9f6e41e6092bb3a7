"""`Replica`: the state machine that a peer feeds with blocks and that writes deltas.

It decides, the storage stores, and its own state changes only after the storage has. A merge that fails leaves both as
they were; after a crash the storage's transaction decides. Not thread-safe: one caller at a time."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from heapq import nlargest

from betar_tui.errors import BetarError, DecodeError, StoreError
from betar_tui.replica import delta, keys
from betar_tui.replica.ancestry import Ancestry
from betar_tui.replica.facts import BlockRow, Changes, DagChange, Snapshot, Winner
from betar_tui.replica.node import MAX_EMITTED, MAX_LINKS, DagNode, compose, decode_verified, is_delta, links_of
from betar_tui.replica.rules import Facts, values_after
from betar_tui.replica.slicing import SlicedDelta, groups, is_large
from betar_tui.replica.storage import ReplicaStorage

CEILING = 1 << 62
"""No honest peer reaches this height; a version that has it is not surpassed unless a head has it too."""
_DELTA_OVERHEAD, _LINK_SIZE, _TOMBSTONE_SIZE = 64, 46, 72
"""Maximum bytes of a delta beyond its parts, of a link, and of a tombstone without its key."""


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of a merge on one key: its values before and after, which differ."""

    key: str
    before: Winner | None
    after: Winner | None


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome of a merge: the nodes that were new, those merged in slices with the part that was merged, the keys whose
    value changed, and the newly wanted blocks.

    `not_deltas` are the nodes that were left out, since they are not deltas and no merged one links to them; `via` is the
    peer that the others came from."""

    nodes: tuple[DagNode, ...]
    effects: tuple[Effect, ...]
    wants: frozenset[bytes]
    not_deltas: tuple[DagNode, ...] = ()
    via: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A delta that this peer wrote, stored: its node, and the number of versions that its tombstones remove."""

    node: DagNode
    tombstones: int
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """A change of the replica. `via` is the peer it came from, "" for an own write; times are in seconds."""

    nodes: tuple[DagNode, ...]
    effects: tuple[Effect, ...]
    via: str
    at: float
    took: float = 0.0


class Replica:
    """One replica of the map, stored in `storage`. Raises StoreError when that is damaged."""

    def __init__(self, storage: ReplicaStorage) -> None:
        self._storage = storage
        snapshot = storage.load()
        try:
            incomplete = {cid: (height, links_of(data)) for cid, (height, data) in snapshot.incomplete.items()}
            not_deltas = [cid for cid, (_, data) in snapshot.incomplete.items() if not is_delta(data)]
            self._begun = _begun(snapshot)
        except DecodeError as error:
            raise StoreError(f"a block in the database is damaged: {error}; run betar-tui doctor") from error
        self._ancestry = Ancestry(snapshot.heads, incomplete, snapshot.wants, not_deltas, self._begun)

    @property
    def heads(self) -> Mapping[bytes, int]:
        """The heads and their heights now; the returned mapping never changes."""
        return self._ancestry.heads

    @property
    def height(self) -> int:
        """The greatest height of a head."""
        return self._ancestry.height

    @property
    def wants(self) -> frozenset[bytes]:
        """Blocks that merged blocks link to and that are missing; a copy, which may be large."""
        return frozenset(self._ancestry.wants)

    @property
    def wanted(self) -> int:
        """Number of wanted blocks."""
        return len(self._ancestry.wants)

    def is_wanted(self, cid: bytes) -> bool:
        """Whether a merged block links to this missing block. May be called while a merge runs."""
        return cid in self._ancestry.wants

    @property
    def incomplete(self) -> int:
        """Number of merged blocks with a missing block below them."""
        return self._ancestry.incomplete()

    def tops(self) -> dict[bytes, int]:
        """The blocks at or below which everything stored is, with their heights (see `Ancestry.tops`)."""
        return self._ancestry.tops()

    def may_be_missing(self, cid: bytes) -> bool:
        """Whether a block may be missing: False for heads and incomplete ones. May be called while a merge runs."""
        return not self._ancestry.certainly_has(cid)

    def missing(self, cids: Iterable[bytes]) -> tuple[bytes, ...]:
        """Those of the blocks that are not stored, or laid aside, in the order given."""
        asked = tuple(dict.fromkeys(cids))
        stored = self._storage.stored(asked)
        return tuple(cid for cid in asked if cid not in stored)

    def merge(self, nodes: Sequence[DagNode], via: str, at: float) -> Merged:
        """All of `merging` at once. Raises StoreError; what was merged before the error stays merged."""
        steps = list(self.merging(nodes, via, at))
        if len(steps) == 1:
            return steps[0]
        effects: dict[str, Effect] = {}
        for step in steps:
            for effect in step.effects:
                before = effects[effect.key].before if effect.key in effects else effect.before
                effects[effect.key] = Effect(effect.key, before, effect.after)
        whole = {node.cid: node for node in nodes}
        return Merged(
            tuple(whole[cid] for cid in dict.fromkeys(node.cid for step in steps for node in step.nodes)),
            tuple(effect for effect in effects.values() if effect.before != effect.after),
            frozenset(cid for step in steps for cid in step.wants if self.is_wanted(cid)),
            tuple(node for step in steps for node in step.not_deltas),
        )

    def merging(self, nodes: Sequence[DagNode], via: str, at: float) -> Iterator[Merged]:
        """Apply verified nodes, those already stored change nothing; in one transaction, or in several short ones, one at
        each step of the iteration. Between two of them the replica may be used, and the rest need not be merged now:
        what was begun goes on with `resuming`. Raises StoreError.

        Of those that are not deltas only those that merged deltas link to are applied: a Go peer takes such a node for
        a delta, and what it builds on it has its history below it (docs/protocol.md#dag-nodes)."""
        unique = {node.cid: node for node in nodes}
        self._lay_aside(at)
        stored = self._stored(unique.values())
        fresh = tuple(node for cid, node in unique.items() if cid not in stored)
        others = self._unlinked(fresh)
        left = tuple(others.values())
        looked_up = True
        for group in groups(node for node in fresh if node.cid not in others):
            if not looked_up:  # others may have used the replica meanwhile
                self._lay_aside(at)
                stored = self._stored(group)
                group = [node for node in group if node.cid not in stored]
            for step in self._steps(group, stored, via, at):
                yield replace(step, not_deltas=left) if left else step
                left = ()
                looked_up = False
        if looked_up:
            yield Merged((), (), frozenset(), left)

    def resuming(self, at: float) -> Iterator[Merged]:
        """Go on with the large deltas of which some slices are merged, as `merging` does."""
        for cid in tuple(self._begun):
            yield from self._slices(cid, at)

    def writing(
        self, puts: Mapping[str, bytes], deletes: Iterable[str], at: float, own: Mapping[str, str] | None = None
    ) -> Iterator[Written]:
        """Put and delete keys in as few deltas as fit in 1 MiB each, durably, one at each step of the iteration.

        Deletes of absent keys make no delta. `own` are documents to store in the transaction of the first delta, so
        that a peer that dies between two deltas can finish what was meant. Raises BetarError for an empty value or one
        that does not fit in a delta, and StoreError; what was written before the error stays written."""
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
        named = ((key, block) for key in deletes for block in self._storage.live(key))
        tombstones = tuple(dict.fromkeys((*named, *removed)))
        room = MAX_EMITTED - _DELTA_OVERHEAD - _LINK_SIZE * max(1, min(len(self._ancestry.heads), MAX_LINKS))
        for some_puts, some_tombstones in _batches(puts, tombstones, room):
            yield self._write_one(some_puts, some_tombstones, max(height, self._next_height), at, own or {})
            own = None

    def _stored(self, nodes: Iterable[DagNode]) -> Mapping[bytes, bool]:
        """What is stored of these nodes and the blocks that they link to."""
        return self._storage.stored({cid for node in nodes for cid in (node.cid, *node.links)})

    def _steps(self, group: Sequence[DagNode], stored: Mapping[bytes, bool], via: str, at: float) -> Iterator[Merged]:
        """Merge nodes that are not stored and fit into a transaction, or one that does not."""
        if not group:
            return
        aside = frozenset(self._storage.laid_aside([node.cid for node in group]))
        if len(group) == 1 and is_large(group[0]) and not aside:
            (node,) = group
            self._begun[node.cid] = SlicedDelta(node, via)
            yield from self._slices(node.cid, at, stored)
        else:
            yield self._merge(tuple(group), stored, via, at, aside=aside)

    def _slices(self, cid: bytes, at: float, stored: Mapping[bytes, bool] | None = None) -> Iterator[Merged]:
        """Merge the remaining slices of a large delta; `stored` is that of `Ancestry.plan` before the first one."""
        while cid in self._begun:
            delta = self._begun[cid]
            part, done, last = delta.next()
            known = stored is None
            new = () if known else (part,)
            held = frozenset() if known or last else frozenset({cid})
            released = frozenset({cid}) if known and last else frozenset()
            try:
                change = self._ancestry.plan(new, stored or {}, held=held, released=released)
                merged = self._apply(
                    (part,), change, delta.via, at, new=new, known={cid} if known else (), done=None if last else done
                )
            except BaseException:
                if not known:
                    del self._begun[cid]
                raise
            delta.done, stored = done, None
            if last:
                del self._begun[cid]
            yield replace(merged, via=delta.via)

    def _lay_aside(self, at: float) -> None:
        """Keep what waits for blocks that nobody sends, and heads, within their limits (see `Ancestry.excess`)."""
        if (excess := self._ancestry.excess()) is not None:
            aside, change = excess
            self._storage.apply(Changes((), (), {}, change, "", at, {}, dict.fromkeys(aside)), False)
            self._ancestry.lay_aside(aside, change)

    def put_removes(self, key: str) -> bool:
        """Whether a put of this key has to remove other versions, perhaps thousands (see `_above`)."""
        key = keys.clean(key)
        winner = self._storage.winners([key]).get(key)
        return winner is not None and winner.height >= max(CEILING, self._next_height)

    def _above(self, puts: Mapping[str, bytes]) -> tuple[int, list[tuple[str, bytes]]]:
        """The height at which new values of these keys win over the current ones, and the versions to remove for that.

        A current value may be higher than every head: above blocks that are still to come or never existed, or below a
        hostile block that is lower. If its height is absurd it is removed instead: our delta becomes a head of every
        peer, and Go peers begin at 0 again above the greatest height."""
        limit = max(CEILING, self._next_height)
        heights, removed = [0], list[tuple[str, bytes]]()
        for key, winner in self._storage.winners(puts.keys()).items():
            best: Winner | None = winner
            if winner.height >= limit:
                absurd = self._storage.live(key, limit)
                removed += [(key, block) for block in absurd]
                best = self._storage.greatest(key, frozenset(absurd))  # there may be thousands
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
        # Those beyond the limit stay heads, for the next delta.
        links = heads if len(heads) <= MAX_LINKS else nlargest(MAX_LINKS, heads, key=lambda cid: (heads[cid], cid))
        node = compose(links, puts, tombstones, height)
        # Its links are heads, so they are stored and complete. The node itself is new: a stored block whose links are
        # all complete is complete itself, and a block that a complete block links to is not a head.
        merged = self._merge((node,), dict.fromkeys(node.links, True), "", at, durable=True, own=own)
        return Written(node, len(tombstones), merged.effects)

    def _unlinked(self, nodes: Sequence[DagNode]) -> dict[bytes, DagNode]:
        """The nodes that are not deltas and that no delta, merged or among these, links to, through others or not."""
        others = {node.cid: node for node in nodes if not node.is_delta}
        if others:
            links = [link for node in nodes if node.is_delta for link in node.links]
            links += self._ancestry.wants.intersection(others)
            while links:
                linked = others.pop(links.pop(), None)
                links += linked.links if linked is not None else ()
        return others

    def _merge(
        self,
        fresh: tuple[DagNode, ...],
        stored: Mapping[bytes, bool],
        via: str,
        at: float,
        *,
        aside: Set[bytes] = frozenset(),
        durable: bool = False,
        own: Mapping[str, str] | None = None,
    ) -> Merged:
        """Merge nodes that are not stored, or laid `aside`. `stored` is that of `Ancestry.plan`."""
        change = self._ancestry.plan(fresh, stored)
        # What a block says was merged before it was laid aside.
        said = tuple(node._replace(delta=_silent(node.delta)) if node.cid in aside else node for node in fresh)
        merged = self._apply(said, change, via, at, new=fresh, known=aside, durable=durable, own=own)
        return replace(merged, nodes=fresh)

    def _apply(
        self,
        nodes: tuple[DagNode, ...],
        change: DagChange,
        via: str,
        at: float,
        *,
        new: tuple[DagNode, ...],
        known: Collection[bytes] = (),
        done: int | None = None,
        durable: bool = False,
        own: Mapping[str, str] | None = None,
    ) -> Merged:
        """Store and make a planned change, which is that of the `new` nodes. The blocks of `known` nodes are stored; of a
        node that is merged in slices and not to the end `done` keys are merged."""
        before, after = self._values(nodes)
        effects = tuple(
            Effect(key, before.get(key), winner) for key, winner in after.items() if before.get(key) != winner
        )
        complete = change.complete
        changes = Changes(
            tuple(
                BlockRow(n.cid, n.data, n.delta.priority, n.cid in complete, n.delta.elements, n.cid in known)
                for n in nodes
            ),
            tuple(pair for node in nodes for pair in node.delta.tombstones),
            {effect.key: effect.after for effect in effects},
            change,
            via,
            at,
            own or {},
            {nodes[0].cid: done} if done is not None else {},
            frozenset(known) if done is None else frozenset(),
        )
        self._storage.apply(changes, durable)
        self._ancestry.commit(new, change, via)
        return Merged(nodes, effects, change.wants_added)

    def _values(self, nodes: Sequence[DagNode]) -> tuple[Mapping[str, Winner], Mapping[str, Winner | None]]:
        keys = {span.key for node in nodes for span in node.delta.elements}
        keys.update(key for node in nodes for key, _ in node.delta.tombstones)
        pairs = [(span.key, node.cid) for node in nodes for span in node.delta.elements]
        before = self._storage.winners(keys)
        facts = Facts(before, self._storage.tombstoned(pairs), self._storage.greatest)
        return before, values_after(nodes, facts)


def _silent(said: delta.Delta) -> delta.Delta:
    """A delta without what it says, but for its height."""
    return said._replace(elements=(), tombstones=())


def _begun(snapshot: Snapshot) -> dict[bytes, SlicedDelta]:
    """The deltas that an earlier run has merged in part. Raises DecodeError."""
    return {
        cid: SlicedDelta(decode_verified(cid, snapshot.incomplete[cid][1]), via, done)
        for cid, (done, via) in snapshot.begun.items()
    }


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
