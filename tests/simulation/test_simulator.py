"""Many seeds: networks full of trouble come to rest in the one state that their blocks mean.

BETAR_TUI_SIM_SEEDS and BETAR_TUI_SIM_FIRST choose other slices of the seeds than the default.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation.simulator import run

SEEDS = int(os.environ.get("BETAR_TUI_SIM_SEEDS", "1000"))
FIRST = int(os.environ.get("BETAR_TUI_SIM_FIRST", "0"))
SLICES = 5


@pytest.mark.timeout(0 if SEEDS > 2000 else 120)
@pytest.mark.parametrize("part", range(SLICES))
def test_ten_replicas_in_trouble_agree_with_the_oracle(part: int) -> None:
    report = run(range(FIRST + part, FIRST + SEEDS, SLICES), replicas=10)
    print(report)
    # Not one of them was idle.
    assert report.seeds >= SEEDS // SLICES
    assert report.writes > 8 * report.seeds
    for much in (report.merges, report.lost):
        assert much > 50 * report.seeds
    for some in (report.holes, report.bulks, report.restarts, report.crashes, report.doubled, report.damaged):
        assert some > report.seeds
    assert 0 < report.crashes_after_commit < report.crashes


def test_a_few_long_lives_of_databases_only() -> None:
    report = run(range(FIRST, FIRST + 4), replicas=4, databases=4, actions=150)
    print(report)
    assert report.writes > 60 * report.seeds


def test_a_seed_decides_everything() -> None:
    one, other = run([FIRST], replicas=5), run([FIRST], replicas=5)
    one.seconds = other.seconds = 0
    assert one == other
