"""Checks the capture time that a program passes with a picture. Pure."""

from __future__ import annotations

from typing import Final, SupportsIndex

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.units import rough_duration, whole_number

# Further from now is a time of another unit, clock or time zone.
_NEAR_S: Final = 600.0
_LONGEST_NS: Final = 10**24  # shown; more does not fit a float
_ALLOWED: Final = "allowed is a whole number: the Unix time in nanoseconds, as of time.time_ns()"


def present_time(given: SupportsIndex, now_ns: int, max_age_s: float) -> int:
    """The capture time as an `int`; `now_ns` is Unix time.

    Args:
        max_age_s: a picture up to this age may be published.

    Raises:
        ConfigError: it is no whole number, or too far from now.
    """
    try:
        capture_ns = whole_number(given)
    except TypeError:
        raise ConfigError("capture_ns", given, _ALLOWED) from None
    away_ns = abs(capture_ns - now_ns)
    if away_ns > max(_NEAR_S, max_age_s) * 1e9:
        side = "after" if capture_ns > now_ns else "before"
        raise ConfigError(
            "capture_ns",
            capture_ns,
            f"it is {rough_duration(min(away_ns, _LONGEST_NS) / 1e9)} {side} now; {_ALLOWED}",
        )
    return capture_ns
