"""Two honest peers, one of them attacked by a separate process: what the honest see of it.

A and B are `--serve` processes on loopback. A publishes ten listings first; then every half a second one more at A, which is
to be seen at B. The attacker is connected to A alone. Ten seconds after its end, memory is weighed again, and a newcomer
joins."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import trio

from betar_tui.market.marketplace import ListingDraft
from tests.attack.attacker import Known
from tests.attack.figures import Figure, Report, percentile
from tests.attack.newcomer import Arrival, arrive
from tests.attack.probes import Hold, Probes, holds, resident, stored
from tests.bench.common import processor_seconds
from tests.peers.harness import Served, eventually, served

LISTINGS = 10
CALM, REST = 3.0, 10.0
"""Seconds of honest traffic before the attack, and after it."""
HEAD_START = 4.0
"""Seconds of an attack on the places of connections before newcomers come."""
START = 40.0
"""Seconds for an attacker to connect."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: `attack` names a module and a function of this package.

    `newcomers` join while the attack goes on, one from another address and one from the attacker's; otherwise one joins
    after it. With `watch` the seller's listings are looked at all the time."""

    name: str
    attack: str
    seconds: float = 12.0
    connections: int = 1
    newcomers: bool = False
    watch: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """A publish in the calm before (p95, seconds); megabytes that the peer that grew more has grown and kept; processor
    seconds a second; bytes of disk grown."""

    calm: float | None
    grown: float
    kept: float
    processor: float
    disk: float


async def run(plan: Plan) -> Report:
    """One scenario from start to end."""
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        async with _honest(Path(folder)) as (attacked, other):
            return await _measure(plan, Path(folder), attacked, other)


@asynccontextmanager
async def _honest(folder: Path) -> AsyncIterator[tuple[Served, Served]]:
    """The two peers, on the topic together."""
    inside = [sys.executable, "-m", "tests.attack.watched", str(folder / "holds")]
    quick = ("--announce-interval", "5s")
    async with (
        served(folder / "a", *quick, inside=inside) as attacked,
        served(folder / "b", *quick, "--bootstrap", attacked.address) as other,
    ):

        async def together() -> bool:
            one, two = await attacked.market.status(), await other.market.status()
            return bool(one.topic_peers and two.topic_peers)

        await eventually(together, what="both on the topic")
        yield attacked, other


async def _measure(plan: Plan, folder: Path, attacked: Served, other: Served) -> Report:
    known = await _market(attacked, other)
    (folder / "known.json").write_text(json.dumps([asdict(each) for each in known]))
    probes = Probes(attacked, other, tuple(each.id for each in known) if plan.watch else ())
    pids = attacked.process.pid, other.process.pid
    arrivals: list[Arrival] = []
    async with trio.open_nursery() as nursery:
        probes.start(nursery)
        await trio.sleep(CALM)
        async with _attacking(plan, folder, attacked.address) as attacker:
            calm = percentile(list(probes.latencies.values()), 0.95)
            probes.forget()
            before, disk = [resident(pid) for pid in pids], stored(attacked.directory)
            began, used = time.monotonic(), processor_seconds(pids[0])
            if plan.newcomers:
                await trio.sleep(HEAD_START)
                arrivals = [await arrive(folder / "c", attacked, known[0].id, "127.0.0.2", 20)]
                arrivals.append(await arrive(folder / "d", attacked, known[0].id, "", 30))
            said = await _said(attacker, plan.seconds + 60)
        ended = time.monotonic()
        busy = _processor(pids[0], used, ended - began)
        peaks = dict(probes.peaks)
        await trio.sleep(REST)
        await probes.settle(5)
        after = [resident(pid) for pid in pids]
        nursery.cancel_scope.cancel()
    if not plan.newcomers:
        arrivals = [await arrive(folder / "c", attacked, known[0].id, "", 30)]
    grown = max(peaks.get("attacked", 0) - before[0], peaks.get("other", 0) - before[1])
    kept = max(one - two for one, two in zip(after, before, strict=True))
    cost = Cost(calm, grown, kept, busy, stored(attacked.directory) - disk)
    held = holds(folder / "holds", began)  # the newcomer has waited for the end of one that goes on
    return Report(plan.name, _figures(plan, probes, cost, held, arrivals, said), _remark(said, probes, attacked, held))


async def _market(attacked: Served, other: Served) -> list[Known]:
    """Publish the seller's listings, and wait for them at the other peer."""
    drafts = [ListingDraft(name=f"market-{n}", price=float(n + 1), description="honest") for n in range(LISTINGS)]
    receipts = await attacked.market.publish(drafts)

    async def arrived() -> bool:
        return (await other.market.status()).listings >= LISTINGS

    await eventually(arrived, what="the seller's listings at the other peer")
    details = [await attacked.market.show(receipt.id) for receipt in receipts]
    return [Known(each.listing.id, each.raw, each.listing.cid, each.listing.height) for each in details]


@asynccontextmanager
async def _attacking(plan: Plan, folder: Path, address: str) -> AsyncIterator[trio.Process]:
    """The attacker's process, ready to attack; killed at the end of the block."""
    options = [plan.attack, str(plan.seconds), str(plan.connections), str(folder / "known.json"), address]
    with (folder / "attacker.log").open("wb") as errors:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tests.attack.attacker", *options], stdout=subprocess.PIPE, stderr=errors
        )
        try:
            assert process.stdout is not None
            with trio.fail_after(START):
                ready = await process.stdout.receive_some(100)
            assert ready.startswith(b"ready"), (folder / "attacker.log").read_text()[-2000:]
            yield process
        finally:
            with trio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.wait()


async def _said(attacker: trio.Process, seconds: float) -> dict[str, object]:
    """The attacker's last line; {} if it does not come."""
    assert attacker.stdout is not None
    said = b""
    with trio.move_on_after(seconds):
        async for data in attacker.stdout:
            said += data
    try:
        parsed: dict[str, object] = json.loads(said)
    except ValueError:
        return {}
    return parsed


def _processor(pid: int, before: float, seconds: float) -> float:
    try:
        return (processor_seconds(pid) - before) / seconds
    except OSError:
        return float("nan")


def _figures(
    plan: Plan, probes: Probes, cost: Cost, held: list[Hold], arrivals: list[Arrival], said: dict[str, object]
) -> tuple[Figure, ...]:
    seen = probes.waits()
    sent = int(str(said.get("bytes", 0)))
    healed = [part for part in map(str, said.get("remarks", ())) if part.startswith("healed=")]  # type: ignore[call-overload]
    rounds = plan.seconds / 5 + 1
    figures = [
        Figure("honest p50", percentile(seen, 0.5), "s"),
        Figure("honest p95", percentile(seen, 0.95), "s"),
        Figure("before the attack p95", cost.calm, "s"),
        Figure("honest worst", percentile(seen, 1), "s"),
        Figure("lost", len(probes.lost), ""),
        Figure("memory grown", cost.grown, "MB"),
        Figure("memory kept after 10 s", cost.kept, "MB"),
        Figure("loop held, processor", held[0].processor * 1000 if held else 20, "ms"),
        Figure("loop held, clock", max((each.clock for each in held), default=0.02) * 1000, "ms"),
        Figure("call p95", _ms(percentile(probes.calls, 0.95)), "ms"),
        Figure("call worst", _ms(percentile(probes.calls, 1)), "ms"),
        Figure("processor", cost.processor * 100, "%"),
        Figure("disk a byte sent", cost.disk / sent if sent else None, ""),
        Figure("sent", sent / 1e6, "MB"),
    ]
    for label, arrival in zip(
        ("other address", "same address") if plan.newcomers else ("newcomer",), arrivals, strict=True
    ):
        figures.append(Figure(f"{label} connects", arrival.connected, "s"))
        figures.append(Figure(f"{label} syncs", arrival.synced, "s"))
    if plan.watch:
        figures.append(Figure("looks at which one was hidden", 100 * probes.hidden / max(1, probes.looks), "%"))
        figures.append(Figure("healed a listing and round", int(healed[0][7:]) / rounds if healed else None, ""))
    return tuple(figures)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _remark(said: dict[str, object], probes: Probes, attacked: Served, held: list[Hold]) -> str:
    """What does not fit into figures, in one line."""
    parts = [json.dumps(said) if said else "it did not end well"]
    if attacked.process.poll() is not None:
        parts.append(f"THE ATTACKED PEER HAS ENDED ({attacked.process.returncode})")
    if held:
        parts.append(f"held longest by {held[0].task}")
    errors = [
        line for line in attacked.log.read_text(errors="replace").splitlines() if " ERROR " in line or "Error: " in line
    ]
    for what, texts in (("errors in its log", errors), ("failed", probes.failures), ("notices", probes.notices)):
        if texts:
            parts.append(f"{len(texts)} {what}: {' | '.join(each[:100] for each in texts[:3])}")
    return "; ".join(parts)
