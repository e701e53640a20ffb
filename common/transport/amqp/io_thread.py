"""The thread of one link, with the event loop that pika runs on."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from pika.adapters.select_connection import IOLoop

from fanlight.common.failure import failure
from fanlight.common.model.errors import FanlightError
from fanlight.common.transport.amqp.io_services import IOServices

_LOG = logging.getLogger(__name__)


class IOThread:
    """Everything that touches a connection or channel of pika runs here.

    Args:
        on_io_error: called for an error of the operating system that pika did not handle; returns False if
            it is not one of an attempt to connect.
        on_failed: called when the thread ends because of an unexpected error.
    """

    def __init__(
        self,
        name: str,
        *,
        on_io_error: Callable[[OSError | ValueError], bool],
        on_failed: Callable[[FanlightError], None],
    ) -> None:
        self._loop = IOLoop()
        self.services = IOServices(self._loop)
        self._on_io_error = on_io_error
        self._on_failed = on_failed
        # A daemon, so that a program that ends with an exception does not wait for it; its owner joins it.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._finished = False
        self._closing = threading.RLock()  # a signal handler may end what its thread is calling
        self._closed = self._calling = False
        self._calls: deque[Callable[[], None]] = deque()

    def start(self, first: Callable[[], None]) -> None:
        """Start the thread with this call."""
        self.call(first)
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` in the thread, soon. Thread-safe; ignored once the thread has ended."""
        with self._closing:
            self._calls.append(function)
            if self._calling:  # a signal handler interrupts its own thread: pika's lock is not re-entrant
                return
            self._calling = True
            try:
                while self._calls and not self._closed:
                    self._loop.add_callback_threadsafe(self._calls.popleft())
            finally:
                self._calling = False
            if self._calls and not self._closed:  # interrupted just now
                self.call(self._calls.popleft())

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Run `function` after a while. To be called in the thread."""
        self._loop.call_later(delay_s, function)

    def finish(self) -> None:
        """End the thread. To be called in it."""
        self._finished = True

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread, or release what it would have used if it was never started."""
        if self._thread.ident is None:
            self._close()
        else:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        if self._closed:
            return  # by a signal handler, before it was started
        try:
            # Once, not by `start` again after an error: a poller takes a file descriptor.
            self._loop.activate_poller()
            while not self._finished:
                self._poll()
        except Exception as error:  # noqa: BLE001 (the end of a thread: its owner has to know)
            self._on_failed(failure(_LOG, self._thread.name, error))
        finally:
            self._close()

    def _close(self) -> None:
        with self._closing:
            if not self._closed:
                self._closed = True
                self._loop.close()
        self.services.close_attempt()

    def _poll(self) -> None:
        try:
            self._loop.poll()
            self._loop.process_timeouts()
        except (OSError, ValueError) as error:
            if not self._on_io_error(error):
                raise
