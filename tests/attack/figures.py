"""Measured figures beside their bars, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """The most that a figure may be, in the figure's unit."""

    figure: str
    most: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement; `value` is None where it could not be taken, which misses every bar."""

    name: str
    value: float | None
    unit: str

    def meets(self, bar: Bar) -> bool:
        """Whether it is within a bar."""
        return self.value is not None and self.value <= bar.most


@dataclass(frozen=True, slots=True)
class Report:
    """What one scenario showed. `remark` is what the attacker said of itself, or why there are no figures."""

    scenario: str
    figures: tuple[Figure, ...]
    remark: str

    def figure(self, name: str) -> Figure:
        """A figure by name; one that was not taken has no value."""
        return next((each for each in self.figures if each.name == name), Figure(name, None, ""))

    def missed(self, bars: Sequence[Bar]) -> tuple[Bar, ...]:
        """The bars that the figures do not meet."""
        return tuple(bar for bar in bars if not self.figure(bar.figure).meets(bar))


def percentile(samples: Sequence[float], part: float) -> float | None:
    """The sample below which `part` (0 to 1) of them lie; None without samples."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else None


def table(report: Report, bars: Sequence[Bar]) -> str:
    """A report as lines: those with a bar first, each met or missed, then the other figures in one line."""
    lines = []
    for bar in bars:
        figure = report.figure(bar.figure)
        verdict = "met" if figure.meets(bar) else "MISSED"
        lines.append(
            f"{report.scenario:<22} {bar.figure:<34} {_short(figure.value):>9} {figure.unit:<4}"
            f" bar {_short(bar.most):>6}  {verdict}"
        )
    barred = {bar.figure for bar in bars}
    others = [f"{each.name} {_short(each.value)} {each.unit}" for each in report.figures if each.name not in barred]
    lines.append(f"{'':<22} {'; '.join(others)}")
    lines.append(f"{'':<22} attacker: {report.remark}")
    return "\n".join(lines)


def _short(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
