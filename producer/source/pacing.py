"""When the next picture is due. Pure, except for `Clock`, which waits.

Deadlines are absolute, so that small delays do not add up to a slower rate.
"""

from __future__ import annotations

import threading

from fanlight.common import clock

_NS_PER_S = 1_000_000_000
# Wake-up delay of a thread on a busy machine, at most.
_WAKE_UP_NS = 20_000_000


def interval_ns(fps: float) -> int:
    """Nanoseconds from one picture to the next."""
    return max(1, round(_NS_PER_S / fps))


class Clock:
    """The clocks of a source that plays at a rate; tests replace it."""

    def monotonic_ns(self) -> int:
        return clock.monotonic_ns()

    def wall_ns(self) -> int:
        return clock.wall_ns()

    def wait_until(self, deadline_ns: int, interrupted: threading.Event) -> bool:
        """Block until the monotonic clock reaches `deadline_ns`; False at once if interrupted."""
        while (left_ns := deadline_ns - self.monotonic_ns()) > 0:
            if interrupted.wait(left_ns / _NS_PER_S):
                return False
        return not interrupted.is_set()


class Pacer:
    """Maps media time (nanoseconds from the first picture) to monotonic time.

    After a stall it continues from there: the missed pictures are late rather than all at once.

    Attributes:
        due_ns: when the picture is due that was waited for last; 0 at first.
    """

    def __init__(self, clock: Clock | None = None, rebase_after_ns: int = _NS_PER_S // 2) -> None:
        self._clock = clock or Clock()
        self._rebase_after_ns = rebase_after_ns
        self.due_ns = 0
        self._origin_ns: int | None = None
        self._captured_ns = 0

    def wait(self, media_ns: int, interrupted: threading.Event) -> int | None:
        """Wait until the picture at `media_ns` is due; its capture time, or None if interrupted."""
        now_ns, wall_ns = self._clock.monotonic_ns, self._clock.wall_ns
        self.due_ns = deadline_ns = self.deadline_ns(media_ns, now_ns())
        if not self._clock.wait_until(deadline_ns, interrupted):
            return None
        return self.capture_ns(deadline_ns, now_ns=now_ns(), wall_ns=wall_ns())

    def deadline_ns(self, media_ns: int, now_ns: int) -> int:
        """When the picture at `media_ns` is due; at or before `now_ns` if at once."""
        if self._origin_ns is None or now_ns - (self._origin_ns + media_ns) > self._rebase_after_ns:
            self._origin_ns = now_ns - media_ns
        return self._origin_ns + media_ns

    def capture_ns(self, deadline_ns: int, *, now_ns: int, wall_ns: int) -> int:
        """The capture time of a picture that was waited for: when it was due, as by a camera's clock.

        The wake-up delay counts as latency and must not make synchronised screens jump. A picture with a
        longer delay was delayed by its source.

        Args:
            now_ns: monotonic time.
            wall_ns: Unix time, now.
        """
        late_ns = now_ns - deadline_ns
        captured_ns = deadline_ns if 0 <= late_ns <= _WAKE_UP_NS else now_ns
        self._captured_ns = max(self._captured_ns, captured_ns)
        return wall_ns - (now_ns - self._captured_ns)


class MediaClock:
    """Converts the timestamps of a file to a media time from 0 that only moves forward.

    Files may lack timestamps, repeat them, jump back at a splice or restart, or leap by hours after a
    wrap. Such a picture follows the previous one at the nominal interval.

    Args:
        longest_step_ns: a longer pause is a leap; but three nominal intervals are a pause.
    """

    def __init__(self, interval_ns: int, longest_step_ns: int = 10 * _NS_PER_S) -> None:
        self._interval_ns = interval_ns
        self._longest_step_ns = max(longest_step_ns, 3 * interval_ns)
        self._last_ns = -interval_ns
        self._offset_ns: int | None = None
        self._pause_ns: int | None = None

    def start_over(self, pause_ns: int) -> None:
        """The file starts again; `pause_ns` is how long its last picture is shown, 0 if unknown."""
        self._offset_ns = None
        self._pause_ns = min(pause_ns, self._longest_step_ns) or None

    def place(self, pts_ns: int | None) -> int:
        """The media time of a picture, in nanoseconds; `pts_ns` is None without a timestamp."""
        following_ns = self._last_ns + (self._pause_ns or self._interval_ns)
        self._pause_ns = None
        if pts_ns is None:
            self._last_ns = following_ns
            return following_ns
        if self._offset_ns is None:
            self._offset_ns = following_ns - pts_ns
        media_ns = pts_ns + self._offset_ns
        if not 0 < media_ns - self._last_ns <= self._longest_step_ns:
            self._offset_ns = following_ns - pts_ns
            media_ns = following_ns
        self._last_ns = media_ns
        return media_ns


class TimestampChoice:
    """Chooses between the two times of a decoded picture, as FFmpeg's `best_effort_timestamp` does.

    Where a file stores its packets' order only (AVI, ASF), `pts` is a guess that B-frames prove wrong.
    """

    def __init__(self) -> None:
        self._last: list[int | None] = [None, None]
        self._faults = [0, 0]

    def best(self, pts: int | None, dts: int | None) -> int | None:
        """The one that has gone back less often so far; in any unit."""
        for index, ticks in enumerate((pts, dts)):
            if ticks is not None:
                last, self._last[index] = self._last[index], ticks
                self._faults[index] += last is not None and ticks <= last
        pts_faults, dts_faults = self._faults
        return pts if pts is not None and (dts is None or pts_faults <= dts_faults) else dts


class FrameRateLimiter:
    """Admits at most `fps` pictures per second, evenly spaced, from a source with a pace of its own."""

    def __init__(self, fps: float) -> None:
        self._interval_ns = interval_ns(fps)
        self._next_ns: int | None = None

    def admits(self, now_ns: int) -> bool:
        """Whether to pass on a picture that arrives at `now_ns` (monotonic)."""
        # Half an interval of tolerance: no picture of a source that has this rate may be lost to jitter.
        if self._next_ns is not None and now_ns < self._next_ns - self._interval_ns // 2:
            return False
        if self._next_ns is None or now_ns - self._next_ns > self._interval_ns:
            self._next_ns = now_ns
        self._next_ns += self._interval_ns
        return True
