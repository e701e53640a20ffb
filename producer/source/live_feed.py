"""Reads a camera or live stream on a thread of its own and keeps the newest picture.

Neither PyAV nor OpenCV can interrupt a call: a name lookup, a connect, a read from a camera whose driver
hangs. A feed still times out: it abandons its thread, which closes the device and ends as soon as the
call returns. The thread is a daemon, so that a call which never returns does not keep the process alive.
"""

from __future__ import annotations

import threading
from typing import Protocol

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.errors import SourceError
from fanlight.common.model.stall import StallLimit
from fanlight.common.runtime.slot import NewestSlot
from fanlight.producer.source.base import Captured
from fanlight.producer.source.pacing import FrameRateLimiter
from fanlight.producer.stats import Drop, Drops

_JOIN_S = 0.5


class NoAnswerError(SourceError):
    """A grabber did not open in time."""


class Grabber(Protocol):
    """A device or connection. All methods are called on the feed's reader thread."""

    @property
    def due_ns(self) -> int:
        """Until this monotonic time no picture is missed: the next one waits for it. Any thread."""
        ...

    def open(self) -> None:
        """Open the device or connection. May block; raises SourceError or ConfigError."""
        ...

    def grab(self, stop: threading.Event) -> Captured | None:
        """The next picture; None when there are no more, or soon after `stop`. May block."""
        ...

    def close(self) -> None:
        """Release everything; also without `open`, and then on the caller's thread."""
        ...


class LiveFeed:
    """The newest pictures of a camera or URL, for the capture thread; `interrupt` alone is thread-safe.

    Args:
        name: for messages.
        drops: counts the pictures that are not returned.
        open_s: how long to wait for a grabber to open.
        stall_s: how long to wait for a picture; None for three intervals of the source, see `StallLimit`.

    Attributes:
        stall: the limit for the next picture.
    """

    def __init__(self, name: str, drops: Drops, *, open_s: float, stall_s: float | None) -> None:
        self.interrupted = threading.Event()
        self.stall = StallLimit(stall_s)
        self._name = name
        self._drops = drops
        self._open_s = open_s
        self._limiter: FrameRateLimiter | None = None
        self._reader: _Reader | None = None

    def open(self, grabber: Grabber) -> bool:
        """Close the previous grabber and wait until this one is open. False if interrupted.

        Raises:
            SourceError: it failed.
            NoAnswerError: it took longer than `open_s`.
            ConfigError: from the grabber.
        """
        self.close()
        self.stall.reopened()
        self._limiter = None
        self._reader = reader = _Reader(grabber, self._name, self._drops)
        if self.interrupted.is_set():
            grabber.close()
            return False
        if not reader.open(self._open_s):
            raise NoAnswerError(f"{self._name}: no answer for {self._open_s:g} s")
        return not self.interrupted.is_set()

    def limit(self, fps: float | None) -> None:
        """Return at most `fps` pictures per second from now on; None for no limit."""
        self._limiter = FrameRateLimiter(fps) if fps else None

    def read(self) -> Captured | None:
        """The newest picture, each once; None after the last one or after `interrupt`.

        Raises:
            SourceError: the grabber failed, or there was no new picture in time.
        """
        while not self.interrupted.is_set() and self._reader is not None:
            captured = self._reader.take(self.stall.seconds)
            if captured is None:
                if self._reader.ended:
                    return None
                silent_s = self.stall.seconds
                self.stall.stalled()
                raise SourceError(f"{self._name}: no frame for {silent_s:g} s")
            self.stall.arrived(captured.captured_ns)
            if self._limiter is None or self._limiter.admits(monotonic_ns()):
                return captured
            self._drops[Drop.LIMITED] += 1
        return None

    def interrupt(self) -> None:
        """Make `open` and `read` return, and the thread end as soon as it can. Thread-safe, permanent."""
        self.interrupted.set()
        if (reader := self._reader) is not None:
            reader.stop()

    def close(self) -> None:
        """Stop reading, and wait briefly for the reader thread to end."""
        if self._reader is not None:
            self._reader.stop()
            self._reader.join()
            self._reader = None


class _Reader:
    """Opens, reads and closes one grabber, on a thread of its own."""

    def __init__(self, grabber: Grabber, name: str, drops: Drops) -> None:
        self.newest: NewestSlot[Captured] = NewestSlot()
        self._grabber = grabber
        self._drops = drops
        self._counting = threading.Lock()
        self._stop = threading.Event()
        self._opened = False
        self._open_done = threading.Event()  # opened, failed or stopped
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"source {name}", daemon=True)

    def open(self, timeout_s: float) -> bool:
        """Start the thread and wait until the grabber is open; False on a timeout."""
        self._thread.start()
        done = self._open_done.wait(timeout_s)
        if self._failure is not None and not (self._opened or self._stop.is_set()):
            raise self._failure
        return done

    def take(self, stall_s: float) -> Captured | None:
        """The newest picture; None at the end, or if one was due for `stall_s` and did not come."""
        left_s = stall_s
        while (captured := self.newest.take(left_s)) is None and not self.newest.drained:
            left_s = stall_s - (monotonic_ns() - self._grabber.due_ns) / 1e9
            if left_s <= 0:
                break
        return captured

    @property
    def ended(self) -> bool:
        """True if there are no more pictures. Raises the grabber's error if it failed."""
        if not self.newest.drained:
            return False
        if self._failure is not None and not self._stop.is_set():
            raise self._failure
        return True

    def stop(self) -> None:
        self._stop.set()
        self._open_done.set()
        self.newest.close()
        self._count_skipped(self.newest.take(0) is not None)

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def _count_skipped(self, skipped: bool) -> None:
        if skipped:
            with self._counting:  # any thread may call `stop`
                self._drops[Drop.SKIPPED] += 1

    def _run(self) -> None:
        try:
            self._grabber.open()
            self._opened = True
            self._open_done.set()
            while not self._stop.is_set() and (captured := self._grabber.grab(self._stop)) is not None:
                self._count_skipped(self.newest.put(captured))
        except Exception as error:  # noqa: BLE001 - raised again in `open` or `ended`
            self._failure = error
        finally:
            self._grabber.close()
            self.newest.close()
            self._open_done.set()
