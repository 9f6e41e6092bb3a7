"""How many single broadcasts a second a market stands: a crowd of 300 sellers behind one neighbour of a peer, seen at
another peer that this one relays to.

The rate is stepped up for as long as 99 % of the listings are there within half a second of their time. Beside the delay
is what the relaying peer computes for each of them, in processor time, which hardly depends on what else the machine
does. With BETAR_BENCH_BASELINE=<another checkout> that one is measured at the same rates in the same run, and two Go
peers where Go is installed. Everything is a process of its own, on loopback; on two cores, the sender and the second
peer share them with the first.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import time

import trio

from tests.bench.common import number, processor_seconds
from tests.bench.crowd import Offer, offers, open_crowd
from tests.interop.driver import GoPeer, go_available, join, open_gopeer
from tests.peers.harness import Served, eventually, served

RATES = tuple(
    map(int, os.environ.get("BETAR_BENCH_RATES", "100,200,300,400,500,600,700,900,1100,1250,1500").split(","))
)
GO_RATES = (25, 50, *RATES)
"""Go reads no blocks in broadcasts: it fetches each, which takes it several milliseconds."""
SECONDS = number("CAPACITY_SECONDS", 60)
WARM_UP, WARM_UP_RATE = 100, 25
"""Number of listings before the measured ones, and their rate: the gossip mesh takes a heartbeat."""
LIMIT = 500.0
"""Maximum milliseconds from a listing's time to its being seen, for 99 % of them, at a rate that holds."""
LATEST = 20.0
"""Seconds after the last listing for which the others are waited for."""
TRIES = number("TRIES", 2)
"""How often a rate is tried: the machine may have had other things to do."""
MORE, LESS = 2.5, 0.5
"""The bars: by what the highest rate that holds, and the processor time for each, are to be multiplied."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one rate: delays and processor time of each listing in milliseconds, and listings that never came."""

    rate: int
    p50: float
    p99: float
    processor: float
    lost: int

    @property
    def holds(self) -> bool:
        return self.p99 <= LIMIT


class Relay(ABC):
    """Two peers on the topic: one that the crowd speaks to, and one that hears it from there.

    `address` and `pid` are the first one's; `seen` is when each listing was seen at the second one, in Unix seconds."""

    address: str
    pid: int

    @abstractmethod
    def seen(self) -> Mapping[str, float]:
        """By mark or by key."""


class OurRelay(Relay):
    """Two `betar-tui --serve`. The second one's events are only looked through for marks, which costs little."""

    def __init__(self, first: Served, word: str) -> None:
        self.address, self.pid = first.address, first.process.pid
        self._marks = re.compile(rf"{word}-\d+-".encode())
        self._seen: dict[str, float] = {}

    def seen(self) -> Mapping[str, float]:
        return self._seen

    async def watch(self, control: Path) -> None:
        """Note the marks in the lines that a control socket sends."""
        stream = await trio.open_unix_socket(str(control))
        await stream.send_all(b'{"jsonrpc":"2.0","id":1,"method":"events"}\n')
        rest = b""
        async with stream:
            async for data in stream:
                now = time()
                *lines, rest = (rest + data).split(b"\n")
                for mark in self._marks.findall(b"\n".join(lines)):
                    self._seen.setdefault(mark.decode(), now)


class GoRelay(Relay):
    """Two Go peers. They name the keys that they have put, with the time."""

    def __init__(self, first: GoPeer, second: GoPeer) -> None:
        self.address, self.pid = first.address, first.pid
        self._second, self._looked_at = second, 0
        self._seen: dict[str, float] = {}

    def seen(self) -> Mapping[str, float]:
        for event in self._second.event_log[self._looked_at :]:
            if event.name == "put":
                self._seen.setdefault(event.key, event.at_ns / 1e9)
        self._looked_at = len(self._second.event_log)
        return self._seen


@asynccontextmanager
async def our_relay(word: str, checkout: Path | None) -> AsyncIterator[Relay]:
    """Two peers of this checkout, or of another."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            served(Path(folder) / "a", checkout=checkout) as first,
            served(Path(folder) / "b", "--bootstrap", first.address, checkout=checkout) as second,
            trio.open_nursery() as nursery,
        ):
            relay = OurRelay(first, word)
            nursery.start_soon(relay.watch, second.control)
            yield relay
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def go_relay() -> AsyncIterator[Relay]:
    """Two Go peers."""
    async with trio.open_nursery() as nursery, open_gopeer(nursery) as first, open_gopeer(nursery) as second:
        await join(first, second)
        yield GoRelay(first, second)


async def measure(who: str, rate: int) -> Measured:
    """One rate, with peers that know nothing yet. `who` is "ours", "Go", or the path of another checkout."""
    word = f"cap{os.urandom(3).hex()}"
    source = offers(word)
    some = list(islice(source, WARM_UP + rate * SECONDS))
    checkout = None if who == "ours" else Path(who)
    async with go_relay() if who == "Go" else our_relay(word, checkout) as relay, open_crowd(relay.address) as crowd:
        crowd.keep(some)
        await crowd.say_all(some[:WARM_UP], WARM_UP_RATE)
        await _all_seen(relay, WARM_UP)
        before = processor_seconds(relay.pid)
        due = await crowd.say_all(some[WARM_UP:], rate)
        await _all_seen(relay, len(some))
        took = processor_seconds(relay.pid) - before
        seen = relay.seen()
        delays = [(_when(seen, offer) - due[offer.mark]) * 1000 for offer in some[WARM_UP:]]
    p50, p99 = (sorted(delays)[math.ceil(len(delays) * part) - 1] for part in (0.5, 0.99))
    return Measured(rate, p50, p99, took / len(delays) * 1000, delays.count(math.inf))


def _when(seen: Mapping[str, float], offer: Offer) -> float:
    return seen.get(offer.mark) or seen.get(offer.key) or math.inf


async def _all_seen(relay: Relay, count: int) -> None:
    with trio.move_on_after(LATEST):
        await eventually(lambda: len(relay.seen()) >= count, within=math.inf)


def highest(done: list[Measured]) -> float:
    """The highest rate that held, 0 if none did."""
    return max((each.rate for each in done if each.holds), default=0)


def step(who: str, rate: int) -> Measured:
    """Measure a rate, again if it does not hold, and print it."""
    for _ in range(TRIES):
        found = trio.run(measure, who, rate)
        delays = f"p50 {found.p50:.0f} ms, p99 {found.p99:.0f} ms"
        lost = f", {found.lost} never seen" if found.lost else ""
        print(f"{who}, {rate}/s: {delays}, {found.processor:.2f} ms of processor time each{lost}", flush=True)
        if found.holds:
            break
    return found


def main() -> None:
    baseline = os.environ.get("BETAR_BENCH_BASELINE")
    results: dict[str, list[Measured]] = {"ours": []}
    results.update({baseline: []} if baseline else {})
    results.update({"Go": []} if go_available() else {})
    for rate in sorted({*RATES, *GO_RATES}):
        for who, done in results.items():
            # A higher rate than one that does not hold tells nothing.
            if rate in (GO_RATES if who == "Go" else RATES) and all(each.holds for each in done):
                done.append(step(who, rate))
    for who, done in results.items():
        print(f"{who}: the highest rate that holds (p99 at most {LIMIT:.0f} ms) is {highest(done):.0f}/s")
    if baseline:
        compare(results["ours"], results[baseline])


def compare(ours: list[Measured], before: list[Measured]) -> None:
    """Print how many times as much ours stands, and the processor time at the highest rate that both held."""
    if (rate := highest(before)) > 0:
        more = highest(ours) / rate
        print(f"  ours / baseline = {more:.3g}  (bar ≥ {MORE:g}: {'met' if more >= MORE else 'MISSED'})")
        both = [(one, other) for one, other in zip(ours, before, strict=False) if one.holds and other.holds]
        less = both[-1][0].processor / both[-1][1].processor if both else math.nan
        met = "met" if less <= LESS else "MISSED"
        print(f"  processor time each at {rate:.0f}/s, ours / baseline = {less:.3g}  (bar ≤ {LESS:g}: {met})")
