import pytest

from fraud.errors import NotFound, RepositoryError
from fraud.repositories.retries import Retries, RetryPolicy, Transient, retry_after_s


class Clock:
    def __init__(self):
        self.now = 100.0
        self.waits = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def make(clock, **policy):
    # The longest wait of each: the random draw itself is the standard library's.
    return Retries(RetryPolicy(**policy), "The Hub", clock.sleep, lambda low, high: high, clock)


def failing(*troubles, value="done"):
    left = list(troubles)
    calls = []

    def action():
        calls.append(1)
        if left:
            raise left.pop(0)
        return value

    action.calls = calls
    return action


def test_waits_double_up_to_a_bound(clock):
    action = failing(*[Transient("busy")] * 5)
    assert make(clock, first_wait_s=1.0, max_wait_s=5.0).run(action) == "done"
    assert clock.waits == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_jitter_covers_the_whole_wait(clock):
    drawn = []
    retries = Retries(
        RetryPolicy(first_wait_s=1.0), "The Hub", clock.sleep, lambda a, b: drawn.append((a, b)) or 0.0, clock
    )
    retries.run(failing(Transient("busy"), Transient("busy")))
    assert drawn == [(0.0, 1.0), (0.0, 2.0)]


def test_patience_ends_by_attempts_and_by_time(clock):
    action = failing(*[Transient("status 503")] * 9)
    with pytest.raises(RepositoryError, match=r"tried 3 times: status 503\.$"):
        make(clock, attempts=3).run(action)
    assert len(action.calls) == 3
    with pytest.raises(RepositoryError, match="tried 2 times"):
        make(clock, first_wait_s=4.0, budget_s=10.0).run(failing(*[Transient("x")] * 9))


def test_what_cannot_pass_is_not_tried_again(clock):
    action = failing(NotFound("no"))
    with pytest.raises(NotFound):
        make(clock).run(action)
    assert len(action.calls) == 1 and clock.waits == []


def test_a_short_retry_after_is_waited_for(clock):
    make(clock, first_wait_s=1.0).run(failing(Transient("status 429", retry_after_s=7.0)))
    assert clock.waits == [8.0]


def test_a_long_retry_after_is_told_at_once_and_kept(clock):
    retries = make(clock, max_retry_after_s=20.0)
    with pytest.raises(RepositoryError, match="left alone for 300 s"):
        retries.run(failing(Transient("status 429", retry_after_s=300.0)))
    clock.now += 299
    action = failing()
    with pytest.raises(RepositoryError, match="left alone for 1 s"):
        retries.run(action)
    assert action.calls == [] and clock.waits == []
    clock.now += 2
    assert retries.run(action) == "done"


def test_an_absurd_retry_after_does_not_silence_us_for_ever(clock):
    retries = make(clock)
    with pytest.raises(RepositoryError):
        retries.run(failing(Transient("status 429", retry_after_s=1e9)))
    clock.now += 3601
    assert retries.run(failing()) == "done"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"RateLimit": '"api";r=489;t=189'}, None),
    ],
)
def test_the_pause_is_read_from_either_header(headers, seconds):
    assert retry_after_s(headers, now=lambda: 60.0) == seconds
