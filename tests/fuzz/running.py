"""Runs a decoder on its inputs: what it raised that it may not, and how long the slowest of full size took."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.decoders import Decoder
from tests.fuzz.mutation import Mutator

LARGE_OF = 500
"""Of so many inputs one has the full size, but at least `MIN_LARGE` do."""
MIN_LARGE = 24
MAX_FAILURES = 5
"""Failures of one kind that are described; the rest is counted."""
BAR = 0.1
"""Seconds of the processor that the slowest input of full size may take."""


@dataclass(slots=True)
class Outcome:
    """What came of a run. `failures` counts undeclared errors by their description; `slowest` is in processor seconds."""

    name: str
    inputs: int = 0
    refused: int = 0
    slowest: float = 0.0
    slow_input: bytes = b""
    seconds: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)
    failing: dict[str, bytes] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether only declared errors were raised, each in time."""
        return not self.failures and self.slowest <= BAR

    def fail(self, error: BaseException, data: bytes) -> None:
        """Count an undeclared error and keep the first input that leads to it."""
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = f"{where.tb_frame.f_code.co_filename.rpartition('/')[2]}:{where.tb_lineno}" if where else "?"
        kind = (
            f"{type(error).__name__} at {place}: {str(error)[:100]}" if len(self.failures) < MAX_FAILURES else "others"
        )
        self.failures[kind] += 1
        self.failing.setdefault(kind, data)

    def keep(self, folder: Path) -> None:
        """Write the inputs that matter to files."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(self.failing.values()):
            (folder / f"{self.name}-failure-{number}").write_bytes(data)
        if self.slowest > BAR:
            (folder / f"{self.name}-slow").write_bytes(self.slow_input)

    def text(self) -> str:
        """One line, and one for each kind of failure."""
        verdict = "met" if self.slowest <= BAR else "MISSED"
        speed = self.inputs / self.seconds if self.seconds else 0
        lines = [
            f"{self.name:<14} {self.inputs:>9,} inputs {speed:>7,.0f}/s"
            f" {100 * self.refused / max(1, self.inputs):>3.0f} % refused"
            f"   slowest of full size {self.slowest * 1000:>7.1f} ms (bar {BAR * 1000:.0f} ms: {verdict})"
            f"   {sum(self.failures.values())} undeclared errors"
        ]
        return "\n".join([*lines, *(f"    {count} times {kind}" for kind, count in self.failures.items())])


def fuzz(decoder: Decoder, count: int, seed: int) -> Outcome:
    """Decode so many inputs."""
    mutator = Mutator(random.Random(f"{decoder.name} {seed}"), decoder.form, decoder.samples())
    outcome, began = Outcome(decoder.name), time.perf_counter()
    for sample in mutator.samples:
        try_one(decoder, sample, outcome)
    for data in mutator.shapes(decoder.limit):
        try_large(decoder, data, outcome)
    large = max(MIN_LARGE, count // LARGE_OF)
    for number in range(count):
        if number % (count // large or 1):
            try_one(decoder, mutator.small()[: decoder.limit], outcome)
        else:
            try_large(decoder, mutator.large(decoder.limit), outcome)
    outcome.seconds = time.perf_counter() - began
    return outcome


def try_large(decoder: Decoder, data: bytes, outcome: Outcome) -> None:
    """Decode an input of full size, and note it if none has taken longer."""
    took = try_one(decoder, data, outcome)
    if took > outcome.slowest:
        outcome.slowest, outcome.slow_input = took, data


def try_one(decoder: Decoder, data: bytes, outcome: Outcome) -> float:
    """Decode one input; how long that took, in seconds of the processor."""
    outcome.inputs += 1
    began = time.thread_time()
    try:
        decoder.run(data)
    except decoder.declared:
        outcome.refused += 1
    except (Exception, RecursionError) as error:
        outcome.fail(error, data)
    return time.thread_time() - began
