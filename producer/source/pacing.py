"""When the next picture is due. Pure, except for `wait_until`, which does the waiting.

Deadlines are absolute, so that small delays do not add up to a slower rate.
"""

from __future__ import annotations

import threading

from fanlight.common.clock import monotonic_ns

_NS_PER_S = 1_000_000_000
# A busy machine takes so long at most to run a thread that is due.
_WAKE_UP_NS = 20_000_000
# Of an interval: a packet that was there already takes less, on a busy machine too.
_NO_WAIT = 6
# The network may hand on so many at once.
_IN_A_ROW = 8
_LONGEST_BACKLOG_NS = 300_000_000


def interval_ns(fps: float) -> int:
    """Nanoseconds from one picture to the next."""
    return max(1, round(_NS_PER_S / fps))


class Pacer:
    """Lays media time (nanoseconds from the first picture) onto monotonic time.

    After a stall it starts from where it is: the pictures that were missed are shown late rather than
    all at once.
    """

    def __init__(self, rebase_after_ns: int = _NS_PER_S // 2) -> None:
        self._rebase_after_ns = rebase_after_ns
        self._origin_ns: int | None = None
        self._captured_ns = 0

    def deadline_ns(self, media_ns: int, now_ns: int) -> int:
        """When the picture at `media_ns` is due; at or before `now_ns` if at once."""
        if self._origin_ns is None or now_ns - (self._origin_ns + media_ns) > self._rebase_after_ns:
            self._origin_ns = now_ns - media_ns
        return self._origin_ns + media_ns

    def capture_ns(self, deadline_ns: int, *, now_ns: int, wall_ns: int) -> int:
        """The capture time of a picture that was waited for: when it was due, as by a camera's clock.

        What the system took longer to wake up belongs to the latency, and must not make synchronised
        screens jump. A picture that is later than that was held up by its source.

        Args:
            now_ns: monotonic time.
            wall_ns: Unix time, now.
        """
        late_ns = now_ns - deadline_ns
        captured_ns = deadline_ns if 0 <= late_ns <= _WAKE_UP_NS else now_ns
        self._captured_ns = max(self._captured_ns, captured_ns)
        return wall_ns - (now_ns - self._captured_ns)


class MediaClock:
    """Turns the timestamps of a file into a media time from 0 that only moves forward.

    Files lack timestamps, repeat them, jump back at a splice or when they start over, or leap by hours
    after a wrap. Such a picture simply follows the one before it at the nominal interval.
    """

    def __init__(self, interval_ns: int, longest_step_ns: int = 10 * _NS_PER_S) -> None:
        self._interval_ns = interval_ns
        self._longest_step_ns = longest_step_ns
        self._last_ns = -interval_ns
        self._offset_ns: int | None = None

    def place(self, pts_ns: int | None) -> int:
        """The media time of a picture, in nanoseconds; `pts_ns` None if the file does not say."""
        following_ns = self._last_ns + self._interval_ns
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


class Thinner:
    """Lets at most `fps` pictures a second through, evenly, from a source that sets its own pace."""

    def __init__(self, fps: float) -> None:
        self._interval_ns = interval_ns(fps)
        self._next_ns: int | None = None

    def admits(self, now_ns: int) -> bool:
        """Whether the picture that arrived now is one of those."""
        # Half an interval of tolerance: a source that already has this rate arrives with jitter, and
        # none of its pictures may be lost to that.
        if self._next_ns is not None and now_ns < self._next_ns - self._interval_ns // 2:
            return False
        if self._next_ns is None or now_ns - self._next_ns > self._interval_ns:
            self._next_ns = now_ns
        self._next_ns += self._interval_ns
        return True


class Backlog:
    """Which packets of a live stream to leave out since they come faster than they can be decoded.

    What is not decoded in time waits in the buffers of two operating systems, megabytes of it, and is
    seconds old when its turn comes, though it seems to have just arrived. Reading alone is quick: a few
    packets in a row that nobody had to wait for tell that more are waiting behind them.

    Args:
        interval_ns: from one picture to the next, nominally.
        intra_only: every packet can be decoded alone.
    """

    def __init__(self, interval_ns: int, *, intra_only: bool) -> None:
        self._interval_ns = interval_ns
        self._intra_only = intra_only
        self._row = 0
        self._since_ns = 0
        self._decoded_ns = 0
        self._to_keyframe = False

    def leaves_out(self, *, asked_ns: int, came_ns: int, key: bool) -> bool:
        """Whether not to decode a packet. Times are monotonic.

        Args:
            asked_ns: when it was asked for.
            came_ns: when it was there.
        """
        if came_ns - asked_ns > self._interval_ns // _NO_WAIT:
            self._row = 0
        self._row += 1
        if self._row == 1:
            self._since_ns = came_ns
        if self._intra_only:
            if self._row > _IN_A_ROW and came_ns - self._decoded_ns < self._interval_ns:
                return True
            self._decoded_ns = came_ns
            return False
        if self._row > _IN_A_ROW and came_ns - self._since_ns > _LONGEST_BACKLOG_NS:
            self._to_keyframe, self._since_ns = True, came_ns
        self._to_keyframe = self._to_keyframe and not key
        return self._to_keyframe


def wait_until(deadline_ns: int, interrupted: threading.Event) -> bool:
    """Block until the monotonic clock reaches `deadline_ns`; False at once if interrupted."""
    while (left_ns := deadline_ns - monotonic_ns()) > 0:
        if interrupted.wait(left_ns / _NS_PER_S):
            return False
    return not interrupted.is_set()
