"""Keeps calls that nobody can interrupt (FFmpeg on a network, a camera driver) off the capture thread."""

from __future__ import annotations

import threading
from typing import Protocol

from fanlight.common.model.errors import SourceError
from fanlight.producer.source.base import Captured
from fanlight.producer.stats import Drop, Drops

_JOIN_S = 0.5


class Grabber(Protocol):
    """What runs on the background thread; all of it on that one thread."""

    def open(self) -> None:
        """Acquire the device or connection. May block; raises SourceError or ConfigError."""
        ...

    def grab(self, stop: threading.Event) -> Captured | None:
        """The next picture; None when there are no more, or soon after `stop`. May block."""
        ...

    def close(self) -> None: ...


class Background:
    """Runs one grabber from its opening to its closing and keeps the newest picture.

    Neither PyAV nor OpenCV can be told to give up a call: a name lookup, a connect, a read of a camera
    whose driver hangs. `open` and `take` give up on time all the same. The thread is then left behind;
    it ends, and closes what it holds, as soon as the call returns. It is a daemon so that a call which
    never returns cannot keep the process alive.
    """

    def __init__(self, grabber: Grabber, name: str, drops: Drops) -> None:
        self._drops = drops
        self._grabber = grabber
        self._name = name
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._opened = False
        self._ended = False
        self._failure: Exception | None = None
        self._newest: Captured | None = None
        self._thread = threading.Thread(target=self._run, name=f"source {name}", daemon=True)

    def open(self, timeout_s: float) -> None:
        """Start, and wait until the grabber is open; returns early after `interrupt`.

        Raises:
            SourceError: it failed, or took longer than `timeout_s`.
            ConfigError: from the grabber.
        """
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self._ended or self._stop.is_set(), timeout_s)
            if self._opened or self._stop.is_set():
                return
            if self._failure is not None:
                raise self._failure
        raise SourceError(f"{self._name}: no answer for {timeout_s:g} s")

    def take(self, timeout_s: float) -> Captured | None:
        """The newest picture that was not taken yet; None after the last one or after `interrupt`.

        Raises:
            SourceError: the grabber failed, or there was no new picture for `timeout_s`.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._newest is not None or self._ended or self._stop.is_set(), timeout_s
            )
            if self._stop.is_set():
                return None
            captured, self._newest = self._newest, None
            if captured is not None:
                return captured
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return None
        raise SourceError(f"{self._name}: no frame for {timeout_s:g} s")

    def interrupt(self) -> None:
        """Make `open` and `take` return, and the thread end when it can. Thread-safe, permanent."""
        with self._changed:
            self._stop.set()
            self._drops[Drop.SKIPPED] += self._newest is not None
            self._newest = None
            self._changed.notify_all()

    def close(self) -> None:
        """Interrupt, and wait for a moment for the thread to end."""
        self.interrupt()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        failure: Exception | None = None
        try:
            self._grabber.open()
            with self._changed:
                self._opened = True
                self._changed.notify_all()
            while not self._stop.is_set() and (captured := self._grabber.grab(self._stop)) is not None:
                self._offer(captured)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that reads
            failure = error
        finally:
            self._grabber.close()
            with self._changed:
                self._failure = failure
                self._ended = True
                self._changed.notify_all()

    def _offer(self, captured: Captured) -> None:
        with self._changed:
            if self._stop.is_set():
                return
            self._drops[Drop.SKIPPED] += self._newest is not None
            self._newest = captured
            self._changed.notify_all()
