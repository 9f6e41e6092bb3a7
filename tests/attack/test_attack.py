"""The lab itself: its figures are right, and a scenario runs from start to end."""

from hypothesis import given
from hypothesis import strategies as st

from tests.attack.figures import Bar, Figure, Report, percentile, table
from tests.attack.lab import Plan, run
from tests.attack.scenarios import SCENARIOS
from tests.attack.watched import LONG

REPORT = Report("one", (Figure("slow", 2.0, "s"), Figure("none", None, "s"), Figure("light", 3.0, "MB")), "gone")


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 1))
def test_a_percentile_is_a_sample_with_so_many_at_or_below_it(samples, part):
    found = percentile(samples, part)
    assert found in samples
    assert sum(each <= found for each in samples) >= min(len(samples), int(len(samples) * part))


def test_of_no_samples_there_is_no_percentile():
    assert percentile([], 0.5) is None


def test_a_figure_that_could_not_be_taken_misses_its_bar():
    bars = (Bar("slow", 2), Bar("none", 100), Bar("unheard of", 100), Bar("light", 2.5))
    assert [bar.figure for bar in REPORT.missed(bars)] == ["none", "unheard of", "light"]
    text = table(REPORT, bars)
    assert text.count("MISSED") == 3
    assert text.count(" met") == 1


def test_every_attack_is_there_and_every_bar_has_a_figure():
    for scenario in SCENARIOS.values():
        module, _, function = scenario.plan.attack.partition(".")
        assert callable(getattr(__import__(f"tests.attack.{module}", fromlist=[function]), function))
        assert len({bar.figure for bar in scenario.bars}) == len(scenario.bars)


async def test_one_second_of_tombstones_is_measured():
    report = await run(Plan("short", "sellers.tombstones", seconds=1.0, watch=True))
    assert report.figure("lost").value == 0
    assert report.figure("newcomer connects").value is not None
    assert report.figure("loop held, clock").value >= LONG * 1000
    assert '"parts": 1' in report.remark
