"""When the ages of frames say that a wall clock was set: the time is to be asked for at once. Pure.

A producer's clock that steps forward makes its frames come from the future; one that steps back, or a step
forward of our own, makes all of them too old. Until the producer has been asked again nobody knows how old
they are, and what is not known to be fresh is not shown.
"""

from __future__ import annotations

from typing import Final

# Half a round trip may be missing from the estimate of the other clock.
TOLERANCE_NS: Final = 200_000_000
_FIRST_INTERVAL_NS: Final = 100_000_000
# Frames may be late for another reason: an overloaded broker is not to be asked often.
_LONGEST_INTERVAL_NS: Final = 1_000_000_000
# A producer of another language may not know the question.
_PATIENCE_NS: Final = 1_000_000_000


class ClockDoubt:
    """`asks` and `answered` belong to the receiving thread; `believes` may be called by any.

    All `now_ns` are monotonic.
    """

    def __init__(self, max_age_ns: int) -> None:
        self._max_age_ns = max_age_ns
        self._since_ns: int | None = None
        self._asked_ns: int | None = None
        self._interval_ns = _FIRST_INTERVAL_NS
        self._ever_answered = False
        self._confirmed = False

    def asks(self, age_ns: int, now_ns: int) -> bool:
        """True if the time is to be asked for now, after a frame that seems to be so old."""
        if -TOLERANCE_NS <= age_ns <= self._max_age_ns:
            self._since_ns = None
            self._interval_ns = _FIRST_INTERVAL_NS
            return False
        if self._since_ns is None:
            self._since_ns, self._confirmed = now_ns, False
        if self._asked_ns is not None and now_ns - self._asked_ns < self._interval_ns:
            return False
        if self._asked_ns is not None and self._asked_ns >= self._since_ns:
            self._interval_ns = min(2 * self._interval_ns, _LONGEST_INTERVAL_NS)
        self._asked_ns = now_ns
        return True

    def answered(self, asked_ns: int) -> None:
        """The producer has answered what it was asked then."""
        self._ever_answered = True
        if self._since_ns is not None and asked_ns >= self._since_ns:
            self._confirmed = True

    def believes(self, age_ns: int, now_ns: int) -> bool:
        """False for a frame from the future, as long as that can be the fault of a clock."""
        since_ns = self._since_ns
        if age_ns >= -TOLERANCE_NS:
            return True
        if since_ns is None:
            return False
        return self._confirmed or (not self._ever_answered and now_ns - since_ns > _PATIENCE_NS)

    def restart(self) -> None:
        """Another producer: nothing is known of its clock."""
        self._since_ns = None
        self._interval_ns = _FIRST_INTERVAL_NS
        self._ever_answered = False
