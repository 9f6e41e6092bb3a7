"""Who holds what we wrote, told from what peers announce."""

from betar_tui.p2p import witnesses
from betar_tui.p2p.witnesses import Witnesses
from betar_tui.replica import Node
from tests.simulation.lab import node


class Told:
    """A `Witnesses` with what it told."""

    def __init__(self) -> None:
        self.counts: dict[tuple[bytes, tuple[str, ...]], int] = {}
        self.witnesses = Witnesses(self._take)

    def _take(self, name: bytes, keys: tuple[str, ...], count: int) -> None:
        self.counts[name, keys] = count

    def of(self, delta: Node) -> int:
        return next((count for (name, _), count in self.counts.items() if name == delta.cid), 0)


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
    deltas = [node((), [("/agents/a", b"%d" % n)]) for n in range(witnesses.MAX_WATCHED + 1)]
    told.witnesses.applied(deltas, ours=True)
    told.witnesses.announced("alice", [deltas[0].cid])  # no longer watched
    told.witnesses.announced("alice", [deltas[-1].cid])
    assert [name for name, _ in told.counts] == [deltas[-1].cid]
    for n in range(witnesses.MAX_CLAIMS * 2):
        told.witnesses.announced("mallory", [b"%036d" % n])
    assert len(told.witnesses._claims) == witnesses.MAX_CLAIMS
