"""Attacks by single deltas of 2 MiB that are dear to decode, to merge or to show."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator

from betar_tui.ipld import cid
from betar_tui.ipld.cid import MAX_BLOCK
from betar_tui.ipld.protobuf import write_bytes, write_varint
from betar_tui.p2p.frames import frame
from betar_tui.replica import keys
from betar_tui.replica.node import MAX_LINKS, encode_node
from tests.attack.attacker import Attacker

IDENTIFY_PUSH = "/ipfs/id/push/1.0.0"
FULL = MAX_BLOCK - 200
"""Bytes of elements that fit into a block."""


def element(key: bytes, value: bytes = b"v") -> bytes:
    """A field with an element."""
    return write_bytes(1, write_bytes(1, key) + write_bytes(3, value))


def block(fields: bytes, links: Iterable[bytes] = (), height: int = 1) -> bytes:
    """A node around a delta of these fields."""
    return encode_node(links, fields + b"\x18" + write_varint(height))


def filled(fields: Iterable[bytes], size: int = FULL) -> bytes:
    """As many of the fields as fit."""
    out = bytearray()
    for each in fields:
        if len(out) + len(each) > size:
            break
        out += each
    return bytes(out)


def listing(number: int, **more: object) -> tuple[bytes, bytes]:
    """The key and the value of an unsigned listing that no other process makes."""
    name = f"spam/{os.getpid():x}-{number:x}"
    value = {"id": name, "name": f"Cheap {number}", "price": 0.01, "seller_id": "spam", "timestamp": 1, **more}
    return keys.of_agent(name).encode(), json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


async def many_keys(attacker: Attacker) -> None:
    """Each second a delta of some 100,000 short keys."""
    numbers = itertools.count(os.getpid() * 10**7)
    await _each_second(
        attacker, (filled(element(b"/agents/%x" % next(numbers)) for _ in range(10**6)) for _ in numbers)
    )


async def empty_elements(attacker: Attacker) -> None:
    """Each second a delta of a million empty elements."""
    empty = filled(itertools.repeat(b"\x0a\x00"), FULL - 100)
    await _each_second(attacker, (empty + element(b"/x%d" % number) for number in itertools.count()))


async def nested_groups(attacker: Attacker) -> None:
    """Each second a delta of nested protobuf groups."""
    groups = (b"\x2b" * 10_000 + b"\x2c" * 10_000) * 100
    await _each_second(attacker, (groups + element(b"/x%d" % number) for number in itertools.count()))


async def long_keys(attacker: Attacker) -> None:
    """Each second a delta with one key that is cleaned a hundred thousand times."""
    path = b"/../" * ((FULL - 200) // 4)
    await _each_second(attacker, (element(b"/agents/%d" % number + path) for number in itertools.count()))


async def shared_parents(attacker: Attacker) -> None:
    """200 deltas that wait for the same 4,096 absent ones, which then come one by one."""
    leaves = [block(b"", height=number + 1) for number in range(MAX_LINKS)]
    links = [cid.of(each) for each in leaves]
    for number in range(200):
        await attacker.announce(block(element(b"/p/%d" % number), links, MAX_LINKS + 2), inline=False)
        if number % 20 == 19:
            await attacker.rest(0.2)
    for leaf in leaves:
        if attacker.left <= 0:
            break
        await attacker.announce(leaf, inline=True)
        await attacker.rest(0.02)


async def hangul(attacker: Attacker) -> None:
    """Each second a listing named with 21,000 letters of Hangul of which none makes a syllable with the next."""
    await _listings(attacker, lambda number: {"name": f"{number}" + "\u1100" * 21_000})


async def combining(attacker: Attacker) -> None:
    """Each second a listing whose name is one letter under 30,000 marks in the wrong order."""
    await _listings(attacker, lambda number: {"name": f"{number}a" + "\u0301\u0316" * 15_000})


async def multiaddrs(attacker: Attacker) -> None:
    """Each second identify pushes with 64 addresses of 512 bytes, and a listing with 64 KiB of them."""
    number = itertools.count()
    addresses = [b"\x04\x7f\x00\x00\x01" + b"\x06\x0f\xa1" * 168 for _ in range(64)]
    push = frame(b"".join(write_bytes(2, each) for each in addresses))
    while attacker.left > 0:
        for _ in range(20):
            stream = await attacker.networks[0].open_stream(attacker.victim, IDENTIFY_PUSH)
            await stream.write(push)
            await stream.close()
            attacker.count(len(push))
        key, value = listing(next(number), addrs=["/ip4/127.0.0.1" + "/tcp/4001" * 6000])
        await attacker.announce(block(element(key, value)), inline=False)
        await attacker.rest(0.5)


async def _each_second(attacker: Attacker, deltas: Iterator[bytes]) -> None:
    while attacker.left > 0:
        await attacker.announce(block(next(deltas)), inline=False)
        await attacker.rest(1)


async def _listings(attacker: Attacker, more: Callable[[int], dict[str, object]]) -> None:
    for number in itertools.count():
        if attacker.left <= 0:
            return
        await attacker.announce(block(element(*listing(number, **more(number)))), inline=False)
        await attacker.rest(1)
