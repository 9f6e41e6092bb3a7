"""What is measured at the honest peers while somebody attacks one of them."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import Change, ListingDraft, Missed, Notice, Provenance
from tests.peers.harness import Served

PUBLISH_EVERY, CALL_EVERY, LOOK_EVERY = 0.5, 0.05, 0.25
"""Seconds between two publishes, two calls on the control socket, and two looks at memory and listings."""
PATIENCE = 20.0
"""Seconds for one call."""
RETRY = 0.2
"""Seconds until a stream of events that has ended is opened again."""
_ENDED = (BetarError, trio.TooSlowError, OSError)


def resident(pid: int) -> float:
    """MB of memory that a process has (Linux); 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def stored(directory: Path) -> int:
    """Bytes of a data directory's database."""
    return sum(each.stat().st_size for each in directory.glob("replica.db*"))


@dataclass(frozen=True, slots=True)
class Hold:
    """One task held the event loop: until when, in monotonic seconds, and how long by the clock and by the processor."""

    at: float
    clock: float
    processor: float
    task: str


def holds(path: Path, since: float) -> list[Hold]:
    """What `tests.attack.watched` has written down since a time, the longest first."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = [Hold(*json.loads(line)) for line in lines if line.endswith("]")]
    return sorted((each for each in found if since <= each.at), key=lambda each: -each.processor)


@dataclass(slots=True)
class Probes:
    """Publishes at one peer, waits for them at the other, calls both, and weighs them.

    `latencies` has seconds by the id of each publish that arrived, `lost` the ids of those that failed or have not
    arrived. `calls` are seconds that calls took. `peaks` are the greatest megabytes by peer since `forget`. `hidden`
    counts the looks at which a listing of `watched` was not shown verified at either peer, `looks` all of them."""

    attacked: Served
    other: Served
    watched: tuple[str, ...] = ()
    latencies: dict[str, float] = field(default_factory=dict)
    calls: list[float] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    looks: int = 0
    hidden: int = 0
    _waiting: dict[str, float] = field(default_factory=dict)
    _published: int = 0

    @property
    def lost(self) -> tuple[str, ...]:
        return tuple(self._waiting)

    def waits(self) -> list[float]:
        """Seconds that each publish took, and that those have waited so far that have not arrived."""
        now = time.monotonic()
        return [*self.latencies.values(), *(now - began for began in self._waiting.values())]

    def forget(self) -> None:
        """Begin to measure: what was measured before does not count."""
        for each in (self.latencies, self.calls, self.peaks, self.notices, self.failures, self._waiting):
            each.clear()
        self.looks = self.hidden = 0

    def start(self, nursery: trio.Nursery) -> None:
        """Run all probes in a nursery."""
        nursery.start_soon(self._listen)
        nursery.start_soon(self._notice)
        nursery.start_soon(self._steadily, nursery, self._publish, PUBLISH_EVERY, 48)
        nursery.start_soon(self._steadily, nursery, self._call, CALL_EVERY, 4)
        nursery.start_soon(self._steadily, nursery, self._look, LOOK_EVERY, 1)

    async def settle(self, seconds: float) -> None:
        """Wait until every publish has arrived, at most so long."""
        with trio.move_on_after(seconds):
            while self._waiting:  # noqa: ASYNC110  # nothing signals it
                await trio.sleep(0.05)
        for each, began in tuple(self._waiting.items()):  # an event may have been missed
            with suppress(*_ENDED), trio.fail_after(PATIENCE):
                await self.other.market.show(each)
                self.latencies[each] = time.monotonic() - began
                self._waiting.pop(each, None)

    async def _listen(self) -> None:
        while True:
            try:
                async with self.other.market.events() as events:
                    async for event in events:
                        if isinstance(event, Change) and (began := self._waiting.pop(event.id, None)) is not None:
                            self.latencies[event.id] = time.monotonic() - began
                        elif isinstance(event, Missed):  # then it reads again, as an interface does
                            await self._look_for_waiting()
            except _ENDED as error:
                self.failures.append(f"events: {error!r}")
            await trio.sleep(RETRY)

    async def _look_for_waiting(self) -> None:
        for listing in await self.other.market.find(list(self._waiting)):
            if (began := self._waiting.pop(listing.id, None)) is not None:
                self.latencies[listing.id] = time.monotonic() - began

    async def _notice(self) -> None:
        while True:
            try:
                async with self.attacked.market.events() as events:
                    async for event in events:
                        if isinstance(event, Notice):
                            self.notices.append(event.text)
            except _ENDED as error:
                self.failures.append(f"events: {error!r}")
            await trio.sleep(RETRY)

    async def _publish(self) -> None:
        self._published += 1
        name = f"probe-{self._published}"
        self._waiting[f"{self.attacked.peer_id}/{name}"] = time.monotonic()
        with trio.fail_after(PATIENCE):
            await self.attacked.market.publish([ListingDraft(name=name, price=1.0)])

    async def _call(self) -> None:
        began = time.monotonic()
        try:
            with trio.fail_after(PATIENCE):
                await self.attacked.market.peers()
        finally:
            self.calls.append(time.monotonic() - began)

    async def _look(self) -> None:
        for name, served in (("attacked", self.attacked), ("other", self.other)):
            self.peaks[name] = max(self.peaks.get(name, 0.0), resident(served.process.pid))
            if self.watched:
                self.looks += 1
                self.hidden += not await self._shown(served)

    async def _shown(self, served: Served) -> bool:
        """Whether all watched listings are shown verified."""
        for each in self.watched:
            try:
                with trio.fail_after(PATIENCE):
                    detail = await served.market.show(each)
            except _ENDED:
                return False
            if detail.listing.provenance is not Provenance.VERIFIED:
                return False
        return True

    async def _steadily(
        self, nursery: trio.Nursery, probe: Callable[[], Awaitable[None]], pause: float, places: int
    ) -> None:
        """Start a probe every `pause` seconds, whether or not the last one is done, so that a stall is felt by all of them.

        At most `places` run at a time, in all fewer than the control socket lets wait; the rest is left out."""
        running = 0

        async def once() -> None:
            nonlocal running
            running += 1
            try:
                await probe()
            except _ENDED as error:
                self.failures.append(f"{getattr(probe, '__name__', probe)}: {error!r}")
            finally:
                running -= 1

        while True:
            due = trio.current_time() + pause
            if running < places:
                nursery.start_soon(once)
            await trio.sleep_until(due)
