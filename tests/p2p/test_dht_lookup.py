"""Lookups in a simulated network, honest and hostile, and the tables of a server."""

import random
from collections.abc import Iterable
from hashlib import sha256

import base58
import pytest

from betar_tui.p2p.addresses import MAX_ADDRS_PER_PEER
from betar_tui.p2p.dht.allowances import (
    BURST,
    COMMON_BURST,
    COMMON_RATE,
    MAX_PEERS,
    MAX_WAIT,
    RATE,
    Allowances,
)
from betar_tui.p2p.dht.client import LOCAL, LOOPBACK, PUBLIC, scope, usable
from betar_tui.p2p.dht.lookup import (
    ALPHA,
    MAX_CANDIDATES,
    MAX_QUERIES,
    K,
    Lookup,
    peer_position,
    position,
)
from betar_tui.p2p.dht.merging import MAX_FOUND, MAX_PER_ANSWER, merged
from betar_tui.p2p.dht.messages import DhtMessage, DhtPeer, Kind, binary_addresses, binary_id
from betar_tui.p2p.dht.providers import (
    MAX_ADDRS_PER_RECORD,
    MAX_PER_KEY,
    MAX_PER_PEER,
    MAX_RECORDS,
    VALIDITY,
    ProviderRecords,
)
from betar_tui.p2p.dht.routing_table import BUCKETS, STALE, RoutingTable
from betar_tui.p2p.dht.server import DhtServer, binary_scope

KEY = b"the key"


def peer(number: int) -> str:
    return base58.b58encode(b"\x12\x20" + sha256(b"%d" % number).digest()).decode()


PEERS = [peer(number) for number in range(300)]
OWN = peer(-1)
BY_DISTANCE = sorted(PEERS, key=lambda each: peer_position(each) ^ position(KEY))
ADDR = binary_addresses(["/ip4/10.0.0.1/tcp/1"])


def tables() -> dict[str, RoutingTable]:
    """A network in which everybody has heard of everybody once."""
    made = {each: RoutingTable(each) for each in PEERS}
    for each in PEERS:
        for other in random.Random(each).sample(PEERS, 60):
            made[each].add(other, ADDR, 0.0)
    return made


def run(lookup: Lookup, answers: dict[str, list[str]] | None, network: dict[str, RoutingTable]) -> int:
    """Answer until the lookup is done. Returns the number of questions; a peer with answers of its own gives those."""
    asked = 0
    while not lookup.done:
        batch = []
        while (following := lookup.next()) is not None:
            batch.append(following[0])
        assert len(batch) <= ALPHA
        asked += len(batch)
        for each in batch:
            if answers is not None and each in answers:
                lookup.answered(each, [(other, ()) for other in answers[each]])
            elif each in network:
                lookup.answered(each, [(found.peer, ()) for found in network[each].closest(position(KEY))])
            else:
                lookup.failed(each)
    return asked


def seeds(peers: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    return [(each, ()) for each in peers]


@pytest.fixture(scope="module")
def network() -> dict[str, RoutingTable]:
    return tables()


def test_a_lookup_finds_the_nearest_peers(network: dict[str, RoutingTable]) -> None:
    for start in PEERS[:5]:
        lookup = Lookup(KEY, OWN, seeds([start]))
        assert run(lookup, None, network) <= MAX_QUERIES
        assert set(BY_DISTANCE[:15]) <= set(lookup.closest())


def test_peers_that_do_not_answer_are_passed_over(network: dict[str, RoutingTable]) -> None:
    gone = set(BY_DISTANCE[::3])
    rest = {each: table for each, table in network.items() if each not in gone}
    lookup = Lookup(KEY, OWN, seeds(PEERS[:3]))
    run(lookup, None, rest)
    alive = [each for each in BY_DISTANCE if each not in gone]
    assert set(alive[:10]) <= set(lookup.closest())
    assert not gone & set(lookup.closest())


def test_a_liar_costs_a_bounded_number_of_questions(network: dict[str, RoutingTable]) -> None:
    near = sorted((peer(number) for number in range(10_000, 11_000)), key=lambda e: peer_position(e) ^ position(KEY))
    near.reverse()  # each names those that are a little nearer
    lies = {each: near[index : index + 500] for index, each in enumerate([PEERS[0], *near])}
    lookup = Lookup(KEY, OWN, seeds([PEERS[0]]))
    assert run(lookup, lies, network) == MAX_QUERIES
    lookup = Lookup(KEY, OWN, seeds([PEERS[0]]))
    assert run(lookup, {PEERS[0]: near}, network) == 1 + K  # what one answer names


def test_no_peer_is_asked_twice_and_the_own_one_never(network: dict[str, RoutingTable]) -> None:
    everybody = {each: [OWN, *PEERS[:5]] for each in PEERS}
    lookup = Lookup(KEY, OWN, seeds([OWN, PEERS[0], PEERS[0]]))
    assert run(lookup, everybody, network) == 5
    lookup.answered(PEERS[0], seeds([PEERS[9]]))  # one that nobody asked for changes nothing that is waited for
    assert lookup.asked == 5


def test_a_lookup_without_seeds_is_done() -> None:
    lookup = Lookup(KEY, OWN, [])
    assert lookup.done
    assert lookup.next() is None
    assert lookup.closest() == ()


def test_the_candidates_are_bounded() -> None:
    lookup = Lookup(KEY, OWN, seeds(PEERS))
    assert len(lookup._candidates) == MAX_CANDIDATES
    assert lookup.next() == (BY_DISTANCE[0], ())


# The routing table


def test_a_bucket_keeps_its_old_peers() -> None:
    table = RoutingTable(OWN)
    for each in PEERS:
        table.add(each, ADDR, 0.0)
    before = {each for each in PEERS if each in table}
    assert len(table) == len(before) <= K * BUCKETS
    crowd = [peer(number) for number in range(20_000, 21_000)]
    taken = [each for each in crowd if table.add(each, ADDR, STALE / 2)]
    assert before <= {each for each in PEERS if each in table}
    assert len(table) <= K * BUCKETS
    assert len(taken) < K * BUCKETS - len(before)
    assert table.add(peer(30_000), ADDR, 2 * STALE)  # the silent ones give way


def test_a_table_takes_no_peer_without_address_and_not_its_own() -> None:
    table = RoutingTable(OWN)
    assert not table.add(OWN, ADDR, 0.0)
    assert not table.add(PEERS[0], (), 0.0)
    assert table.add(PEERS[0], ADDR, 0.0)
    assert table.add(PEERS[0], (), 1.0)  # has answered again
    assert table.closest(0) == [DhtPeer(PEERS[0], ADDR)]
    assert table.closest(0, without=PEERS[0]) == []
    table.remove(PEERS[0])
    assert PEERS[0] not in table
    assert len(table) == 0


# The allowances of a server


def answered(allowances: Allowances, peers: Iterable[str], now: float) -> list[float]:
    """The waits of those requests that are not refused."""
    return [wait for each in peers if (wait := allowances.take(each, now)) is not None]


def test_a_peer_has_one_allowance_and_so_have_all_together() -> None:
    allowances = Allowances()
    waits = answered(allowances, [PEERS[0]] * 1000, 0.0)
    assert waits.count(0.0) == BURST
    assert len(waits) == BURST + RATE * MAX_WAIT
    assert max(waits) <= MAX_WAIT
    waits = answered(allowances, PEERS[1:] * 9, 0.0)  # ids are free to make
    assert len(waits) == COMMON_BURST + COMMON_RATE * MAX_WAIT - BURST - RATE * MAX_WAIT
    assert answered(allowances, [PEERS[0]], 1000.0) == [0.0]


def test_the_allowances_are_bounded_and_nobody_gains_by_that() -> None:
    allowances = Allowances()
    answered(allowances, [PEERS[0]] * 1000, 0.0)
    for second in range(15):  # until the first has all of it again
        answered(allowances, map(str, range(second * 1000, second * 1000 + 1000)), float(second))
    assert PEERS[0] in allowances._peers
    for second in range(100, 200):
        answered(allowances, map(str, range(second * 1000, second * 1000 + 1000)), float(second))
    assert len(allowances._peers) == MAX_PEERS


# The records of a server


def test_records_expire_and_are_renewed() -> None:
    records = ProviderRecords(KEY)
    for key in (KEY, b"other"):
        assert records.add(key, DhtPeer(PEERS[0], ADDR * 20), 0.0)
        assert records.add(key, DhtPeer(PEERS[1], ADDR), 10.0)
        assert records.add(key, DhtPeer(PEERS[0], ADDR * 20), 20.0)
        assert [each.peer for each in records.get(key, 30.0)] == [PEERS[0], PEERS[1]]
        assert len(records.get(key, 30.0)[0].addrs) == MAX_ADDRS_PER_RECORD
        assert [each.peer for each in records.get(key, 15.0 + VALIDITY)] == [PEERS[0]]
    assert not records.add(KEY, DhtPeer(PEERS[2]), 0.0)
    records.expire(VALIDITY + 100)
    assert len(records) == 0
    assert records._per_peer == {}
    assert set(records._keys) == {KEY}


def test_records_are_bounded_and_those_of_the_market_have_their_own_places() -> None:
    records = ProviderRecords(KEY)
    records.add(KEY, DhtPeer(OWN, ADDR), 0.0)
    accepted = [records.add(b"%d" % number, DhtPeer(PEERS[0], ADDR), 0.0) for number in range(MAX_PER_PEER + 1)]
    assert accepted == [True] * MAX_PER_PEER + [False]
    for number in range(MAX_PER_KEY + 10):
        records.add(b"full", DhtPeer(PEERS[number], ADDR), 0.0)
    assert len(records.get(b"full", 1.0)) == MAX_PER_KEY
    for number in range(MAX_RECORDS + 500):
        records.add(b"key %d" % number, DhtPeer(PEERS[number % 300], ADDR), 0.0)
    assert len(records) == MAX_RECORDS + 1
    assert records.get(KEY, 1.0) == [DhtPeer(OWN, ADDR)]
    assert records.get(b"full", 1.0) == []  # the oldest gave way


# What several servers say


def test_a_liar_that_answers_first_hides_nothing() -> None:
    lies = {each: [f"/ip4/6.6.6.{number}/tcp/1" for number in range(100)] for each in PEERS[:255]}
    honest = {PEERS[0]: ["/ip4/9.9.9.9/tcp/1"], PEERS[-1]: ["/ip4/9.9.9.8/tcp/1"]}
    found = merged([lies, honest])
    assert found[PEERS[0]] == ("/ip4/6.6.6.0/tcp/1", "/ip4/9.9.9.9/tcp/1", *lies[PEERS[0]][1:MAX_PER_ANSWER])
    assert found[PEERS[-1]] == ("/ip4/9.9.9.8/tcp/1",)
    assert merged([lies, honest, honest])[PEERS[0]][0] == "/ip4/9.9.9.9/tcp/1"


def test_what_is_found_is_bounded() -> None:
    answers = [
        {each: [f"/ip4/6.6.{server}.{number}/tcp/1" for number in range(16)] for each in PEERS} for server in range(64)
    ]
    answers.append({PEERS[0]: ["/ip4/9.9.9.9/tcp/1"]})
    answers.append({PEERS[0]: ["/ip4/9.9.9.9/tcp/1"]})
    found = merged(answers)
    assert len(found) == MAX_FOUND
    assert {len(addrs) for addrs in found.values()} == {MAX_ADDRS_PER_PEER}
    assert "/ip4/9.9.9.9/tcp/1" in found[PEERS[0]]  # named by two


# Addresses in answers


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/ip4/127.0.0.1/tcp/1", LOOPBACK),
        ("/ip6/::1/tcp/1", LOOPBACK),
        ("/ip6/::ffff:127.0.0.1/tcp/1", LOOPBACK),
        ("/ip4/10.1.2.3/tcp/1", LOCAL),
        ("/ip4/169.254.1.1/tcp/1", LOCAL),
        ("/ip4/100.64.0.1/tcp/1", LOCAL),
        ("/ip6/fd00::1/tcp/1", LOCAL),
        ("/ip6/::ffff:192.168.1.1/tcp/1", LOCAL),
        ("/ip4/8.8.8.8/tcp/1", PUBLIC),
        ("/ip6/2606:4700::1/tcp/1", PUBLIC),
        ("/dns4/example.org/tcp/1", PUBLIC),
        ("nonsense", PUBLIC),
    ],
)
def test_scope(address: str, expected: int) -> None:
    assert scope(address) == expected


def test_a_public_server_cannot_name_addresses_of_our_networks() -> None:
    named = DhtPeer(
        OWN, binary_addresses(["/ip4/127.0.0.1/tcp/22", "/ip4/192.168.1.1/tcp/80", "/ip4/8.8.8.8/tcp/4001"])
    )
    assert usable(named, PUBLIC) == ("/ip4/8.8.8.8/tcp/4001",)
    assert usable(named, LOCAL) == ("/ip4/192.168.1.1/tcp/80", "/ip4/8.8.8.8/tcp/4001")
    assert len(usable(named, LOOPBACK)) == 3
    assert len(usable(named, LOOPBACK, 2)) == 2


LO, LAN, NET = "/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.7/tcp/1", "/ip4/8.8.8.8/tcp/1"


@pytest.mark.parametrize(
    ("asker", "expected"), [(NET, [NET]), ("", [NET]), (LAN, [LAN, NET]), ("/ip4/127.0.0.1/tcp/9", [LO, LAN, NET])]
)
def test_a_server_tells_an_asker_what_it_can_reach(asker: str, expected: list[str]) -> None:
    table, records = RoutingTable(OWN), ProviderRecords(KEY)
    addrs = binary_addresses([LO, LAN, NET])
    table.add(PEERS[0], addrs, 0.0)
    records.add(KEY, DhtPeer(PEERS[1], addrs), 0.0)
    for near in BY_DISTANCE[: 2 * K]:  # which have nothing for the internet
        table.add(near, binary_addresses([LO]), 0.0)
        records.add(KEY, DhtPeer(near, binary_addresses([LO])), 0.0)
    own = DhtPeer(OWN, addrs)
    server = DhtServer(table, records, lambda: own, lambda peer: filter(None, [asker]), lambda: 1.0)

    def named(peers: Iterable[DhtPeer]) -> dict[str, tuple[bytes, ...]]:
        return {each.peer: each.addrs for each in peers}

    answer = server.answer(PEERS[-1], DhtMessage(Kind.GET_PROVIDERS, KEY))
    assert answer is not None
    known = binary_addresses(expected)
    assert named(answer.providers)[PEERS[1]] == known
    if LO not in expected:
        assert named(answer.closer) == {PEERS[0]: known}
        assert named(answer.providers) == {PEERS[1]: known}
    answer = server.answer(PEERS[-1], DhtMessage(Kind.FIND_NODE, binary_id(OWN)))
    assert answer is not None
    assert answer.closer[0] == DhtPeer(OWN, known)
    assert len(answer.closer) <= 1 + K
    # What the asker says of itself is held to the same.
    server.answer(PEERS[2], DhtMessage(Kind.ADD_PROVIDER, b"other", providers=[DhtPeer(PEERS[2], addrs)]))
    assert records.get(b"other", 1.0) == [DhtPeer(PEERS[2], known)]


def test_the_scope_of_any_transport() -> None:
    quic = b"\x91\x02\x0f\xa1\xcd\x03"
    assert binary_scope(b"\x04\x7f\x00\x00\x01" + quic) == LOOPBACK
    assert binary_scope(b"\x29\xfd" + bytes(15) + quic) == LOCAL
    assert binary_scope(b"\x04\x08\x08\x08\x08" + quic) == PUBLIC
    assert binary_scope(b"\x04\x7f") == PUBLIC  # nobody can read it
