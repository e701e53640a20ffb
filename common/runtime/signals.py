"""SIGINT, SIGTERM and SIGHUP shut a process down; a second one ends it at once.

A separate thread waits at the wake-up descriptor, to which the C handler writes in whichever thread the
kernel delivers the signal, even while the main thread is inside a codec or a window system. The thread may
acquire locks. A Python signal handler may not, since it interrupts a thread that may hold them.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from fanlight.common.runtime.start import SIGNALS, handled, stopping


class StopSignals:
    """Context manager of the main thread: calls `on_stop` in a separate thread at the first signal.

    The same signal again within 0.5 s counts as one.
    """

    def __init__(self, on_stop: Callable[[], None]) -> None:
        self._on_stop = on_stop
        self._receiving, self._written = socket.socketpair()
        # The C handler must never wait for a reader.
        self._written.setblocking(False)
        self._thread = threading.Thread(target=self._wait, name="signals", daemon=True)
        self._handlers: dict[int, Any] = {}
        self._descriptor = -1

    def __enter__(self) -> Self:
        stopping.reset()
        self._thread.start()
        self._descriptor = signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        for number in handled():
            # Python installs its C handler only together with a Python handler, which does nothing here.
            self._handlers[number] = signal.signal(number, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._descriptor)
        self._written.close()
        self._thread.join()
        self._receiving.close()

    def _wait(self) -> None:
        while data := self._receiving.recv(16):
            for number in data:
                if number in SIGNALS and stopping.signalled(number, time.monotonic()):
                    self._on_stop()
