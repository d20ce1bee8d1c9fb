"""How many answers a person and an address may give."""

import pytest

from fraud.errors import RateLimited, SettingsError
from fraud.feedback.limiter import _BUCKETS, FlagLimiter


def test_the_answer_that_is_one_too_many_is_told_how_long_to_wait() -> None:
    limiter = FlagLimiter("2/minute", "", b"key")
    for _ in range(2):
        limiter.take("ann", "192.0.2.1")
    with pytest.raises(RateLimited, match=r"wait \d+ seconds and send it again\.") as caught:
        limiter.take("ann", "192.0.2.1")
    assert 1 <= caught.value.seconds <= 60
    limiter.take("bob", "192.0.2.1")


def test_many_pseudonyms_at_one_address_are_limited_together() -> None:
    limiter = FlagLimiter("10/minute", "3/minute", b"key")
    for name in ("a", "b", "c"):
        limiter.take(name, "192.0.2.1")
    with pytest.raises(RateLimited):
        limiter.take("d", "192.0.2.1")
    limiter.take("d", "192.0.2.2")


def test_an_ipv6_network_is_one_address() -> None:
    limiter = FlagLimiter("", "1/minute", b"key")
    limiter.take("a", "2001:db8:0:1::1")
    with pytest.raises(RateLimited):
        limiter.take("b", "2001:db8:0:1:ffff::2")
    limiter.take("c", "2001:db8:0:2::1")


def test_a_refused_answer_counts_against_no_other_limit() -> None:
    limiter = FlagLimiter("1/minute", "2/minute", b"key")
    limiter.take("a", "192.0.2.1")
    for _ in range(5):
        with pytest.raises(RateLimited):
            limiter.take("a", "192.0.2.1")
    limiter.take("b", "192.0.2.1")


def test_a_crowd_of_senders_fills_no_memory() -> None:
    limiter = FlagLimiter("1000/minute", "", b"key")
    buckets = {limiter._bucket("reporter", f"sender {i}") for i in range(5_000)}
    assert max(map(int, buckets)) < _BUCKETS
    assert buckets != {FlagLimiter("", "", b"other")._bucket("reporter", f"sender {i}") for i in range(5_000)}


def test_a_limit_that_cannot_be_read_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="must read like"):
        FlagLimiter("sixty", "", b"key")


def test_without_limits_anybody_may_answer_as_often_as_they_like() -> None:
    limiter = FlagLimiter("", "", b"key")
    for _ in range(100):
        limiter.take("a", "192.0.2.1")
