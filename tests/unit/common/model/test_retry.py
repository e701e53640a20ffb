from __future__ import annotations

import random
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.retry import backoff


class Fixed(random.Random):
    """A generator whose every draw lies at one place of the interval."""

    def __init__(self, place: float) -> None:
        super().__init__(0)
        self.place = place

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self.place


def delays(rng: random.Random, n: int, **shape: float) -> list[float]:
    return list(islice(backoff(rng, **shape), n))


def test_by_default_a_broker_that_returns_is_asked_within_two_seconds() -> None:
    assert delays(Fixed(1.0), 1) == pytest.approx([0.1])
    assert max(delays(Fixed(1.0), 100)) == 2.0
    assert sum(delays(Fixed(1.0), 5)) < 2.0


def test_the_first_delay_is_random_too() -> None:
    first = {delays(random.Random(seed), 1)[0] for seed in range(100)}
    assert len(first) == 100
    assert min(first) < 0.06
    assert max(first) > 0.09


@given(
    st.integers(),
    st.floats(0.001, 10),
    st.floats(1, 10),
    st.floats(0.001, 10),
)
def test_every_delay_lies_in_the_upper_half_of_its_step_and_under_the_cap(
    seed: int, first_s: float, factor: float, cap_s: float
) -> None:
    for n, delay_s in enumerate(
        delays(random.Random(seed), 12, first_s=first_s, factor=factor, cap_s=cap_s)
    ):
        step_s = min(first_s * factor**n, cap_s)
        assert step_s * 0.5 * (1 - 1e-9) <= delay_s <= step_s * (1 + 1e-9)
        assert delay_s <= cap_s
