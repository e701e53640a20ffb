from __future__ import annotations

from fanlight.consumer.wall import limits
from fanlight.consumer.wall.limits import Allowance, AttemptLimiter

SECOND_NS = 1_000_000_000


def test_so_many_at_once_and_then_at_the_rate() -> None:
    allowance = Allowance(3, 2, 0)
    assert [allowance.take(0) for _ in range(4)] == [True, True, True, False]
    assert not allowance.take(SECOND_NS // 2 - 1)
    assert allowance.take(SECOND_NS // 2)
    assert not allowance.take(SECOND_NS // 2)


def test_what_was_not_used_does_not_grow_beyond_the_number_at_once() -> None:
    allowance = Allowance(3, 2, 0)
    assert [allowance.take(1000 * SECOND_NS) for _ in range(4)] == [True, True, True, False]


def test_more_than_is_left_takes_nothing() -> None:
    allowance = Allowance(10, 1, 0)
    assert not allowance.take(0, 11)
    assert allowance.take(0, 10)


def test_wrong_tokens_of_an_address_are_limited_and_come_back() -> None:
    limiter = AttemptLimiter(0)
    for _ in range(limits.ATTEMPTS_AT_ONCE):
        assert limiter.allows("192.0.2.1", 0)
        limiter.failed("192.0.2.1", 0)
    assert not limiter.allows("192.0.2.1", 0)
    assert limiter.allows("192.0.2.2", 0)
    assert limiter.allows("192.0.2.1", limits.ATTEMPT_INTERVAL_S * SECOND_NS)


def test_wrong_tokens_of_all_addresses_are_limited() -> None:
    limiter = AttemptLimiter(0)
    for number in range(limits.ATTEMPTS_AT_ONCE_IN_TOTAL):
        assert limiter.allows(f"address {number}", 0)
        limiter.failed(f"address {number}", 0)
    assert not limiter.allows("another", 0)
    assert limiter.allows("another", SECOND_NS)


def test_right_tokens_are_not_counted() -> None:
    limiter = AttemptLimiter(0)
    assert all(limiter.allows("192.0.2.1", 0) for _ in range(1000))


def test_an_address_that_has_to_wait_is_not_forgotten_while_it_tries() -> None:
    """Memory is bounded, and other addresses do not set it free."""
    limiter, now_ns = AttemptLimiter(0), 0
    for number in range(2000):
        now_ns += SECOND_NS  # the total allows one
        limiter.failed(f"address {number}", now_ns)
        limiter.failed("192.0.2.1", now_ns)
    assert not limiter.allows("192.0.2.1", now_ns)
