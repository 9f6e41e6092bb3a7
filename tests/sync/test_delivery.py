"""Which peers have the deltas that we wrote, from their announcements."""

from collections import OrderedDict

from betar_tui.replica import DagNode
from betar_tui.sync import delivery
from betar_tui.sync.delivery import DeliveryTracker
from tests.replica.test_not_deltas import unixfs_node
from tests.simulation.lab import node


class Reported:
    """A `DeliveryTracker` with the counts that it reported."""

    def __init__(self) -> None:
        self.counts: dict[tuple[bytes, tuple[str, ...]], int] = {}
        self.tracker = DeliveryTracker(self._take)

    def _take(self, name: bytes, keys: tuple[str, ...], count: int) -> None:
        self.counts[name, keys] = count

    def of(self, delta: DagNode) -> int:
        return next((count for (name, _), count in self.counts.items() if name == delta.cid), 0)


class Looked(OrderedDict[bytes, tuple[int, tuple[bytes, ...]]]):
    """The remembered blocks, counting reads of their links."""

    times = 0

    def __getitem__(self, name: bytes) -> tuple[int, tuple[bytes, ...]]:
        self.times += 1
        return super().__getitem__(name)

    def get(self, name: bytes, *default: object) -> object:  # type: ignore[override]
        self.times += 1
        return super().get(name, *default)


def looked_at(reported: Reported) -> Looked:
    reported.tracker._links = looked = Looked(reported.tracker._links)
    return looked


def branch(reported: Reported, length: int, lowest: int = 10) -> list[DagNode]:
    """A hostile chain next to our delta, the lowest block first."""
    chain: list[DagNode] = []
    for height in range(lowest, lowest + length):
        chain.append(node(chain[-1:], [("/agents/m", b"%d" % height)], (), height))
    reported.tracker.applied(chain, own=False)
    return chain


OURS = node((), [("/agents/a", b"1")])
LATER = node([OURS], [("/agents/b", b"2")], [("/agents/a", OURS)], 2)
THEIRS = node([LATER], [("/agents/c", b"3")], (), 3)
APART = node((), [("/agents/x", b"4")])


def test_a_peer_that_announces_an_own_delta_is_counted_once() -> None:
    reported = Reported()
    reported.tracker.applied([OURS], own=True)
    reported.tracker.announced("alice", [OURS.cid])
    reported.tracker.announced("alice", [OURS.cid])
    assert reported.counts == {(OURS.cid, ("/agents/a",)): 1}
    reported.tracker.announced("bob", [OURS.cid])
    assert reported.of(OURS) == 2


def test_a_head_counts_for_all_deltas_below_it() -> None:
    reported = Reported()
    reported.tracker.applied([OURS], own=True)
    reported.tracker.applied([LATER], own=True)
    reported.tracker.applied([THEIRS], own=False)
    reported.tracker.announced("alice", [THEIRS.cid])
    assert (reported.of(OURS), reported.of(LATER), reported.of(THEIRS)) == (1, 1, 0)
    assert (LATER.cid, ("/agents/b", "/agents/a")) in reported.counts


def test_a_head_counts_for_deltas_below_files_that_go_took_for_deltas() -> None:
    """Such a block has no height; the two deltas above it bring different peers."""
    reported = Reported()
    ours = node((), [("/agents/a", b"1")], (), 5)
    inner = unixfs_node([ours.cid], size=None)
    outer = unixfs_node([inner.cid], size=10**9)
    higher, lower = node([outer], [("/agents/b", b"2")], (), 9), node([outer], [("/agents/c", b"3")], (), 7)
    reported.tracker.applied([ours], own=True)
    for peer, head in (("alice", higher), ("bob", lower)):
        reported.tracker.announced(peer, [head.cid])
    reported.tracker.applied([higher, lower, outer, inner], own=False)
    assert reported.of(ours) == 2
    reported.tracker.announced("carol", [lower.cid])
    assert reported.of(ours) == 3


def test_a_head_that_is_not_above_ours_counts_for_nothing() -> None:
    reported = Reported()
    reported.tracker.applied([OURS], own=True)
    reported.tracker.applied([APART], own=False)
    reported.tracker.announced("alice", [APART.cid])
    assert not reported.counts


def test_a_head_that_is_announced_before_its_block_is_here_counts_once_it_is() -> None:
    reported = Reported()
    reported.tracker.applied([OURS], own=True)
    reported.tracker.applied([LATER], own=True)
    reported.tracker.announced("alice", [THEIRS.cid])
    assert not reported.counts
    reported.tracker.applied([THEIRS], own=False)
    assert reported.of(LATER) == 1


def test_a_peer_that_was_sent_the_block_has_it() -> None:
    reported = Reported()
    reported.tracker.applied([OURS], own=True)
    reported.tracker.sent("alice", [APART.cid, OURS.cid])
    assert reported.counts == {(OURS.cid, ("/agents/a",)): 1}


def test_what_is_remembered_has_limits() -> None:
    reported = Reported()
    deltas = [node((), [("/agents/a", b"%d" % n)]) for n in range(delivery.MAX_WATCHED + 1)]
    reported.tracker.applied(deltas, own=True)
    reported.tracker.announced("alice", [deltas[0].cid])  # no longer watched
    reported.tracker.announced("alice", [deltas[-1].cid])
    assert [name for name, _ in reported.counts] == [deltas[-1].cid]
    for n in range(delivery.MAX_UNKNOWN_HEADS * 2):
        reported.tracker.announced("mallory", [b"%036d" % n])
    assert len(reported.tracker._unknown_heads) == delivery.MAX_UNKNOWN_HEADS
    for n in range(delivery.MAX_ANNOUNCERS * 2):
        reported.tracker.announced(f"mallory{n}", [THEIRS.cid])
    assert len(reported.tracker._unknown_heads[THEIRS.cid]) == delivery.MAX_ANNOUNCERS
    for n in range(delivery.MAX_ANNOUNCEMENTS):
        reported.tracker.announced(f"mallory{n}", [b"%036d" % (n % 128)])
    assert (
        reported.tracker._announcements
        == sum(map(len, reported.tracker._unknown_heads.values()))
        <= delivery.MAX_ANNOUNCEMENTS
    )
    for n in range(delivery.MAX_PEERS * 2):
        reported.tracker.announced(f"mallory{n}", [deltas[-1].cid])
    assert reported.of(deltas[-1]) == delivery.MAX_PEERS


def test_the_links_that_are_remembered_have_a_limit_of_their_own() -> None:
    reported = Reported()
    reported.tracker.applied([OURS], own=True)
    many = [node((), [("/agents/m", b"%d" % n)]) for n in range(1024)]
    wide = [node(many, [("/agents/w", b"%d" % n)], (), 2) for n in range(delivery.MAX_LINKS // 1024 + 8)]
    reported.tracker.applied(wide, own=False)
    reported.tracker.applied(wide[-1:], own=False)  # again: it is counted once
    links = [len(links) for _, links in reported.tracker._links.values()]
    assert sum(links) == reported.tracker._link_count == delivery.MAX_LINKS


def test_the_steps_of_a_broadcast_are_limited_however_many_heads_it_has() -> None:
    reported = Reported()
    reported.tracker.applied([OURS], own=True)
    chain = branch(reported, 5000)
    looked = looked_at(reported)
    reported.tracker.announced("mallory", [each.cid for each in chain[-100:]])
    assert looked.times < 3 * delivery.MAX_STEPS
    looked.times = 0
    reported.tracker.announced("mallory", [each.cid for each in chain[-4096:]])
    assert looked.times < 4 * delivery.MAX_STEPS
    assert not reported.counts


def test_many_heads_that_come_together_are_one_walk_in_which_no_peer_starves_another() -> None:
    reported = Reported()
    reported.tracker.applied([OURS, LATER], own=True)
    chain = branch(reported, 5000)
    tops = [node(chain[-1:], [("/agents/m", b"top%d" % n)], (), 10_000) for n in range(64)]
    for n in range(delivery.MAX_ANNOUNCERS):
        reported.tracker.announced(f"mallory{n}", [each.cid for each in tops])
    reported.tracker.announced("alice", [THEIRS.cid])
    reported.tracker.announced("bob", [OURS.cid])
    looked = looked_at(reported)
    reported.tracker.applied([*tops, THEIRS], own=False)
    assert looked.times < 4 * delivery.MAX_REMEMBERED
    assert (reported.of(OURS), reported.of(LATER)) == (2, 1)
    assert reported.tracker._announcements == 0


def test_each_head_counts_for_its_own_announcers_only() -> None:
    reported = Reported()
    reported.tracker.applied([OURS, LATER], own=True)
    top = node([THEIRS], [("/agents/c", b"5")], (), 4)
    sibling = node([OURS], [("/agents/c", b"6")], (), 2)
    reported.tracker.announced("alice", [top.cid])
    reported.tracker.announced("bob", [THEIRS.cid])
    reported.tracker.announced("carol", [sibling.cid])
    reported.tracker.applied([sibling, top, THEIRS], own=False)
    assert (reported.of(OURS), reported.of(LATER)) == (3, 2)
