"""Attacks on what a seller says: copies without its signature, and removals in its name."""

from __future__ import annotations

import json

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid
from betar_tui.replica import decode_broadcast, decode_node, delta, keys
from betar_tui.replica.node import encode_node
from tests.attack.attacker import Attacker

EACH = 3.0
"""Seconds between two pulls: a Go peer makes one with each new connection."""


async def info_pull(attacker: Attacker) -> None:
    """What a Go peer's `info` pull does: put all listings of the seller again, unsigned, at a greater height."""
    versions = Versions(attacker)
    while attacker.left > 0:
        versions.listen()
        puts = []
        for known in attacker.known:
            fields = json.loads(known.raw)
            fields.pop("signature", None)
            puts.append((keys.of_agent(known.id), json.dumps(fields, separators=(",", ":")).encode()))
        made = encode_node((), delta.encode(puts, (), versions.height + 1))
        await attacker.announce(made, inline=False)
        versions.height += 1
        await attacker.rest(EACH)
    versions.report()


async def tombstones(attacker: Attacker) -> None:
    """Each second remove every version of the seller's listings that was heard of."""
    versions = Versions(attacker)
    while attacker.left > 0:
        versions.listen()
        named = [(key, block) for key, blocks in versions.of.items() for block in sorted(blocks)]
        await attacker.announce(encode_node((), delta.encode((), named, versions.height + 1)), inline=False)
        versions.height += 1
        await attacker.rest(1)
    versions.report()


class Versions:
    """The blocks in which the seller put each of its known listings, learned from its broadcasts."""

    def __init__(self, attacker: Attacker) -> None:
        self._attacker, self._read = attacker, 0
        self.of = {keys.of_agent(known.id): {cid.from_str(known.cid)} for known in attacker.known}
        self.height = max((known.height for known in attacker.known), default=0)

    def listen(self) -> None:
        """Take in what the seller has said since."""
        heard = self._attacker.heard
        for payload in heard[self._read :]:
            for head in decode_broadcast(payload):
                if head.block is not None:
                    self._take(head.cid, head.block)
        self._read = len(heard)

    def _take(self, target: bytes, block: bytes) -> None:
        try:
            node = decode_node(target, block)
        except DecodeError:
            return
        self.height = max(self.height, node.delta.priority)
        for element in node.delta.elements:
            if element.key in self.of:
                self.of[element.key].add(target)

    def report(self) -> None:
        """Say how often the seller put a listing again."""
        self.listen()
        again = max(len(blocks) - 1 for blocks in self.of.values())
        self._attacker.remarks.append(f"healed={again}")
