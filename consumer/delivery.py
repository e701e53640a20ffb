"""The last step of every frame: waits until it is due, and drops it if it is too old by then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import numpy as np

from fanlight.common import clock
from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.pixels import Pixels
from fanlight.common.shm.reader import SharedPicture
from fanlight.consumer.frame import NO_RESULTS, Frame
from fanlight.consumer.stats import MAX_UNCOUNTED, ConsumerCounters, Outcome, Presented

if TYPE_CHECKING:
    from fanlight.common.model.result import Result

_LONGEST_PAUSE_NS: Final = 100_000_000
# Pause after a shared frame is shown, and its limit as a fraction of a frame interval.
_YIELD_S: Final = 0.006
_YIELD_FRACTION: Final = 0.2
# Called by the constructor of a named tuple; see `common.shm.reader`.
_new: Final = tuple.__new__

ResultsOf = Callable[[FrameHeader], "Mapping[str, Result]"]


class FramePixels(Enum):
    """What `Frame.image` is."""

    AS_DECODED = auto()
    """Perhaps the memory of a hub, perhaps with padded rows: for sinks, which look at it once."""
    CONTIGUOUS = auto()
    """Perhaps the memory of a hub."""
    OWN = auto()
    """Contiguous, and memory that nobody writes to while it is referenced."""


class Delivery:
    """Creates frames. Belongs to the presenting thread.

    Args:
        now_ns: the monotonic clock.
        pixels: what frames get: `AS_DECODED`, `CONTIGUOUS` or `OWN`.
    """

    def __init__(
        self,
        max_age_ns: int,
        counters: ConsumerCounters,
        now_ns: Callable[[], int] = clock.monotonic_ns,
        pixels: FramePixels = FramePixels.AS_DECODED,
    ) -> None:
        self._max_age_ns = max_age_ns
        self.counters = counters
        # How a frame is noted that is presented.
        self._note: Callable[[Presented], None] = counters.presented.append
        self._now_ns = now_ns
        self._pixels = pixels
        self._results_of: ResultsOf | None = None
        self._shared: SharedPicture | None = None
        self._lost = 0
        self._yield_s = 0.0
        # Never released: acquiring it with a timeout is the cheapest precise wait.
        self._pause = threading.Lock()
        self._pause.acquire()

    def add_results(self, results_of: ResultsOf) -> None:
        """Give frames what this returns: what detectors found in a frame that is presented now."""
        self._results_of = results_of

    def finish_last(self) -> None:
        """The program has finished with the last frame, since it requests the next one."""
        if self._yield_s:
            self.yield_to_viewers()
        shared, self._shared = self._shared, None
        if shared is not None and not shared.valid:
            self.counters.count("expired")
        if len(self.counters.presented) >= MAX_UNCOUNTED:
            self.counters.count_presented()

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
        """Wait until `due_ns` and return the frame; None if it is too old by then.

        Args:
            received_ns: Unix time of arrival.
            captured_ns: capture time by this host's monotonic clock.
            due_ns: playout time by the same clock; None for at once.
            lost: total of lost frames before this one.
            picture: the shared memory of `image`, if it comes from a hub.
        """
        if self._pixels is not FramePixels.AS_DECODED:
            image = self._for_program(image, picture)
        now_ns = self._now_ns()
        if due_ns is not None and due_ns > now_ns:
            if picture is not None:
                # All viewers of the hub wait for the same moment.
                self._yield_s = min(_YIELD_S, _YIELD_FRACTION / header.fps)
            self._pause.acquire(timeout=min(due_ns - now_ns, _LONGEST_PAUSE_NS) / 1e9)
            now_ns = self._now_ns()
        age_ns = now_ns - captured_ns
        counters = self.counters
        if age_ns > self._max_age_ns or (picture is not None and not picture.valid):
            if picture is not None:
                counters.received(header, 0, received_ns)
            counters.dropped(header, received_ns, Outcome.LATE)
            return None
        presented_ns = clock.wall_ns()
        skew_ns = None if due_ns is None else now_ns - due_ns
        shared = picture is not None
        if self._pixels is FramePixels.OWN:
            picture = None  # copied, and valid after that
        self._note(_new(Presented, (header, received_ns, presented_ns, age_ns, skew_ns, now_ns, shared)))
        self._shared = picture
        lost_before, self._lost = self._lost, lost
        lost -= lost_before
        results = NO_RESULTS if self._results_of is None else self._results_of(header)
        age_s = age_ns / 1e9
        return _new(
            Frame, (
                image, header, received_ns, presented_ns, age_s, lost, picture, results, None, captured_ns,
            ),
        )  # fmt: skip

    def _for_program(self, image: Pixels, picture: SharedPicture | None) -> Pixels:
        """The pixels as a program gets them: contiguous, and its own if it has not asked for views."""
        if picture is not None and self._pixels is FramePixels.OWN:
            image = np.array(image)
        # Otherwise copied only if its rows are padded, which those of usual widths are not.
        image = np.ascontiguousarray(image)
        image.flags.writeable = False
        return image

    def yield_to_viewers(self) -> None:
        """Pause briefly, so that the other viewers on this host get the processor to show the same frame.

        Call it as soon as a frame is shown; it only affects shared frames under `sync`.
        """
        pause_s, self._yield_s = self._yield_s, 0.0
        if pause_s:
            self._pause.acquire(timeout=pause_s)
