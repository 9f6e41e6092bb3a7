"""The numbers of a sync."""

from betar_tui.sync.progress import STALLED, WINDOW, ProgressMeter
from betar_tui.values import SyncProgress


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_delta_that_was_not_missing_is_not_a_sync() -> None:
    meter = ProgressMeter(Clock())
    assert meter.merged(1, 0) == 0
    assert meter.now(0, "alice") is None


def test_a_sync_is_counted_from_the_first_missing_block_to_the_last() -> None:
    clock = Clock()
    meter = ProgressMeter(clock)
    assert meter.merged(1, 5) == 0
    clock.now += 1
    assert meter.merged(3, 2) == 0
    assert meter.now(2, "alice") == SyncProgress(4, 2, 4 / WINDOW, "alice")
    assert meter.merged(2, 0) == 6
    assert meter.now(0, "alice") is None
    assert meter.merged(1, 0) == 0


def test_an_invented_block_is_not_a_sync_though_other_deltas_come() -> None:
    clock = Clock()
    meter = ProgressMeter(clock)
    assert meter.now(1, "") is None
    meter.merged(500, 1)
    for _ in range(5):
        clock.now += STALLED / 4
        meter.merged(0, 1)
    assert meter.now(1, "") is None
    meter.merged(3, 1)
    assert meter.now(1, "") == SyncProgress(3, 1, 3 / WINDOW, ""), "another one"


def test_the_rate_forgets_old_deltas() -> None:
    clock = Clock()
    meter = ProgressMeter(clock)
    meter.merged(300, 5)
    clock.now += WINDOW + 0.1
    meter.merged(30, 5)
    assert meter.now(5, "") == SyncProgress(330, 5, 30 / WINDOW, "")


def test_old_deltas_are_forgotten_also_if_now_is_never_called() -> None:
    clock = Clock()
    meter = ProgressMeter(clock)
    for _ in range(1000):
        clock.now += WINDOW / 10
        meter.merged(1, 5)
    assert len(meter._recent) <= 11
    progress = meter.now(5, "")
    assert progress is not None
    assert progress.fetched == 1000
