"""When a new version is given up, and when it is not: shares of failed and slow answers, beyond chance."""

import random

import pytest

from fraud.serving.watch import Answered, TrafficWatch, WatchPolicy, judge, slow_limit_s

POLICY = WatchPolicy()


def answers(n: int, *, failed: int = 0, took_s: float = 0.002, slow: int = 0, slow_s: float = 1.0):
    return [Answered(float(i), slow_s if i < slow else took_s, failed=i >= n - failed) for i in range(n)]


@pytest.mark.parametrize(("failed", "n"), [(3, 3), (3, 50), (10, 300)])
def test_a_version_that_fails_far_more_often_than_tolerated_is_given_up(failed: int, n: int) -> None:
    reason = judge(answers(1_000), answers(n, failed=failed), POLICY)
    assert reason is not None and f"{failed} of {n} answers failed (before the swap 0 of 1000)" == reason


@pytest.mark.parametrize(("failed", "n"), [(0, 1_000), (2, 2), (3, 400), (15, 1_000)])
def test_few_failures_or_a_share_within_chance_of_what_is_tolerated_decide_nothing(
    failed: int, n: int
) -> None:
    assert judge(answers(1_000), answers(n, failed=failed), POLICY) is None


def test_a_version_is_not_blamed_for_failures_as_frequent_as_before() -> None:
    assert judge(answers(500, failed=100), answers(500, failed=110), POLICY) is None
    assert judge(answers(500, failed=10), answers(500, failed=110), POLICY) is not None


def test_a_version_whose_p99_is_far_above_the_one_before_is_given_up() -> None:
    before = answers(1_000, took_s=0.2)
    reason = judge(before, answers(500, took_s=0.2, slow=40), POLICY)
    assert reason == "40 of 500 answers took more than 600 ms"


@pytest.mark.parametrize(("slow", "slow_s"), [(5, 1.0), (0, 0.2), (400, 0.3)])
def test_slow_answers_within_chance_of_one_in_a_hundred_or_below_three_times_the_p99_are_accepted(
    slow: int, slow_s: float
) -> None:
    before = answers(1_000, took_s=0.2)
    assert judge(before, answers(500, took_s=0.2, slow=slow, slow_s=slow_s), POLICY) is None


def test_nothing_is_slow_below_the_floor_nor_where_too_little_is_known_of_before() -> None:
    assert slow_limit_s(answers(1_000, took_s=0.001), POLICY) == POLICY.floor_s
    assert judge(answers(50), answers(500, slow=500), POLICY) is None


def test_an_equal_version_is_hardly_ever_given_up() -> None:
    # Judged every 50 answers of 1,000, both sides from one distribution with a 1% tail and 0.5% failures.
    chance, given_up = random.Random(5), 0  # noqa: S311
    for _ in range(200):
        before, after = (
            [
                Answered(0.0, chance.lognormvariate(-3, 0.8), chance.random() < 0.005)
                for _ in range(1_000)
            ]
            for _ in range(2)
        )  # fmt: skip
        given_up += any(judge(before, after[:n], POLICY) for n in range(50, 1_001, 50))
    assert given_up <= 6  # 3%


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_trial_ends_and_what_fails_afterwards_is_for_the_alerts() -> None:
    seconds = Seconds()
    watch = TrafficWatch(POLICY, seconds)
    watch.begin("new")
    assert watch.on_trial and watch.verdict() is None
    seconds.now += POLICY.window_s
    assert watch.verdict() is None and not watch.on_trial
    for _ in range(10):
        watch.note("new", 0.01, failed=True)
    assert watch.verdict() is None


def test_answers_of_the_version_before_that_come_late_are_not_blamed_on_the_new_one() -> None:
    watch = TrafficWatch(POLICY, Seconds())
    watch.note("old", 0.01, failed=False)
    watch.begin("new")
    for _ in range(10):
        watch.note("old", 0.01, failed=True)
    assert watch.verdict() is None
    for _ in range(3):
        watch.note("new", 0.01, failed=True)
    assert watch.verdict() is not None


def test_after_going_back_the_old_versions_own_answers_are_the_measure_again() -> None:
    watch = TrafficWatch(POLICY, Seconds())
    for _ in range(200):
        watch.note("old", 0.01, failed=False)
    watch.begin("new")
    for _ in range(5):
        watch.note("new", 0.01, failed=True)
    watch.resume("old")
    assert not watch.on_trial and watch.verdict() is None
    watch.begin("newer")
    for _ in range(3):
        watch.note("newer", 0.01, failed=True)
    assert watch.verdict() == "3 of 3 answers failed (before the swap 0 of 200)"
