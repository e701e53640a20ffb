"""Deadlines for tests: one scale for all of them, and a wait that ends as soon as it may."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

_SCALE = float(os.environ.get("FANLIGHT_TEST_TIMEOUT_SCALE", "1"))
_FIRST_STEP_S = 0.002
_LONGEST_STEP_S = 0.05


def scaled(seconds: float) -> float:
    """A deadline, stretched for slow machines by `FANLIGHT_TEST_TIMEOUT_SCALE`."""
    return seconds * _SCALE


def wait_until(predicate: Callable[[], object], timeout_s: float, what: str = "") -> None:
    """Return as soon as `predicate` holds. `timeout_s` is scaled.

    For state that offers no event to wait for (another process, the broker). It looks often at first
    and then less, so that waiting takes nothing away from what it waits for. Where there is an event,
    wait for that: `event.wait(scaled(5))`.

    Raises:
        AssertionError: it did not hold in time; says `what` was awaited.
    """
    deadline = time.monotonic() + scaled(timeout_s)
    step_s = _FIRST_STEP_S
    while not predicate():
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise AssertionError(f"not within {scaled(timeout_s):g} s: {what or predicate}")
        time.sleep(min(step_s, left_s))
        step_s = min(step_s * 1.5, _LONGEST_STEP_S)


async def until(predicate: Callable[[], object]) -> None:
    """The same on an event loop, within the deadline of its caller (`asyncio.timeout`)."""
    while not predicate():
        await asyncio.sleep(_FIRST_STEP_S)
