"""SIGINT and SIGTERM end a process in good order; a second one ends it at once.

The signals are blocked everywhere and awaited by a thread of their own, so that they are answered
even while the main thread is inside a codec or a window system, and so that answering may take locks
(a Python signal handler runs between two bytecodes of a thread that may hold them already).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

_SIGNALS = {signal.SIGINT, signal.SIGTERM}


class StopSignals:
    """Context manager: calls `on_stop` from its own thread at the first signal.

    Enter it before other threads start: they inherit the blocked signals.
    """

    def __init__(self, on_stop: Callable[[], None]) -> None:
        self._on_stop = on_stop
        self._done = False
        self._thread = threading.Thread(target=self._await, name="signals", daemon=True)
        self._before: set[int] = set()

    def __enter__(self) -> Self:
        self._before = set(signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done = True
        if self._thread.is_alive() and self._thread.ident is not None:
            # Its own wake-up: nobody else hears it.
            signal.pthread_kill(self._thread.ident, signal.SIGTERM)
            self._thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def _await(self) -> None:
        first = True
        while True:
            number = signal.sigwait(_SIGNALS)
            if self._done:
                return
            if not first:
                os._exit(128 + number)
            first = False
            self._on_stop()
