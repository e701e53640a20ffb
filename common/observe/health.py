"""The result of a health check: whether frames flow."""

from __future__ import annotations

from typing import Final, NamedTuple

BLOCKED: Final = "broker blocked: it is short of memory or disk"


class Health(NamedTuple):
    """The answer of `/healthz`. If not `ok`, `reason` is a sentence that explains why no frames flow."""

    ok: bool
    reason: str


def seconds_since(then_ns: int | None, now_ns: int) -> float | None:
    """Seconds between two monotonic times; None if `then_ns` is None."""
    return None if then_ns is None else (now_ns - then_ns) / 1e9
