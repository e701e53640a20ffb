"""The last step of a frame of any source: it is presented at its time, if it is still fresh then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from fanlight.common import clock
from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.pixels import Pixels
from fanlight.common.shm.reader import SharedPicture
from fanlight.consumer.frame import Frame
from fanlight.consumer.stats import MAX_UNCOUNTED, ConsumerCounters, Outcome, Presented

_LONGEST_PAUSE_NS: Final = 100_000_000
# After a shared frame is shown, and at most such a share of a frame interval.
_LET_SHOW_S: Final = 0.006
_LET_SHOW_SHARE: Final = 0.2
# What the constructor of a named tuple calls; see `common.shm.reader`.
_new: Final = tuple.__new__


class Delivery:
    """Makes a `Frame` of a picture. Belongs to the presenting thread; `now_ns` is the monotonic clock."""

    def __init__(
        self,
        max_age_ns: int,
        counters: ConsumerCounters,
        now_ns: Callable[[], int] = clock.monotonic_ns,
    ) -> None:
        self._max_age_ns = max_age_ns
        self._counters = counters
        self._now_ns = now_ns
        self._shared: SharedPicture | None = None
        self._lost = 0
        self._let_show_s = 0.0
        # Never released: to acquire it with a timeout is the cheapest precise wait.
        self._pause = threading.Lock()
        self._pause.acquire()

    def next(self) -> None:
        """The program is done with the last frame, and asks for the next one."""
        if self._let_show_s:
            self.let_others_show()
        shared, self._shared = self._shared, None
        if shared is not None and not shared.valid:
            self._counters.count("expired")
        if len(self._counters.presented) >= MAX_UNCOUNTED:
            self._counters.settle()

    def present(
        self,
        header: FrameHeader,
        image: Pixels,
        received_ns: int,
        captured_ns: int,
        due_ns: int | None,
        lost: int,
        picture: SharedPicture | None = None,
    ) -> Frame | None:
        """The frame, now that it is presented; None if it has become too old.

        Args:
            received_ns: Unix time of arrival.
            captured_ns: when it was captured, by our monotonic clock.
            due_ns: when it is to be presented, likewise, if that is not past; None for at once.
            lost: frames of the stream that never arrived before this one, since the consumer started.
            picture: where the pixels are, if a hub shares them.
        """
        now_ns = self._now_ns()
        if due_ns is not None and due_ns > now_ns:
            if picture is not None:
                # All the others wait for the same moment: what is left to do afterwards can wait.
                self._let_show_s = min(_LET_SHOW_S, _LET_SHOW_SHARE / header.fps)
            self._pause.acquire(timeout=min(due_ns - now_ns, _LONGEST_PAUSE_NS) / 1e9)
            now_ns = self._now_ns()
        age_ns = now_ns - captured_ns
        counters = self._counters
        if age_ns > self._max_age_ns or (picture is not None and not picture.valid):
            if picture is not None:
                counters.received(header, 0, received_ns)
            counters.dropped(header, received_ns, Outcome.LATE)
            return None
        presented_ns = clock.wall_ns()
        skew_ns = None if due_ns is None else now_ns - due_ns
        shared = picture is not None
        counters.presented.append(
            _new(Presented, (header, received_ns, presented_ns, age_ns, skew_ns, now_ns, shared))
        )
        self._shared = picture
        lost_before, self._lost = self._lost, lost
        lost -= lost_before
        return _new(Frame, (image, header, received_ns, presented_ns, age_ns / 1e9, lost, picture))

    def let_others_show(self) -> None:
        """All screens of this host show the same shared frame now: what is left to do here can wait.

        To be called as soon as a frame is shown; without effect but for shared frames under `sync`.
        """
        pause_s, self._let_show_s = self._let_show_s, 0.0
        if pause_s:
            self._pause.acquire(timeout=pause_s)
