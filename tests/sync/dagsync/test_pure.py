"""Requests, walks and archives, without a network."""

import itertools
import random

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import DecodeError
from betar_tui.ipld import car, cid
from betar_tui.ipld.protobuf import read_varint
from betar_tui.p2p.types import LARGE_BLOCK
from betar_tui.replica import decode_node, delta
from betar_tui.replica.node import encode_node
from betar_tui.sync.dagsync import walk as walking
from betar_tui.sync.dagsync.client import _Answer
from betar_tui.sync.dagsync.messages import (
    MAX_BLOCKS,
    MAX_WANTS,
    Request,
    Trailer,
    decode_request,
    decode_trailer,
    encode_request,
    encode_trailer,
)
from betar_tui.sync.dagsync.walk import KEPT_BYTES, Walk, locator
from tests.simulation.lab import Bench

names = st.binary(min_size=32, max_size=32).map(lambda digest: cid.DAG_PB + digest)


def body(framed: bytes) -> bytes:
    size, start = read_varint(framed, 0, len(framed))
    assert len(framed) == start + size
    return framed[start:]


@given(st.lists(names, unique=True, max_size=5), st.lists(names, unique=True, max_size=5), st.integers(0, 50_000))
def test_a_request_comes_back(wants, haves, blocks):
    request = Request(tuple(wants), tuple(haves), max_blocks=blocks)
    assert decode_request(body(encode_request(request))) == request


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.booleans())
def test_a_trailer_comes_back(blocks, size, complete):
    assert decode_trailer(body(encode_trailer(Trailer(blocks, size, complete)))) == Trailer(blocks, size, complete)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_raise_nothing_but_a_decode_error(raw):
    for decode in (decode_request, decode_trailer):
        with pytest.raises(DecodeError):
            decode(raw)


@pytest.mark.parametrize(
    "fields",
    [
        {"v": 2},
        {"wants": "x"},
        {"wants": [b"x"]},
        {"wants": [cbor2.CBORTag(42, cid.of(b"x"))]},
        {"wants": [cbor2.CBORTag(43, b"\x00" + cid.of(b"x"))]},
        {"wants": [car.link(cid.of(b"%d" % n)) for n in range(MAX_WANTS + 1)]},
        {"max_bytes": -1},
        {"max_bytes": True},
        {"max_blocks": "1"},
    ],
)
def test_a_bad_request_is_refused(fields):
    good = {"v": 1, "wants": [], "haves": [], "max_bytes": 1, "max_blocks": 1}
    assert decode_request(cbor2.dumps(good)).max_blocks == 1
    with pytest.raises(DecodeError):
        decode_request(cbor2.dumps({**good, **fields}))


def test_a_request_cannot_raise_the_limits():
    raw = cbor2.dumps({"v": 1, "wants": [], "haves": [], "max_bytes": 1 << 60, "max_blocks": 1 << 60})
    assert decode_request(raw).max_blocks == MAX_BLOCKS


LARGE = 500


def random_dag(
    seed: int, size: int, large: float = 0.0, lies: bool = False
) -> dict[bytes, tuple[bytes, tuple[bytes, ...], int]]:
    """Blocks by CID as (block, links, height), in the order in which they were made. A part of them has `LARGE` bytes or
    more; lying ones have any height."""
    chance = random.Random(seed)
    dag: dict[bytes, tuple[bytes, tuple[bytes, ...], int]] = {}
    for n in range(size):
        links = tuple(chance.sample(list(dag), min(len(dag), chance.choice((0, 1, 1, 1, 2, 3)))))
        height = max((dag[link][2] for link in links), default=0) + 1
        height = chance.randint(1, size) if lies else height
        value = b"v" * (LARGE if chance.random() < large else 1)
        block = encode_node(links, delta.encode([(f"/agents/{n}", value)], [], height))
        dag[cid.of(block)] = (block, links, height)
    return dag


def below(dag, names) -> set[bytes]:
    found: set[bytes] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in found and name in dag:
            found.add(name)
            queue += dag[name][1]
    return found


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0, 1, walking.MAX_LINKS_KEPT]), st.data())
def test_a_walk_sends_what_is_below_the_wants_and_not_below_the_haves(seed, size, links_kept, data):
    sent, dag, wants, haves = walked(random_dag(seed, size), links_kept, data)
    assert set(sent) == below(dag, wants) - below(dag, haves)
    heights = [dag[name][2] for name in sent]
    assert heights == sorted(heights, reverse=True), "newest first"


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0, walking.MAX_LINKS_KEPT]), st.data())
def test_a_walk_sends_large_blocks_when_no_small_one_is_left_without_them(seed, size, links_kept, data):
    sent, dag, wants, haves = walked(random_dag(seed, size, large=0.3), links_kept, data)
    wanted = below(dag, wants) - below(dag, haves)
    lacking = set(wants).difference(haves)
    if lacking and all(len(dag[each][0]) >= LARGE for each in lacking):
        assert set(sent[: len(lacking)]) == lacking, "alone, they come first"
        assert wanted <= set(sent) <= below(dag, wants)
        return
    assert set(sent) == wanted
    allowed = wanted.intersection(wants)
    for name in sent:
        small = [each for each in allowed if len(dag[each][0]) < LARGE]
        highest = max(small or allowed, key=lambda each: dag[each][2])
        assert dag[name][2] == dag[highest][2]
        assert len(dag[name][0]) < LARGE or not small
        allowed.remove(name)
        allowed.update(wanted.intersection(dag[name][1]).difference(sent[: sent.index(name)]))


@given(st.integers(0, 10_000), st.integers(1, 60), st.data())
def test_a_walk_leaves_nothing_out_whatever_the_heights_are(seed, size, data):
    sent, dag, wants, haves = walked(random_dag(seed, size, large=0.3, lies=True), 64, data)
    assert set(sent) >= below(dag, wants) - below(dag, haves)
    assert set(sent) <= below(dag, wants)


def walked(dag, links_kept, data):
    """What a walk over these blocks sends, with the blocks, and the wants and haves that were drawn."""
    some = st.lists(st.sampled_from(list(dag)), max_size=4, unique=True)
    wants, haves = data.draw(some), data.draw(some)

    def lookup(asked):
        return {name: dag[name][0] if name in dag else None for name in asked}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walking, "MAX_LINKS_KEPT", links_kept)
        patch.setattr(walking, "LARGE_BLOCK", LARGE)
        sent = [name for name, block in Walk(wants, haves, lookup, large_last=True).blocks() if dag[name][0] == block]
    assert len(sent) == len(set(sent))
    allowed = set(wants)
    for name in sent:
        assert name in allowed, "a block before the one that links to it"
        allowed.update(dag[name][1])
    return sent, dag, wants, haves


def test_a_walk_looks_no_further_than_the_haves():
    dag = random_dag(3, 1)
    chain = list(dag)
    for n in range(500):
        block = encode_node([chain[-1]], delta.encode([("/agents/a", b"%d" % n)], [], n + 2))
        dag[cid.of(block)] = (block, (chain[-1],), n + 2)
        chain.append(cid.of(block))
    looked = []

    def lookup(asked):
        looked.extend(asked)
        return {name: dag[name][0] for name in asked}

    assert len(list(Walk([chain[-1]], [chain[-4]], lookup).blocks())) == 3
    assert len(looked) < 10


@pytest.mark.parametrize("size", [512 << 10, 60 << 10])
@pytest.mark.parametrize("large_last", [False, True])
def test_a_walk_over_large_blocks_keeps_few_bytes(size, large_last):
    """They are looked up in small numbers, and again when they are sent."""
    count, limit = 300, 4 << 20
    value = bytes(size)
    made = [encode_node([], delta.encode([(f"/agents/{n}", value)], [], count - n)) for n in range(count)]
    blocks = {cid.of(block): block for block in made}
    looked: list[int] = []

    def lookup(asked):
        found = {}
        for name in asked:
            found[name] = blocks.get(name)
            if sum(map(len, found.values())) >= limit:
                break
        looked.append(sum(map(len, found.values())))
        return found

    walk = Walk(list(blocks), [], lookup, large_last=large_last)
    sent, most = [], 0
    for name, _ in walk.blocks():
        sent.append(name)
        kept = sum(map(len, walk._kept.values()))
        assert kept == walk._weight <= KEPT_BYTES
        most = max(most, kept)
    assert sent == list(blocks)
    assert most > KEPT_BYTES - 2 * size or (large_last and size > LARGE_BLOCK and not most)
    assert max(looked) <= limit + size + 100, "what a look-up left out was looked up again"
    assert not walk._kept
    assert sum(looked) < 2.2 * count * size, "each was looked up to be queued, and again to be sent"


def mixed_dag(small: int, large: int) -> tuple[dict[bytes, bytes], bytes]:
    """A chain of small deltas with large ones beside it, which the next of the chain links to as well; and its head."""
    dag: dict[bytes, bytes] = {}

    def add(links, height, value):
        block = encode_node(links, delta.encode([(f"/agents/{len(dag)}", value)], [], height))
        dag[cid.of(block)] = block
        return cid.of(block)

    links, height = [add([], 1, b"v")], 1
    for n in range(1, small):
        height += 1
        if n % (small // large) == 0:
            links.append(add(links[:1], height, bytes(LARGE_BLOCK)))
            height += 1
        links = [add(links, height, b"v")]
    return dag, links[0]


def synced(dag: dict[bytes, bytes], head: bytes, most: int, **how: bool) -> tuple[int, int]:
    """The answers of at most so many blocks that a new replica needs, and the blocks that came more than once."""
    bench, wants, answers, twice = Bench(), [head], 0, 0
    while wants:
        ours = [each for each, _ in sorted(bench.replica.heads.items(), key=lambda known: -known[1])]
        haves = locator(ours, lambda asked: {each: bench.storage.data.get(each) for each in asked}, 256)
        walk = Walk(wants, haves, lambda asked: {each: dag.get(each) for each in asked}, **how)
        nodes = [decode_node(name, block) for name, block in itertools.islice(walk.blocks(), most)]
        new = [node for node in nodes if bench.storage.data.get(node.cid) is None]
        assert new, "an answer without anything new"
        bench.merge(*new)
        answers, twice = answers + 1, twice + len(nodes) - len(new)
        wants = sorted(bench.replica.wants)
    assert len(bench.storage.data) == len(dag)
    return answers, twice


def test_a_sync_of_several_answers_sends_little_twice():
    """Below a large block that comes last is what came before: it is not to be sent again for each of them."""
    dag, head = mixed_dag(1000, 20)
    fewest, _ = synced(dag, head, 200)
    answers, twice = synced(dag, head, 200, large_last=True)
    assert answers <= fewest + 2
    assert twice <= 2 * 200


def test_the_links_of_wide_blocks_are_not_kept_until_their_visit():
    wide = 4000
    made = [
        encode_node(
            [cid.of(b"%d %d" % (n, each)) for each in range(wide)], delta.encode([("/a", b"%d" % n)], [], n + 1)
        )
        for n in range(100)
    ]
    blocks = {cid.of(block): block for block in made}

    def lookup(asked):
        return {name: blocks.get(name) for name in asked}

    answer = Walk(list(blocks), [], lookup)
    sent = []
    for name, _ in answer.blocks():
        sent.append(name)
        assert sum(len(links or ()) for _, _, links in answer._queue) == 0
    assert sent == list(blocks)[::-1]


def test_small_blocks_are_looked_up_once():
    blocks = {name: block for name, (block, _, _) in random_dag(1, 300).items()}
    looked: list[bytes] = []

    def lookup(asked):
        looked.extend(asked)
        return {name: blocks[name] for name in asked}

    assert len(list(Walk(list(blocks), [], lookup).blocks())) == 300
    assert len(looked) == 300


def test_a_locator_has_the_heads_and_ever_farther_blocks():
    chain: list[bytes] = []
    blocks = {}
    for n in range(100):
        block = encode_node(chain[-1:], delta.encode([("/agents/a", b"%d" % n)], [], n + 1))
        chain.append(cid.of(block))
        blocks[chain[-1]] = block

    def lookup(asked):
        return {name: blocks.get(name) for name in asked}

    other = cid.of(b"another head")
    names = locator([chain[-1], other], lookup, 50)
    assert names == (chain[-1], other, *(chain[-1 - d] for d in (1, 2, 4, 8, 16, 32, 64)))
    assert locator([chain[-1]], lookup, 3) == (chain[-1], chain[-2], chain[-3])
    assert locator([], lookup, 3) == ()


def test_unknown_wants_and_files_are_skipped():
    file = b"\x12\x02\x08\x01"
    assert (
        list(
            Walk(
                [cid.of(b"unknown"), cid.of(file)],
                [],
                lambda asked: {name: file if name == cid.of(file) else None for name in asked},
            )
        )
        == []
    )


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_an_archive_cut_anywhere_reads_the_same(blocks, cuts):
    raw = car.encode_header([cid.of(b) for b in blocks]) + b"".join(car.encode_section(cid.of(b), b) for b in blocks)
    reader = car.CarReader()
    found = []
    pos = turn = 0
    raw += car.END + b"rest"
    while pos < len(raw):
        step = cuts[turn % len(cuts)]
        found += reader.feed(raw[pos : pos + step])
        pos, turn = pos + step, turn + 1
    assert [section.data for section in found] == blocks
    assert reader.roots == tuple(cid.of(b) for b in blocks)
    assert reader.ended
    assert reader.rest == b"rest"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x05hello",
        b"\xff\xff\xff\x7f",
        car.encode_header([])[:1] + b"\xa0" * 30,
        car.encode_header([]) + b"\x25" + b"\x01\x71\x12\x20" + b"x" * 33,
        car.encode_header([]) + b"\x05" + cid.DAG_PB + b"x",
        car.encode_header([]) + b"\xff\xff\xff\xff\x0f",
        car.encode_header([]) + b"\xff" * 11,
    ],
)
def test_other_archives_are_refused(raw):
    with pytest.raises(DecodeError):
        list(car.CarReader().feed(raw))


def test_a_block_that_is_not_a_delta_is_skipped_with_all_below_it_and_a_false_one_is_not():
    leaf = encode_node([], b"\x12\x02{}")
    root = encode_node([cid.of(leaf)], b"\x12\x02{}")
    linking = encode_node([cid.of(root)], delta.encode([("/agents/a", b"v")], [], 7))
    answer = _Answer(Request((cid.of(linking),), ()))
    answer.feed(car.encode_header([]))
    piece = answer.feed(b"".join(car.encode_section(cid.of(each), each) for each in (linking, root, leaf)))
    assert [node.data for node in piece.nodes] == [linking]
    assert [other.data for other in piece.others] == [root, leaf]
    end = answer.feed(car.END + encode_trailer(Trailer(3, 0, True)))
    assert end.trailer == Trailer(3, 0, True)
    for name, block in ((cid.of(leaf), leaf), (cid.of(root), leaf)):
        answer = _Answer(Request((cid.of(root),), ()))
        answer.feed(car.encode_header([]))
        with pytest.raises(DecodeError):
            answer.feed(car.encode_section(name, block))
