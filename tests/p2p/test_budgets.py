"""Buckets and shares: nobody gets more than the rate, and nobody who asks for little is kept waiting by those who ask for
more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from betar_tui.p2p.budgets import MAX_WAIT, SHARE_TIME, Bucket, Buckets, Rate, Shares

times = st.lists(st.floats(0, 5), min_size=1, max_size=60)


@given(st.floats(0.1, 1000), st.floats(1, 1000), times, st.data())
def test_a_bucket_gives_no_more_than_its_rate_and_burst(
    rate: float, burst: float, pauses: list[float], data: st.DataObject
) -> None:
    bucket, now, taken = Bucket(Rate(rate, burst), 0.0), 0.0, 0.0
    for pause in pauses:
        now += pause
        amount = data.draw(st.floats(0, 2 * burst))
        before = bucket.left(now)
        assert -burst <= before <= burst
        if bucket.take(amount, now):
            taken += amount
        else:
            assert before < amount
    assert taken <= burst + rate * now + 1e-6 * (1 + taken)


@given(st.floats(0.1, 1000), st.floats(1, 1000), st.floats(0, 3000), st.floats(0, 1))
def test_after_its_wait_a_bucket_has_what_was_asked_for(
    rate: float, burst: float, spent: float, fraction: float
) -> None:
    bucket = Bucket(Rate(rate, burst), 0.0)
    bucket.spend(spent, 0.0)
    amount = fraction * burst
    wait = bucket.wait(amount, 0.0)
    assert bucket.take(amount * (1 - 1e-9), wait * (1 + 1e-9))


def test_buckets_that_were_used_last_are_remembered() -> None:
    buckets: Buckets[int] = Buckets(Rate(1, 10), 3)
    for key in range(100):
        buckets.of(key, 0.0).spend(5, 0.0)
    assert len(buckets) == 3
    assert [buckets.of(key, 0.0).left(0.0) for key in (97, 98, 99)] == [5, 5, 5]
    assert buckets.of(0, 0.0).left(0.0) == 10
    buckets.forget(99)
    assert buckets.of(99, 0.0).left(0.0) == 10


def used_in(shares: Shares[int], wishes: list[float], seconds: float, step: float = 0.01) -> list[float]:
    """What each of the users gets that would use so much a second."""
    used = [0.0] * len(wishes)
    due = [0.0] * len(wishes)
    for turn in range(int(seconds / step)):
        now = turn * step
        for key, wish in enumerate(wishes):
            if due[key] <= now:
                wait = shares.wait(key, now)
                if wait:
                    assert 0 < wait <= MAX_WAIT
                    due[key] = now + wait
                else:
                    shares.spend(key, wish * step, now)
                    used[key] += wish * step
    return used


@given(st.floats(0.001, 0.04), st.lists(st.floats(0.5, 5), min_size=1, max_size=8))
def test_who_asks_for_little_never_waits(little: float, greedy: list[float]) -> None:
    shares: Shares[int] = Shares(Rate(0.5, 0.5))
    seconds = 12.0
    got = used_in(shares, [little, *greedy], seconds)
    assert got[0] >= little * seconds * 0.999
    # All together have little more than there is: the burst, and its debt.
    assert sum(got) <= 0.5 * seconds * 1.3 + 1.0 + len(greedy) * SHARE_TIME * 0.5


def test_alone_one_may_use_all() -> None:
    (got,) = used_in(Shares(Rate(0.5, 0.5)), [5.0], 20.0)
    assert 9.0 <= got <= 14.0


def test_equals_get_equal_parts() -> None:
    got = used_in(Shares(Rate(0.5, 0.5)), [3.0, 3.0, 3.0, 0.01], 20.0)
    assert got[3] >= 0.19
    assert max(got[:3]) <= 1.5 * min(got[:3])


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 3), st.floats(0, 2)), max_size=40))
def test_what_was_used_fades(spent: list[tuple[int, float, float]]) -> None:
    shares: Shares[int] = Shares(Rate(1, 1))
    now = 0.0
    for key, amount, pause in spent:
        now += pause
        shares.spend(key, amount, now)
        assert 0.0 <= shares.wait(key, now) <= MAX_WAIT
    shares.spend(7, 0.5, now + 100.0)
    assert len(shares) == 1
    assert shares.wait(0, now + 100.0) == 0.0
