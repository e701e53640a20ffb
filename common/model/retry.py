"""How long to wait before trying again: data, not a loop."""

from __future__ import annotations

import random
from collections.abc import Iterator


def backoff(
    rng: random.Random, *, first_s: float = 0.1, factor: float = 1.6, cap_s: float = 2.0
) -> Iterator[float]:
    """Delays in seconds, for ever: growing, capped, and jittered over their upper half.

    Jitter keeps a hundred consumers that lost the same broker from coming back in one instant. The
    cap is low because a broker that returns is to be found within seconds.
    """
    delay_s = min(first_s, cap_s)
    while True:
        yield delay_s * rng.uniform(0.5, 1.0)
        delay_s = min(delay_s * factor, cap_s)
