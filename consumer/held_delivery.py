"""Frames that one thread takes and another one presents: each is counted when the program gets it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from fanlight.common import clock
from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.pixels import Pixels
from fanlight.common.shm.reader import SharedPicture
from fanlight.consumer.delivery import Delivery, FramePixels, ResultsOf
from fanlight.consumer.frame import NO_RESULTS, Frame, PictureMemory
from fanlight.consumer.stats import MAX_UNCOUNTED, ConsumerCounters, Outcome, Presented


class Held(NamedTuple):
    """A frame that was taken and is not presented yet."""

    frame: Frame
    taken: Presented


class HeldDelivery(Delivery):
    """Creates frames on the reading thread; `present_held` and `drop` belong to whoever presents them.

    `present` does not count: its frame is passed to `hold`, and then to one of the other two.

    Args:
        on_wait: called before `present` waits until a frame is due.
    """

    def __init__(
        self,
        max_age_ns: int,
        counters: ConsumerCounters,
        now_ns: Callable[[], int] = clock.monotonic_ns,
        pixels: FramePixels = FramePixels.OWN,
        on_wait: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(max_age_ns, counters, now_ns, pixels)
        self._taken: deque[Presented] = deque(maxlen=1)
        self._note = self._taken.append
        self._on_wait = on_wait
        # Of the program: frames lost before those that were dropped here; the memory of its last frame.
        self._lost_before = 0
        self._last: PictureMemory | None = None
        self._held_results_of: ResultsOf | None = None

    def add_results(self, results_of: ResultsOf) -> None:
        self._held_results_of = results_of  # not before a frame is presented

    def finish_last(self) -> None:
        self._shared = None  # whether the program was in time is seen where it gets its frames
        super().finish_last()

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
        if due_ns is not None and due_ns > self._now_ns():
            self._on_wait()
        return super().present(header, image, received_ns, captured_ns, due_ns, lost, picture)

    def hold(self, frame: Frame) -> Held:
        """The frame that `present` has just returned."""
        return Held(frame, self._taken.pop())

    def finish_presented(self) -> None:
        """The program has finished with the last frame, since it requests the next one."""
        last, self._last = self._last, None
        if last is not None and not last.valid:
            self.counters.count("expired")

    def present_held(self, held: Held) -> Frame | None:
        """The frame, as old as it is now; None if it is too old."""
        frame, taken = held
        now_ns = self._now_ns()
        age_ns = now_ns - frame.captured_ns
        if age_ns > self._max_age_ns or not frame.valid:
            self.drop(held, Outcome.LATE)
            return None
        presented_ns = clock.wall_ns()
        skew_ns = None if taken.skew_ns is None else taken.skew_ns + now_ns - taken.now_ns
        self.counters.presented.append(
            taken._replace(presented_ns=presented_ns, age_ns=age_ns, skew_ns=skew_ns, now_ns=now_ns)
        )
        if len(self.counters.presented) >= MAX_UNCOUNTED:
            self.counters.count_presented()
        self._last = frame.memory
        lost, self._lost_before = frame.lost + self._lost_before, 0
        results = NO_RESULTS if self._held_results_of is None else self._held_results_of(frame.header)
        return frame._replace(presented_ns=presented_ns, age_s=age_ns / 1e9, lost=lost, results=results)

    def drop(self, held: Held, outcome: Outcome) -> None:
        """Count a frame that is not presented."""
        header, received_ns = held.frame.header, held.frame.received_ns
        if held.taken.shared:
            self.counters.received(header, 0, received_ns)
        self.counters.dropped(header, received_ns, outcome)
        self._lost_before += held.frame.lost
