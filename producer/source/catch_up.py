"""Skips packets of a live stream that arrive faster than they can be decoded. Pure.

Packets that are not read in time queue up in the socket buffers of both hosts: megabytes, seconds of video
that seem to have just arrived. Reading without decoding is quick, so several consecutive packets that
arrive without a wait show that more are queued behind them.
"""

from __future__ import annotations

# A fraction of an interval: reading a queued packet takes less, even on a busy machine.
_NO_WAIT = 6
# The network may deliver this many at once.
_IN_A_ROW = 8
_LONGEST_QUEUE_NS = 300_000_000


class CatchUp:
    """Decides which packets to skip.

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

    def skips(self, *, requested_ns: int, arrived_ns: int, key: bool) -> bool:
        """Whether not to decode a packet. Times are monotonic.

        Args:
            requested_ns: when the read began.
            arrived_ns: when the read returned it.
        """
        if arrived_ns - requested_ns > self._interval_ns // _NO_WAIT:
            self._row = 0
        self._row += 1
        if self._row == 1:
            self._since_ns = arrived_ns
        if self._intra_only:
            if self._row > _IN_A_ROW and arrived_ns - self._decoded_ns < self._interval_ns:
                return True
            self._decoded_ns = arrived_ns
            return False
        if self._row > _IN_A_ROW and arrived_ns - self._since_ns > _LONGEST_QUEUE_NS:
            self._to_keyframe, self._since_ns = True, arrived_ns
        self._to_keyframe = self._to_keyframe and not key
        return self._to_keyframe
