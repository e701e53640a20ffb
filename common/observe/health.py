"""Whether frames flow."""

from __future__ import annotations

from typing import Final, NamedTuple

BLOCKED: Final = "broker blocked: it is short of memory or disk"


class Health(NamedTuple):
    """What `/healthz` says; if frames do not flow, the reason is why: one sentence."""

    ok: bool
    reason: str


def seconds_since(then_ns: int | None, now_ns: int) -> float | None:
    """Seconds between two monotonic times; None since something that has not happened yet."""
    return None if then_ns is None else (now_ns - then_ns) / 1e9
