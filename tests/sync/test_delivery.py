"""Who holds what we wrote, told from what peers announce."""

from collections import OrderedDict

from betar_tui.replica import DagNode
from betar_tui.sync import delivery
from betar_tui.sync.delivery import DeliveryTracker
from tests.simulation.lab import node


class Told:
    """A `DeliveryTracker` with what it told."""

    def __init__(self) -> None:
        self.counts: dict[tuple[bytes, tuple[str, ...]], int] = {}
        self.witnesses = DeliveryTracker(self._take)

    def _take(self, name: bytes, keys: tuple[str, ...], count: int) -> None:
        self.counts[name, keys] = count

    def of(self, delta: DagNode) -> int:
        return next((count for (name, _), count in self.counts.items() if name == delta.cid), 0)


class Looked(OrderedDict[bytes, tuple[int, tuple[bytes, ...]]]):
    """The remembered blocks, with how often one's links were read."""

    times = 0

    def __getitem__(self, name: bytes) -> tuple[int, tuple[bytes, ...]]:
        self.times += 1
        return super().__getitem__(name)

    def get(self, name: bytes, *default: object) -> object:  # type: ignore[override]
        self.times += 1
        return super().get(name, *default)


def looked_at(told: Told) -> Looked:
    told.witnesses._links = looked = Looked(told.witnesses._links)
    return looked


def branch(told: Told, length: int, lowest: int = 10) -> list[DagNode]:
    """A hostile chain beside our delta, the lowest block first."""
    chain: list[DagNode] = []
    for height in range(lowest, lowest + length):
        chain.append(node(chain[-1:], [("/agents/m", b"%d" % height)], (), height))
    told.witnesses.applied(chain, ours=False)
    return chain


OURS = node((), [("/agents/a", b"1")])
LATER = node([OURS], [("/agents/b", b"2")], [("/agents/a", OURS)], 2)
THEIRS = node([LATER], [("/agents/c", b"3")], (), 3)
APART = node((), [("/agents/x", b"4")])


def test_whoever_announces_a_delta_of_ours_is_counted_once() -> None:
    told = Told()
    told.witnesses.applied([OURS], ours=True)
    told.witnesses.announced("alice", [OURS.cid])
    told.witnesses.announced("alice", [OURS.cid])
    assert told.counts == {(OURS.cid, ("/agents/a",)): 1}
    told.witnesses.announced("bob", [OURS.cid])
    assert told.of(OURS) == 2


def test_a_head_vouches_for_all_that_it_was_built_on() -> None:
    told = Told()
    told.witnesses.applied([OURS], ours=True)
    told.witnesses.applied([LATER], ours=True)
    told.witnesses.applied([THEIRS], ours=False)
    told.witnesses.announced("alice", [THEIRS.cid])
    assert (told.of(OURS), told.of(LATER), told.of(THEIRS)) == (1, 1, 0)
    assert (LATER.cid, ("/agents/b", "/agents/a")) in told.counts


def test_a_head_beside_ours_vouches_for_nothing() -> None:
    told = Told()
    told.witnesses.applied([OURS], ours=True)
    told.witnesses.applied([APART], ours=False)
    told.witnesses.announced("alice", [APART.cid])
    assert not told.counts


def test_a_head_that_is_announced_before_its_block_is_here_counts_once_it_is() -> None:
    told = Told()
    told.witnesses.applied([OURS], ours=True)
    told.witnesses.applied([LATER], ours=True)
    told.witnesses.announced("alice", [THEIRS.cid])
    assert not told.counts
    told.witnesses.applied([THEIRS], ours=False)
    assert told.of(LATER) == 1


def test_a_peer_that_was_sent_the_block_has_it() -> None:
    told = Told()
    told.witnesses.applied([OURS], ours=True)
    told.witnesses.sent("alice", [APART.cid, OURS.cid])
    assert told.counts == {(OURS.cid, ("/agents/a",)): 1}


def test_what_is_remembered_has_limits() -> None:
    told = Told()
    deltas = [node((), [("/agents/a", b"%d" % n)]) for n in range(delivery.MAX_WATCHED + 1)]
    told.witnesses.applied(deltas, ours=True)
    told.witnesses.announced("alice", [deltas[0].cid])  # no longer watched
    told.witnesses.announced("alice", [deltas[-1].cid])
    assert [name for name, _ in told.counts] == [deltas[-1].cid]
    for n in range(delivery.MAX_CLAIMS * 2):
        told.witnesses.announced("mallory", [b"%036d" % n])
    assert len(told.witnesses._claims) == delivery.MAX_CLAIMS
    for n in range(delivery.MAX_CLAIMANTS * 2):
        told.witnesses.announced(f"mallory{n}", [THEIRS.cid])
    assert len(told.witnesses._claims[THEIRS.cid]) == delivery.MAX_CLAIMANTS
    for n in range(delivery.MAX_CLAIMED):
        told.witnesses.announced(f"mallory{n}", [b"%036d" % (n % 128)])
    assert told.witnesses._claimed == sum(map(len, told.witnesses._claims.values())) <= delivery.MAX_CLAIMED
    for n in range(delivery.MAX_PEERS * 2):
        told.witnesses.announced(f"mallory{n}", [deltas[-1].cid])
    assert told.of(deltas[-1]) == delivery.MAX_PEERS


def test_the_links_that_are_remembered_have_a_limit_of_their_own() -> None:
    told = Told()
    told.witnesses.applied([OURS], ours=True)
    many = [node((), [("/agents/m", b"%d" % n)]) for n in range(1024)]
    wide = [node(many, [("/agents/w", b"%d" % n)], (), 2) for n in range(delivery.MAX_LINKS // 1024 + 8)]
    told.witnesses.applied(wide, ours=False)
    told.witnesses.applied(wide[-1:], ours=False)  # again: it is counted once
    links = [len(links) for _, links in told.witnesses._links.values()]
    assert sum(links) == told.witnesses._linked == delivery.MAX_LINKS


def test_a_broadcast_costs_so_many_steps_however_many_heads_it_names() -> None:
    told = Told()
    told.witnesses.applied([OURS], ours=True)
    chain = branch(told, 5000)
    looked = looked_at(told)
    told.witnesses.announced("mallory", [each.cid for each in chain[-100:]])
    assert looked.times < 3 * delivery.MAX_STEPS
    looked.times = 0
    told.witnesses.announced("mallory", [each.cid for each in chain[-4096:]])
    assert looked.times < 4 * delivery.MAX_STEPS
    assert not told.counts


def test_many_claims_on_what_comes_together_are_one_walk_and_nobody_takes_it_from_others() -> None:
    told = Told()
    told.witnesses.applied([OURS, LATER], ours=True)
    chain = branch(told, 5000)
    tops = [node(chain[-1:], [("/agents/m", b"top%d" % n)], (), 10_000) for n in range(64)]
    for n in range(delivery.MAX_CLAIMANTS):
        told.witnesses.announced(f"mallory{n}", [each.cid for each in tops])
    told.witnesses.announced("alice", [THEIRS.cid])
    told.witnesses.announced("bob", [OURS.cid])
    looked = looked_at(told)
    told.witnesses.applied([*tops, THEIRS], ours=False)
    assert looked.times < 4 * delivery.MAX_REMEMBERED
    assert (told.of(OURS), told.of(LATER)) == (2, 1)
    assert told.witnesses._claimed == 0


def test_each_head_vouches_for_its_own_peers_only() -> None:
    told = Told()
    told.witnesses.applied([OURS, LATER], ours=True)
    top = node([THEIRS], [("/agents/c", b"5")], (), 4)
    beside = node([OURS], [("/agents/c", b"6")], (), 2)
    told.witnesses.announced("alice", [top.cid])
    told.witnesses.announced("bob", [THEIRS.cid])
    told.witnesses.announced("carol", [beside.cid])
    told.witnesses.applied([beside, top, THEIRS], ours=False)
    assert (told.of(OURS), told.of(LATER)) == (3, 2)
