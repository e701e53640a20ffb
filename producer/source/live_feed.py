"""Reads a camera or live stream on a thread of its own and keeps the newest picture.

Neither PyAV nor OpenCV can interrupt a call: a name lookup, a connect, a read of a camera whose driver
hangs. A feed gives up on time all the same. Its thread is then left behind; it ends, and closes the device,
as soon as the call returns. It is a daemon so that a call which never returns cannot keep the process
alive.
"""

from __future__ import annotations

import threading
from typing import Protocol

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.errors import SourceError
from fanlight.common.runtime.slot import NewestSlot
from fanlight.producer.source.base import Captured
from fanlight.producer.source.pacing import FrameRateLimiter
from fanlight.producer.stats import Drop, Drops

_JOIN_S = 0.5


class Grabber(Protocol):
    """A device or connection. Everything but `__init__` is called on the feed's thread."""

    def open(self) -> None:
        """Open the device or connection. May block; raises SourceError or ConfigError."""
        ...

    def grab(self, stop: threading.Event) -> Captured | None:
        """The next picture; None when there are no more, or soon after `stop`. May block."""
        ...

    def close(self) -> None: ...


class LiveFeed:
    """The newest pictures of a camera or URL, for the capture thread; `interrupt` alone is thread-safe.

    Args:
        name: for messages.
        drops: pictures that are not returned are counted here.
        open_s: how long to wait for a grabber to open.
        stall_s: how long to wait for a picture.
    """

    def __init__(self, name: str, drops: Drops, *, open_s: float, stall_s: float) -> None:
        self.interrupted = threading.Event()
        self._name = name
        self._drops = drops
        self._open_s = open_s
        self._stall_s = stall_s
        self._limiter: FrameRateLimiter | None = None
        self._reading: _Reading | None = None

    def open(self, grabber: Grabber) -> bool:
        """Close the grabber before it, and wait until this one is open. False if interrupted.

        Raises:
            SourceError: it failed, or took longer than `open_s`.
            ConfigError: from the grabber.
        """
        self.close()
        self._limiter = None
        self._reading = reading = _Reading(grabber, self._name, self._drops)
        if self.interrupted.is_set():
            return False
        if not reading.open(self._open_s):
            raise SourceError(f"{self._name}: no answer for {self._open_s:g} s")
        return not self.interrupted.is_set()

    def limit(self, fps: float | None) -> None:
        """From now on, return no more pictures a second than that."""
        self._limiter = FrameRateLimiter(fps) if fps else None

    def read(self) -> Captured | None:
        """The newest picture that was not returned yet; None after the last one or after `interrupt`.

        Raises:
            SourceError: the grabber failed, or there was no new picture for `stall_s`.
        """
        while not self.interrupted.is_set() and self._reading is not None:
            captured = self._reading.newest.take(self._stall_s)
            if captured is None:
                if not self._reading.ended:
                    raise SourceError(f"{self._name}: no frame for {self._stall_s:g} s")
                return None
            if self._limiter is None or self._limiter.admits(monotonic_ns()):
                return captured
            self._drops[Drop.LIMITED] += 1
        return None

    def interrupt(self) -> None:
        """Make `open` and `read` return, and the thread end when it can. Thread-safe, permanent."""
        self.interrupted.set()
        if (reading := self._reading) is not None:
            reading.stop()

    def close(self) -> None:
        """Stop reading, and wait for a moment for the thread to end."""
        if self._reading is not None:
            self._reading.stop()
            self._reading.join()
            self._reading = None


class _Reading:
    """One grabber from its opening to its closing, on a thread of its own."""

    def __init__(self, grabber: Grabber, name: str, drops: Drops) -> None:
        self.newest: NewestSlot[Captured] = NewestSlot()
        self._grabber = grabber
        self._drops = drops
        self._counting = threading.Lock()
        self._stop = threading.Event()
        self._opened = False
        self._settled = threading.Event()  # opened, failed or stopped
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"source {name}", daemon=True)

    def open(self, timeout_s: float) -> bool:
        """Start; False if it took longer than that."""
        self._thread.start()
        settled = self._settled.wait(timeout_s)
        if self._failure is not None and not (self._opened or self._stop.is_set()):
            raise self._failure
        return settled

    @property
    def ended(self) -> bool:
        """True if there are no more pictures; raises what made it fail."""
        if not self.newest.drained:
            return False
        if self._failure is not None and not self._stop.is_set():
            raise self._failure
        return True

    def stop(self) -> None:
        self._stop.set()
        self._settled.set()
        self.newest.close()
        self._count_skipped(self.newest.take(0) is not None)

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def _count_skipped(self, skipped: bool) -> None:
        if skipped:
            with self._counting:  # `stop` is called by any thread
                self._drops[Drop.SKIPPED] += 1

    def _run(self) -> None:
        try:
            self._grabber.open()
            self._opened = True
            self._settled.set()
            while not self._stop.is_set() and (captured := self._grabber.grab(self._stop)) is not None:
                self._count_skipped(self.newest.put(captured))
        except Exception as error:  # noqa: BLE001 - raised again by the thread that reads
            self._failure = error
        finally:
            self._grabber.close()
            self.newest.close()
            self._settled.set()
