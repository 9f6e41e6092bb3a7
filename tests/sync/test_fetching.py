"""Which blocks are requested from which peer, over a network that only notes its calls."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from betar_tui.sync import fetching as module
from betar_tui.sync.dagsync.client import Piece
from betar_tui.sync.dagsync.messages import MAX_WANTS, Trailer
from betar_tui.sync.fetching import MAX_BITSWAP, MAX_OVERDUE, MAX_REFUSED, Fetcher
from betar_tui.sync.link_shares import MAX_LINKS
from betar_tui.sync.not_deltas import MAX_NODES
from betar_tui.sync.writer import MergeOutcome

A, B, C = (bytes([n]) * 36 for n in range(3))


class Network:
    """Peers that speak Bitswap alone."""

    def __init__(self) -> None:
        self.wanted: list[tuple[list[bytes], str | None]] = []
        self.cancelled: list[set[bytes]] = []

    def want(self, cids: list[bytes], ask: str | None = None) -> None:
        self.wanted.append((cids, ask))

    def cancel(self, cids: set[bytes]) -> None:
        self.cancelled.append(set(cids))

    def supports(self, peer: str, protocol: str) -> bool:
        return False

    def connections(self) -> list[object]:
        return []

    def open_stream(self, peer: str, protocol: str) -> None:
        raise AssertionError("no peer speaks dagsync")


class Wanting:
    """A replica that only wants blocks."""

    heads: Mapping[bytes, int] = {}

    def __init__(self, wants: AbstractSet[bytes]) -> None:
        self.wants = wants

    @property
    def wanted(self) -> int:
        return len(self.wants)

    def is_wanted(self, name: bytes) -> bool:
        return name in self.wants


def fetcher(*linked: bytes) -> tuple[Fetcher, Network]:
    """A fetcher over a replica that wants these."""
    network = Network()
    writer = SimpleNamespace(replica=Wanting(set(linked)))
    return Fetcher(network, writer, dict.fromkeys), network  # type: ignore[arg-type]


async def test_a_block_that_came_twice_is_wanted_no_more() -> None:
    fetching, network = fetcher()
    fetching.want([A, B, C], "alice")
    assert network.wanted == [([A, B, C], "alice")]
    fetching.arrived([A, A, B])
    assert network.cancelled == [{A, B}]
    assert fetching.pending == 1
    assert fetching.asked(C)


async def test_while_a_sync_is_paused_only_announced_heads_are_requested() -> None:
    fetching, network = fetcher(A)
    fetching.want([A], "alice")
    fetching.pause(True)
    assert network.cancelled == [{A}]
    fetching.want([B], "alice")
    fetching.want([C], "alice", announced=True)
    assert network.wanted[1:] == [([C], "alice")]
    fetching.pause(False)
    assert network.wanted[2:] == [([A], None)]


async def test_when_too_much_is_wanted_the_oldest_give_way() -> None:
    fetching, network = fetcher()
    names = [b"%036d" % n for n in range(MAX_BITSWAP)]
    fetching.want(names, "alice", announced=True)
    fetching.want([A, B], "alice", announced=True)
    assert network.cancelled == [set(names[:2])]
    assert fetching.pending == MAX_BITSWAP


async def test_a_block_that_is_not_a_delta_is_wanted_no_more_whatever_links_to_it() -> None:
    fetching, network = fetcher(A, B)
    fetching.want([A, B], "alice")
    fetching.refuse([A])
    assert network.cancelled == [{A}]
    assert fetching.pending == 1
    fetching.want([A, C], "bob")
    fetching.pause(True)
    fetching.pause(False)
    assert [names for names, _ in network.wanted[1:]] == [[C], [B]]
    fetching.refuse([b"%036d" % n for n in range(MAX_REFUSED)])
    fetching.want([A], "bob")
    assert network.wanted[-1] == ([A], "bob"), "the number of remembered ones is limited"


async def test_a_file_is_wanted_again_only_for_a_delta_that_links_to_it() -> None:
    fetching, network = fetcher(A)
    fetching.want([A, B], "alice", announced=True)
    fetching.pass_over({A: (), B: ()})
    assert (fetching.is_refused(A), fetching.is_refused(B)) == (True, True)
    assert network.cancelled == [{A, B}]
    fetching.want([A], "bob")
    assert network.wanted[-1] == ([A], "bob")
    assert fetching.pending == 1
    fetching.pass_over({b"%036d" % n: () for n in range(MAX_NODES)})
    assert not fetching.is_refused(B), "the number of remembered ones is limited"


class DagSyncNetwork(Network):
    """Peers that speak dagsync, too."""

    def supports(self, peer: str, protocol: str) -> bool:
        return True

    def connections(self) -> list[object]:
        return [SimpleNamespace(peer_id=peer) for peer in ("junk", "honest")]


class Answers:
    """A client whose peers answer with `answer(peer, wants, serial)`: CIDs with their links, and whether that is all;
    None is an answer that does not end."""

    def __init__(
        self,
        answer: Callable[[str, list[bytes], int], tuple[dict[bytes, tuple[bytes, ...]], bool] | None],
        cut: bool = False,
    ):
        self._answer, self._cut = answer, cut
        self.asked: list[tuple[str, list[bytes]]] = []

    async def fetch(self, peer: str, wants: list[bytes], haves: object) -> AsyncGenerator[Piece, None]:
        self.asked.append((peer, list(wants)))
        said = self._answer(peer, wants, len(self.asked))
        if said is None:
            await trio.sleep_forever()
            return
        nodes = tuple(SimpleNamespace(cid=name, links=links, data=b"x") for name, links in said[0].items())
        yield Piece(nodes, None)  # type: ignore[arg-type]
        yield Piece((), Trailer(len(nodes), 0, said[1]), cut=self._cut)


@asynccontextmanager
async def running(answers: Answers, *linked: bytes) -> AsyncGenerator[tuple[Fetcher, DagSyncNetwork, set[bytes]], None]:
    """A running fetcher, its network, and the wants of its replica."""
    wants = set(linked)

    async def merge_nodes(nodes: list[SimpleNamespace], peer: str) -> MergeOutcome:
        await trio.lowlevel.checkpoint()
        for node in nodes:
            wants.discard(node.cid)
            wants.update(node.links)
        return MergeOutcome((), {}, len(nodes))

    network = DagSyncNetwork()
    writer = SimpleNamespace(replica=Wanting(wants), merge_nodes=merge_nodes)
    fetching = Fetcher(network, writer, dict.fromkeys)  # type: ignore[arg-type]
    fetching._client = answers  # type: ignore[assignment]
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fetching.run)
            yield fetching, network, wants
            nursery.cancel_scope.cancel()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of one block may be cut short."""
    monkeypatch.setattr(module, "MIN_BLOCKS", 1)


async def test_a_peer_that_truncates_every_answer_takes_turns_with_the_others(short: None) -> None:
    """Its invented history is endless, and each answer is valid."""
    came = trio.Event()

    def answer(peer: str, wants: list[bytes], serial: int) -> tuple[dict[bytes, tuple[bytes, ...]], bool] | None:
        if peer == "junk":
            if serial == 1:  # announced meanwhile, and wanted by the rotation first
                replica.add(A)
                fetching.want([A], "")
                fetching.want([A], "honest")
            return ({b"junk%d" % serial: (b"junk%d" % (serial + 1),)}, False) if serial < 20 else None
        if A not in wants:
            return {}, True
        came.set()
        return {A: ()}, True

    answers = Answers(answer)
    async with running(answers, b"junk1") as (fetching, _, replica):
        fetching.want([b"junk1"], "junk")
        await came.wait()
    assert [peer for peer, _ in answers.asked[:2]] == ["junk", "honest"]


async def test_a_folder_that_comes_by_dagsync_is_handed_on_with_what_stands_for_it() -> None:
    """Its announcement stands for what it links to."""
    came: list[tuple[bytes, str, str]] = []
    done = trio.Event()

    def passed_over(found: Collection[tuple[bytes, str, str]]) -> None:
        came.extend(found)
        fetching.want(fetching.below([A]), "honest", announced=True)
        done.set()

    async with running(Answers(lambda *_: ({A: ()}, True))) as (fetching, _, _):

        async def leave_out(nodes: list[SimpleNamespace], peer: str) -> MergeOutcome:
            await trio.lowlevel.checkpoint()
            return MergeOutcome((), {}, 0, {node.cid: (B, C) for node in nodes})

        fetching._writer.merge_nodes = leave_out  # type: ignore[method-assign,assignment]
        fetching.passed_over = passed_over
        fetching.refuse([C])
        fetching.want([A], "honest", announced=True)
        await done.wait()
        assert came[:1] == [(A, "honest", "")]
        assert (fetching.is_refused(A), fetching.asked(B), fetching.asked(C)) == (True, True, False)


async def test_among_peers_that_truncate_answers_the_one_asked_longest_ago_is_next(short: None) -> None:
    def answer(peer: str, wants: list[bytes], serial: int) -> tuple[dict[bytes, tuple[bytes, ...]], bool] | None:
        if serial == 9:
            done.set()
            return None
        mine = next(name for name in wants if name.startswith(peer.encode()))
        return {mine: (mine + b"x",)}, False

    done = trio.Event()
    answers = Answers(answer)
    async with running(answers, b"a", b"b", b"c") as (fetching, _, _):
        for name in "abc":
            fetching.want([name.encode()], name)
        await done.wait()
    assert "".join(peer for peer, _ in answers.asked) == "abcabcabc"


async def test_blocks_that_nobody_has_leave_room_in_the_requests(short: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is cut, so that it does not tell what its peer lacks."""
    monkeypatch.setattr(module, "MAX_WANTS", 2)

    def answer(peer: str, wants: list[bytes], serial: int) -> tuple[dict[bytes, tuple[bytes, ...]], bool] | None:
        if serial == 3:
            done.set()
            return None
        return {b"%d" % serial: ()}, False

    done = trio.Event()
    answers = Answers(answer)
    async with running(answers) as (fetching, _, _):
        fetching.want([b"x1", b"x2", b"x3", A], "peer")
        await done.wait()
    assert [wants for _, wants in answers.asked[:3]] == [[b"x1", b"x2"], [b"x3", A], [b"x1", b"x2"]]


async def test_blocks_behind_an_endless_answer_are_requested_over_bitswap() -> None:
    """First blocks that other peers announced; a limited number at a time; none twice."""
    many = [b"%036d" % n for n in range(MAX_OVERDUE)]
    async with running(Answers(lambda peer, wants, serial: None), A) as (fetching, network, _):
        fetching.want([A], "junk")
        while not fetching.source:
            await trio.lowlevel.checkpoint()
        fetching.want(many, "")
        fetching.want([B, C], "honest")
        fetching._want_overdue()
        assert network.wanted == [], "it has not waited yet"
        fetching._want_overdue()
        assert network.wanted[0] == ([B, C], "honest")
        assert sum(len(names) for names, _ in network.wanted) == MAX_OVERDUE
        fetching._want_overdue()
        fetching._want_overdue()
        asked = [name for names, _ in network.wanted for name in names]
        assert sorted(asked) == sorted([A, B, C, *many])
        assert fetching.pending == len(asked)
        fetching.arrived([B])
        assert network.cancelled == [{B}]
        assert not fetching.asked(B)


async def test_blocks_that_a_dagsync_did_not_bring_are_requested_once_over_bitswap() -> None:
    ended = trio.Event()

    class Late(Answers):
        async def fetch(self, peer: str, wants: list[bytes], haves: object) -> AsyncGenerator[Piece, None]:
            await ended.wait()
            self.asked.append((peer, list(wants)))
            yield Piece((), Trailer(0, 0, True))

    async with running(Late(lambda peer, wants, serial: None)) as (fetching, network, _):
        fetching.want([A], "junk")
        while not fetching.source:
            await trio.lowlevel.checkpoint()
        for _ in range(2):
            fetching._want_overdue()
        fetching.want([B], "junk")
        ended.set()
        while fetching._dagsync_wants:
            await trio.lowlevel.checkpoint()
    assert network.wanted == [([A], "junk"), ([B], None)]


async def test_a_peer_that_truncates_short_answers_is_not_asked_again_soon() -> None:
    """Each answer would cost us a request of many times its size."""

    def answer(peer: str, wants: list[bytes], serial: int) -> tuple[dict[bytes, tuple[bytes, ...]], bool]:
        if peer == "honest":
            done.set()
            return {}, True
        return {b"junk%d" % serial: (b"junk%d" % (serial + 1),)}, False

    done = trio.Event()
    answers = Answers(answer)
    async with running(answers, b"junk1") as (fetching, _, _):
        fetching.want([b"junk1"], "junk")
        await done.wait()
        assert list(fetching._backed_off) == ["junk"]
    assert [peer for peer, _ in answers.asked] == ["junk", "honest"]


async def test_blocks_that_a_peer_was_not_asked_for_are_not_known_missing() -> None:
    """More is wanted than fits a request, and a block is announced while the answer comes."""
    invented = [b"%036d" % n for n in range(2 * MAX_WANTS)]

    def answer(peer: str, wants: list[bytes], serial: int) -> tuple[dict[bytes, tuple[bytes, ...]], bool]:
        assert len(wants) <= MAX_WANTS
        if serial == 1:
            fetching.want([B], "honest")
        if B in wants:
            done.set()
        return {name: () for name in wants if name in (A, B)}, True

    done = trio.Event()
    answers = Answers(answer)
    async with running(answers, A, B, *invented) as (fetching, _, wants):
        fetching.want(invented, "")
        fetching.want([A], "honest")
        await done.wait()
        while wants & {A, B}:
            await trio.lowlevel.checkpoint()
    assert answers.asked[0][0] == "honest"
    assert answers.asked[0][1][0] == A, "the block that the peer announced comes first"


async def test_an_announced_block_is_not_the_one_that_does_not_fit() -> None:
    invented = [b"%036d" % n for n in range(MAX_BITSWAP + 1)]
    async with running(Answers(lambda peer, wants, serial: ({}, True)), A, *invented) as (fetching, network, _):
        fetching.want(invented, "")
        fetching.want([A], "honest")
        while not any(A in names for names, _ in network.wanted):
            await trio.lowlevel.checkpoint()
        assert fetching.asked(A)


async def test_a_want_that_bitswap_has_lost_is_asked_for_again(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """A metadata file that shares it may have been given up."""
    fetching, network = fetcher(A)
    fetching.want([A], "alice")
    nursery.start_soon(fetching.run_rotation)
    await trio.sleep(module.ROTATION * 2.5)
    assert network.wanted[1:] == [([A], None)] * 3
    nursery.cancel_scope.cancel()


async def test_a_block_announced_again_during_an_answer_is_requested_again() -> None:
    """The peer did not have it before, and has it now."""

    def answer(peer: str, wants: list[bytes], serial: int) -> tuple[dict[bytes, tuple[bytes, ...]], bool]:
        if serial == 1 or peer == "junk":
            return {}, True  # it lacks A
        if B in wants:
            fetching.want([A], "honest")
            return {B: ()}, True
        done.set()
        return {A: ()}, True

    done = trio.Event()
    answers = Answers(answer)
    async with running(answers) as (fetching, network, _):
        fetching.want([A], "honest")
        while not fetching._known_missing.get("honest"):
            await trio.lowlevel.checkpoint()
        fetching.arrived([A])
        fetching.want([B], "honest")
        await done.wait()
    assert answers.asked[-1] == ("honest", [A])


async def test_of_what_one_peer_links_to_few_blocks_are_requested_at_a_time() -> None:
    links = [b"%036d" % n for n in range(MAX_LINKS + 5)]
    fetching, network = fetcher(*links[:-1])
    fetching.want(links, "mallory")
    fetching.want([A], "alice")
    assert network.wanted == [(links[:MAX_LINKS], "mallory"), ([A], "alice")]
    fetching.arrived(links[:MAX_LINKS])
    assert network.wanted[2:] == [(links[MAX_LINKS:-1], "mallory")], "without one that nothing waits for any more"


async def test_what_nothing_waits_for_any_more_is_dropped_and_heads_and_wants_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A peer whose blocks link to thousands that nobody has: the replica lays those blocks aside."""
    monkeypatch.setattr(module, "MAX_DAGSYNC", 4)
    fetching, network = fetcher(A)
    monkeypatch.setattr(network, "supports", lambda peer, protocol: True)
    fetching.is_announced = lambda cid: cid == B
    aside = [b"%036d" % n for n in range(20)]
    fetching.want([A, B, *aside[:2]], "junk")
    assert all(map(fetching.asked, [A, B, *aside[:2]])), "up to the limit all wait, since their block may be merged yet"
    fetching.want([C, *aside[2:]], "junk")
    assert [cid for cid in (A, B, C, *aside) if fetching.asked(cid)] == [A, B]
    fetching._writer.replica.wants.add(C)  # type: ignore[attr-defined]
    fetching.want([C], "junk")
    assert fetching.asked(C), "the block that links to it was merged"


async def test_a_peer_whose_answer_is_read_in_part_is_asked_for_the_rest() -> None:
    """It has too many links, of which somebody else may be the author."""
    done = trio.Event()

    def answer(peer: str, wants: list[bytes], serial: int) -> tuple[dict[bytes, tuple[bytes, ...]], bool] | None:
        if serial == 3:
            done.set()
            return None
        return {wants[0]: (wants[0] + b"x",)}, False

    answers = Answers(answer, cut=True)
    async with running(answers, A) as (fetching, _, _):
        fetching.want([A], "honest")
        await done.wait()
    assert [wants for _, wants in answers.asked] == [[A], [A + b"x"], [A + b"xx"]]
    assert answers.asked[0][0] == "honest"
