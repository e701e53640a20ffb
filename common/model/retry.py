"""Delays between attempts to connect. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator


def backoff(
    rng: random.Random, *, first_s: float = 0.1, factor: float = 1.6, cap_s: float = 2.0
) -> Iterator[float]:
    """Yield delays in seconds without end: exponential, capped, with jitter in the upper half.

    The jitter spreads the attempts of a hundred consumers that lost the same broker. The cap is low so that
    a broker that is back is found within seconds.
    """
    delay_s = min(first_s, cap_s)
    while True:
        yield delay_s * rng.uniform(0.5, 1.0)
        delay_s = min(delay_s * factor, cap_s)
