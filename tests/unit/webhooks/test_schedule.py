from datetime import timedelta

import pytest

from fraud.webhooks.schedule import DELAYS_S, Answer, Outcome, judge
from tests.unit.webhooks.conftest import NOW


def wait_s(answer: Answer, attempts: int, chance: float = 0.0) -> float:
    verdict = judge(answer, attempts, NOW, lambda: chance)
    assert verdict.outcome is Outcome.RETRY and verdict.due_at is not None
    return (verdict.due_at - NOW).total_seconds()


def test_the_schedule_is_the_one_of_the_specification() -> None:
    assert DELAYS_S == (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
    assert [wait_s(Answer(500), n) for n in range(1, 10)] == list(DELAYS_S[1:])
    assert judge(Answer(500), 10, NOW, lambda: 0.0).outcome is Outcome.GIVEN_UP


def test_jitter_makes_a_delay_longer_by_up_to_a_fifth_and_never_shorter() -> None:
    assert wait_s(Answer(500), 2, 0.0) == 300 and wait_s(Answer(500), 2, 0.5) == pytest.approx(330)
    assert 359 < wait_s(Answer(500), 2, 0.999) < 360


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_success(status: int) -> None:
    assert judge(Answer(status), 1, NOW, lambda: 0.0).outcome is Outcome.DELIVERED


@pytest.mark.parametrize("status", [None, 199, 301, 304, 400, 404, 409, 429, 500, 503])
def test_all_else_is_tried_again(status: int | None) -> None:
    assert judge(Answer(status), 1, NOW, lambda: 0.0).outcome is Outcome.RETRY


def test_410_ends_it() -> None:
    assert judge(Answer(410), 1, NOW, lambda: 0.0).outcome is Outcome.GONE


@pytest.mark.parametrize(
    ("header", "expected"),
    [("90", 90), ("0", 5), ("999999999", 86_400), ("Sun, 22 Nov 2026 12:02:00 GMT", 120),
     ("Sun, 22 Nov 2026 11:00:00 GMT", 5), ("-3", 5), ("soon", 5), ("", 5), ("١٢", 5), ("1" * 5_000, 5)],
)  # fmt: skip
def test_retry_after_is_honoured_where_it_is_later_than_the_schedule(header: str, expected: float) -> None:
    assert wait_s(Answer(503, retry_after=header), 1) == expected


def test_an_endpoint_that_asks_for_a_pause_gets_it_for_all_messages() -> None:
    assert judge(Answer(429, retry_after="60"), 1, NOW, lambda: 0.0).hold_until == NOW + timedelta(seconds=60)
    assert judge(Answer(400, retry_after="60"), 1, NOW, lambda: 0.0).hold_until is None
