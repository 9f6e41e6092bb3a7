"""mDNS without a network: what messages mean, what they cost, and when they are sent."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import DNSIncoming, DNSOutgoing, DNSPointer, DNSQuestion, DNSText

from betar_tui.errors import DecodeError
from betar_tui.p2p.discovery import mdns_messages
from betar_tui.p2p.discovery.mdns_exchange import (
    ALONE_PAUSE,
    LINK_TOKENS,
    LONGEST_PAUSE,
    MAX_KNOWN,
    REPEAT,
    SOURCE_TOKENS,
    Exchange,
    Sighting,
)
from betar_tui.p2p.discovery.mdns_messages import LIBP2P, MARKET, announced, answer, decode, peer_in, question

ALICE = "12D3KooWRkZhiRhsqmrQ28rt73K7V3aCBpqKrLGSXmZ99PTcTZby"
BOB = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"
AT_ALICE = (f"/ip4/10.1.0.1/tcp/4001/p2p/{ALICE}", f"/ip4/127.0.0.1/tcp/4001/p2p/{ALICE}")
AT_BOB = (f"/ip4/10.1.0.2/tcp/4001/p2p/{BOB}",)

GO_PEER = "12D3KooWP7Gda8B2NRTf48exnvk5EyCu9mY3PsDjrX4gwoBaxSJA"
GO_NAME = "nwsxrmqx0imz8igzmjsoqivhl0nzcqd9m35a"
GO_ANSWER = bytes.fromhex(
    """
    78de840000000001000000030a62657461722d6d646e73056c6f63616c00000c000100000c800027246e777378726d717830696d7a386967
    7a6d6a736f716976686c306e7a637164396d333561c00cc0280021000100000c800032000000000fa1246e777378726d717830696d7a3869
    677a6d6a736f716976686c306e7a637164396d333561056c6f63616c00c0280010000100000c80017458646e73616464723d2f6970342f31
    32372e302e302e312f7463702f343130312f7032702f313244334b6f6f5750374764613842324e525466343865786e766b3545794375396d
    59335073446a72583467776f426178534a4158646e73616464723d2f6970342f31302e39312e372e322f7463702f343130312f7032702f31
    3244334b6f6f5750374764613842324e525466343865786e766b3545794375396d59335073446a72583467776f426178534a4160646e7361
    6464723d2f6970342f3132372e302e302e312f7564702f343130312f717569632d76312f7032702f313244334b6f6f575037476461384232
    4e525466343865786e766b3545794375396d59335073446a72583467776f426178534a4160646e73616464723d2f6970342f31302e39312e
    372e322f7564702f343130312f717569632d76312f7032702f313244334b6f6f5750374764613842324e525466343865786e766b35457943
    75396d59335073446a72583467776f426178534a41c061000100010000007800047f000001
    """
)
"""A captured answer of a Go betar: its peer listens for TCP and QUIC, on loopback and on 10.91.7.2."""


def strings(*texts: str | bytes) -> bytes:
    """A TXT record."""
    raw = [each.encode() if isinstance(each, str) else each for each in texts]
    return b"".join(bytes([len(each)]) + each for each in raw)


def dnsaddrs(*addrs: str) -> bytes:
    return strings(*(f"dnsaddr={each}" for each in addrs))


def test_an_answer_of_a_go_betar_is_read() -> None:
    (record,) = decode(GO_ANSWER).records
    assert (record.service, record.name, record.gone) == (MARKET, f"{GO_NAME}.{MARKET}", False)
    address = f"/ip4/10.91.7.2/tcp/4101/p2p/{GO_PEER}"
    assert peer_in(record.text, same_machine=False) == (GO_PEER, (address,))
    assert peer_in(record.text, same_machine=True) == (GO_PEER, (address, f"/ip4/127.0.0.1/tcp/4101/p2p/{GO_PEER}"))


def test_a_question_asks_for_both_services_the_one_of_libp2p_first() -> None:
    asked = DNSIncoming(question()).questions
    assert [each.name for each in asked] == [LIBP2P, MARKET]
    assert decode(question()).asked == (LIBP2P, MARKET)
    assert decode(bytes.fromhex("78de000000010000000000000a62657461722d6d646e73056c6f63616c00000c0001")).asked == (
        MARKET,
    )


def test_an_answer_has_all_that_go_libp2p_insists_on_in_one_packet() -> None:
    many = tuple(f"/ip6/2001:db8:1111:2222:3333:4444:5555:{n:x}/tcp/65535/p2p/{ALICE}" for n in range(0x8000, 0x8020))
    message = answer(MARKET, "x" * 40, announced(many))
    assert len(message) <= 1460
    records: dict[int, Any] = {each.type: each for each in DNSIncoming(message).answers()}
    assert {12, 16, 33, 28} == set(records)
    assert records[33].server == records[28].name == "x" * 40 + ".local."
    assert records[12].alias == records[16].name == records[33].name == "x" * 40 + "." + MARKET
    (record,) = decode(message).records
    assert peer_in(record.text, False) == (ALICE, many[:8])


def test_a_goodbye_takes_the_instance_back() -> None:
    message = answer(MARKET, "name", AT_ALICE, goodbye=True)
    assert {each.ttl for each in DNSIncoming(message).answers()} == {0}
    assert decode(message).records[0].gone


@pytest.mark.parametrize(
    "text",
    [
        b"",
        strings("something=else"),
        strings(f"/ip4/10.1.0.2/tcp/4001/p2p/{BOB}"),
        dnsaddrs("/ip4/10.1.0.2/tcp/4001"),
        dnsaddrs("/ip4/10.1.0.2/tcp/4001/p2p/nobody"),
        dnsaddrs(AT_BOB[0], AT_ALICE[0]),
        dnsaddrs(f"/ip4/10.1.0.2/udp/4001/quic-v1/p2p/{BOB}"),
        dnsaddrs(f"/ip4/10.1.0.2/tcp/4001/ws/p2p/{BOB}"),
        dnsaddrs(f"/ip4/10.1.0.2/tcp/0/p2p/{BOB}"),
        dnsaddrs(f"/ip4/10.1.0.2/tcp/4001/p2p/{ALICE}/p2p-circuit/p2p/{BOB}"),
        dnsaddrs(f"/dns4/example.com/tcp/4001/p2p/{BOB}", f"/dnsaddr/example.com/p2p/{BOB}"),
        dnsaddrs(f"/ip4/127.0.0.1/tcp/4001/p2p/{BOB}", f"/ip6/::1/tcp/4001/p2p/{BOB}"),
        dnsaddrs(f"/ip6/::ffff:127.0.0.1/tcp/4001/p2p/{BOB}", f"/ip6/::ffff:0.0.0.0/tcp/4001/p2p/{BOB}"),
        dnsaddrs(f"/ip4/224.0.0.1/tcp/4001/p2p/{BOB}", f"/ip4/0.0.0.0/tcp/4001/p2p/{BOB}"),
        dnsaddrs(f"/ip6/fe80::1/tcp/4001/p2p/{BOB}"),
        strings(b"dnsaddr=\xff\xfe/ip4"),
        b"\xffdnsaddr=",
    ],
)
def test_a_record_without_one_peer_at_an_address_for_tcp_names_nobody(text: bytes) -> None:
    assert peer_in(text, same_machine=False) is None


def test_a_peer_has_a_limited_number_of_addresses() -> None:
    addrs = [f"/ip4/10.1.{n}.2/tcp/4001/p2p/{BOB}" for n in range(100)]
    peer, found = peer_in(dnsaddrs(*addrs), False) or ("", ())
    assert peer == BOB
    assert len(found) == mdns_messages.MAX_ADDRS


@given(st.binary(max_size=600))
def test_no_text_raises(text: bytes) -> None:
    peer_in(text, same_machine=True)


@given(st.binary(max_size=600), st.integers(0, 40), st.integers(0, 3))
def test_no_message_raises_anything_but_a_decode_error(tail: bytes, keep: int, kind: int) -> None:
    head = (GO_ANSWER, question(), answer(MARKET, "name", AT_ALICE), b"")[kind]
    exchange = Exchange(AT_ALICE, 0.0)
    with contextlib.suppress(DecodeError):
        exchange.received(head[: len(head) - keep] + tail, "10.1.0.9", False, 0.0)


@pytest.mark.parametrize(
    "counts", [(17, 0, 0, 0), (0, 65, 0, 0), (0, 0, 65, 0), (0, 30, 5, 30), (65535, 65535, 65535, 65535)]
)
def test_a_message_with_too_many_parts_is_refused_before_it_is_read(counts: tuple[int, ...]) -> None:
    with pytest.raises(DecodeError, match="questions"):
        decode(struct.pack(">HHHHHH", 0, 0x8400, *counts) + bytes(2000))
    with pytest.raises(DecodeError, match="bytes"):
        decode(answer(MARKET, "name", AT_ALICE).ljust(5000, b"\0"))


def test_few_instances_of_one_message_are_read() -> None:
    out = DNSOutgoing(0x8400)
    out.add_answer_at_time(DNSText("printer._ipp._tcp.local.", 16, 1, 100, dnsaddrs(*AT_BOB)), 0)
    for number in range(10):
        out.add_answer_at_time(DNSText(f"n{number}.{MARKET}", 16, 1, 100, dnsaddrs(*AT_BOB)), 0)
    assert [each.name for each in decode(out.packets()[0]).records] == [f"n{number}.{MARKET}" for number in range(4)]


def test_the_records_of_one_instance_are_taken_together() -> None:
    out = DNSOutgoing(0x8400)
    addrs = [f"/ip4/10.1.{n}.2/tcp/4001/p2p/{BOB}" for n in range(3)]
    for each in addrs:  # as js-libp2p writes them
        out.add_answer_at_time(DNSText(f"name.{LIBP2P}", 16, 1, 120, dnsaddrs(each)), 0)
    (record,) = decode(out.packets()[0]).records
    assert peer_in(record.text, False) == (BOB, tuple(addrs))


# When to ask and to answer


def exchange(now: float = 0.0, addrs: tuple[str, ...] = AT_ALICE) -> Exchange:
    return Exchange(addrs, now, jitter=lambda: 0.5)


def run(one: Exchange, until: float, alone: bool = False) -> list[tuple[float, bytes]]:
    """The messages that go out by then, with their times."""
    sent = []
    while (now := max(0.0, one.due(alone))) <= until:
        sent += [(now, message) for message in one.messages(alone, now)]
    return sent


def asked_at(sent: Iterable[tuple[float, bytes]]) -> list[float]:
    return [at for at, message in sent if message == question()]


def answered(sent: Iterable[tuple[float, bytes]], service: str) -> list[float]:
    return [at for at, message in sent if (records := decode(message).records) and records[0].service == service]


def test_it_asks_at_once_then_more_and_more_rarely_and_announces_itself_twice() -> None:
    sent = run(exchange(), 200.0)
    assert asked_at(sent) == [0.0, 4.0, 12.0, 28.0, 60.0, 124.0, 190.0]
    assert answered(sent, MARKET) == answered(sent, LIBP2P) == [0.0, 1.0]


def test_alone_it_asks_more_often() -> None:
    pauses = asked_at(run(exchange(), 300.0, alone=True))
    assert max(later - sooner for sooner, later in zip(pauses, pauses[1:], strict=False)) == ALONE_PAUSE
    one = exchange()
    run(one, 150.0)
    assert one.due(alone=False) > 170 > one.due(alone=True)


def test_it_asks_more_rarely_in_a_crowd() -> None:
    one = exchange()
    for number in range(40):
        one.received(answer(MARKET, f"n{number}", at(number)), f"10.1.0.{number}", False, 0.0)
    asked = asked_at(run(one, 1000.0))
    assert asked[-1] - asked[-2] == LONGEST_PAUSE * 1.1 * 5


def test_once_settled_it_does_not_ask_what_somebody_else_has_just_asked() -> None:
    one = exchange()
    run(one, 60.0)
    asked = []
    for at in range(60, 660, 30):
        one.received(question(), "10.1.0.2", False, at)
        asked += asked_at(run(one, at))
    assert asked == [316.0, 580.0]  # of its own from time to time, lest a sender that nobody else hears keeps it quiet


def test_before_it_has_settled_it_asks_whatever_others_ask() -> None:
    one = exchange()
    asked = []
    for at in range(61):
        one.received(question(), "10.1.0.2", False, at)
        asked += asked_at(run(one, at))
    assert asked == [0.0, 4.0, 12.0, 28.0, 60.0]


def test_a_question_is_answered_soon_and_not_more_than_once_a_second() -> None:
    one = exchange()
    run(one, 50.0)
    for number in range(100):
        one.received(question(), "10.1.0.2", False, 50.0 + number / 50)
        if number == 0:
            assert 50.0 < one.due(False) <= 50.1
    sent = run(one, 55.0)
    assert len(answered(sent, MARKET)) == len(answered(sent, LIBP2P)) <= 3


def test_what_the_asker_knows_is_not_answered() -> None:
    one = exchange()
    sent = run(one, 10.0)
    name = next(record.name for _, message in sent for record in decode(message).records).partition(".")[0]
    out = DNSOutgoing(0)
    out.add_question(DNSQuestion(LIBP2P, 12, 1))
    out.add_answer_at_time(DNSPointer(LIBP2P, 12, 1, 3000, f"{name}.{LIBP2P}"), 0)
    one.received(out.packets()[0], "10.1.0.2", False, 10.0)
    assert not answered(run(one, 12.0), LIBP2P)
    one.received(question(), "10.1.0.2", False, 12.0)
    assert answered(run(one, 13.0), LIBP2P)


def test_a_peer_without_an_address_on_the_link_asks_and_announces_nothing() -> None:
    one = exchange(addrs=(f"/ip4/127.0.0.1/tcp/4001/p2p/{ALICE}",))
    one.received(question(), "10.1.0.2", False, 0.0)
    sent = run(one, 50.0)
    assert len(asked_at(sent)) == len(sent) == 4
    assert one.goodbye() == []


# Whom to believe


def at(number: int) -> tuple[str, ...]:
    return (f"/ip4/10.1.{number // 250}.{number % 250 + 1}/tcp/4001/p2p/{BOB}",)


def test_a_peer_is_reported_when_it_comes_when_it_moves_and_from_time_to_time() -> None:
    one = exchange()
    message = answer(MARKET, "bob", AT_BOB)
    assert one.received(message, "10.1.0.2", False, 0.0) == [Sighting(BOB, AT_BOB, True)]
    assert one.received(message, "10.1.0.2", False, 1.0) == []
    assert one.received(message, "10.1.0.2", False, REPEAT) == [Sighting(BOB, AT_BOB, False)]
    assert one.received(answer(MARKET, "bob", at(7)), "10.1.0.8", False, 21.0) == [Sighting(BOB, at(7), True)]
    assert one.received(answer(MARKET, "bob", at(7), goodbye=True), "10.1.0.8", False, 22.0) == []
    assert one.received(answer(MARKET, "bob", at(7)), "10.1.0.8", False, 23.0) == [Sighting(BOB, at(7), True)]


def test_a_peer_that_is_heard_from_an_address_of_which_its_record_does_not_know_has_moved() -> None:
    """As a Go peer whose machine got another address: it does not write its record again."""
    one = exchange()
    message = answer(MARKET, "bob", AT_BOB)
    moved = (f"/ip4/10.1.0.77/tcp/4001/p2p/{BOB}", *AT_BOB)
    assert one.received(message, "10.1.0.2", False, 0.0) == [Sighting(BOB, AT_BOB, True)]
    assert one.received(message, "10.1.0.77", False, 1.0) == [Sighting(BOB, moved, True)]
    assert one.received(message, "10.1.0.2", False, 2.0) == []
    assert one.received(message, "10.1.0.77", False, 3.0) == []
    assert one.received(message, "fe80::1", False, 4.0) == one.received(message, "fd01::1", False, 4.0) == []
    assert one.received(message, "10.1.0.77", False, 1.0 + REPEAT) == [Sighting(BOB, moved, False)]


def test_it_does_not_see_itself() -> None:
    one = exchange()
    for _, message in run(one, 5.0):
        assert one.received(message, "10.1.0.1", True, 5.0) == []


def test_another_instance_of_this_peer_is_reported_since_it_may_be_a_copy() -> None:
    one = exchange()
    elsewhere = (AT_ALICE[0].replace("10.1.0.1", "10.1.0.9"),)
    assert one.received(answer(MARKET, "another-name", elsewhere), "10.1.0.9", False, 5.0) == [
        Sighting(ALICE, elsewhere, True)
    ]


@pytest.mark.parametrize("senders", [1, 10_000])
def test_ten_thousand_invented_peers_cause_few_dials_and_fill_nothing(senders: int) -> None:
    one = exchange()
    dials = 0
    for number in range(10_000):
        now = number / 100
        source = f"10.{number % senders // 250}.0.{number % senders % 250}"
        dials += len(one.received(answer(MARKET, f"n{number}", at(number)), source, False, now))
    assert dials <= (SOURCE_TOKENS + 50 if senders == 1 else LINK_TOKENS + 100) + 1
    assert len(one._known) <= MAX_KNOWN
    # One that is honest is found all the same, when the flood is from one sender.
    if senders == 1:
        assert one.received(answer(MARKET, "bob", AT_BOB), "10.1.0.2", False, 100.0)
