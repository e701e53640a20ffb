"""One or more streams, each read by a thread of its own, as one source of frames."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from fanlight.common.model import units
from fanlight.common.model.errors import ConfigError, FanlightError
from fanlight.common.runtime.waker import Waker
from fanlight.consumer.delivery import FramePixels
from fanlight.consumer.frame import Frame
from fanlight.consumer.held_delivery import Held
from fanlight.consumer.merge import Merge, Waiter
from fanlight.consumer.reading_thread import ReadingThread
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.stats import ConsumerStats

_STOP_S: Final = 1.8
# Each has a connection and two threads.
_MOST: Final = 64
_RULE: Final = f"1 to {_MOST} names of streams, each once, as in streams=['left', 'right']"


class SeveralStreams:
    """Beside `Reception`, with the same methods. Thread-safe; `take` also for several threads.

    A stream that ends or fails leaves the others alone.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        streams: Sequence[str],
        pixels: FramePixels = FramePixels.OWN,
        decode: bool = True,
    ) -> None:
        self._threads = {
            name: ReadingThread(replace(settings, stream=name), pixels, decode) for name in streams
        }
        self._merge: Merge[Held, Frame] = Merge([each.input for each in self._threads.values()])
        self._stopped = False

    @property
    def ended(self) -> bool:
        """True once no more frames will be presented."""
        return self._stopped or self._merge.ended

    @property
    def over(self) -> bool:
        """Whether all of them have ended in good order."""
        return all(each.reception.over for each in self._threads.values())

    @property
    def ended_streams(self) -> tuple[str, ...]:
        """The names of those that give no more frames."""
        return tuple(name for name, each in self._threads.items() if self._stopped or each.input.ended)

    @property
    def failures(self) -> Mapping[str, FanlightError]:
        """Why streams ended by themselves, by their names."""
        failed = ((name, each.failure) for name, each in self._threads.items())
        return {name: error for name, error in failed if error is not None}

    @property
    def failure(self) -> FanlightError | None:
        """The first of `failures`."""
        return None if self._stopped else next(iter(self.failures.values()), None)

    def start(self) -> None:
        """Start receiving; returns at once. Call it once.

        Raises:
            SinkError: with `share`, this host has no shared memory.
        """
        for each in self._threads.values():
            each.start(self._merge)

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """Unsubscribe, and wait for the end of the threads. Idempotent."""
        deadline_s = time.monotonic() + timeout_s
        self._stopped = True
        for each in self._threads.values():
            each.end()
        for each in self._threads.values():
            each.join(max(0.0, deadline_s - time.monotonic()))

    def stats(self, stream: str) -> ConsumerStats:
        """A snapshot of the statistics of one of the streams."""
        return self._threads[stream].reception.stats()

    def take(self, timeout_s: float | None = None) -> Frame | None:
        """Wait for the next frame of any stream; None on a timeout, or once `ended`."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        waker = Waker()
        try:
            self.join(waker)
            while True:
                frame = self.next(waker)
                if frame is not None or self.ended:
                    return frame
                left_s = self.left_s(deadline_s)
                if left_s == 0:
                    return None
                waker.wait(left_s)
        finally:
            try:
                self.leave(waker)
            except BaseException:  # of a signal handler, just now
                self.leave(waker)
                raise

    # For those who wait in another way, as coroutines do: see `take`.

    def join(self, waiter: Waiter) -> None:
        """A call begins to wait; to be followed by `leave`."""
        for each in self._threads.values():
            each.finish_presented()
        self._merge.join(waiter)

    def leave(self, waiter: Waiter) -> None:
        """It waits no more."""
        self._merge.leave(waiter)

    def next(self, waiter: Waiter) -> Frame | None:
        """The frame to present now; None to wait."""
        return None if self._stopped else self._merge.next(waiter)

    def left_s(self, deadline_s: float | None) -> float | None:
        """How long to wait until then (monotonic); None for no limit, 0 if the wait is over."""
        if deadline_s is None:
            return None
        left_s = max(0.0, deadline_s - time.monotonic())
        # Until the threads have looked at what is there: it takes milliseconds.
        return left_s if left_s or self._merge.settled else None


def checked_streams(streams: Sequence[str], stream: str) -> tuple[str, ...]:
    """The names of the streams of a consumer.

    Raises:
        ConfigError: they cannot be used, or not beside `stream`.
    """
    if stream != ConsumerSettings.stream:
        raise ConfigError("streams", streams, f"give streams or stream={stream!r}, not both")
    try:
        names = () if isinstance(streams, (str, bytes)) else tuple(map(units.NAME.check, streams))
    except (TypeError, ValueError):
        names = ()
    if not 0 < len(names) <= _MOST or len(set(names)) != len(names):
        raise ConfigError("streams", streams, f"allowed is {_RULE}")
    return names
