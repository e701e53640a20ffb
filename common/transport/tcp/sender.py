"""One client's own thread: sends it what its feed gives, at the pace of its connection."""

from __future__ import annotations

import contextlib
import socket
import threading

from fanlight.common.transport.tcp.feed import Feed


class Sender:
    """`wake` and `finish` are thread-safe.

    Args:
        sock: blocking.
    """

    def __init__(self, sock: socket.socket, feed: Feed, name: str) -> None:
        self._sock = sock
        self._feed = feed
        # Used as a binary semaphore: acquired by this thread only, released by other threads to wake it.
        self._something = threading.Lock()
        self._something.acquire()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name=f"sender {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """The feed may have something."""
        if self._something.locked():
            try:  # noqa: SIM105 - once per client and payload
                self._something.release()
            except RuntimeError:  # somebody else was quicker
                pass

    def finish(self) -> None:
        """Send what is left, then shut down the connection and end."""
        self._ending = True
        self.wake()

    def join(self, timeout_s: float) -> None:
        """Wait for the end; `finish`, or a shutdown of the socket, brings it."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # the listener's thread notices that the client is gone
            self._send_all()
            self._sock.shutdown(socket.SHUT_WR)

    def _send_all(self) -> None:
        send, feed, something = self._sock.sendall, self._feed, self._something
        while True:
            # Read first, so that everything queued before `finish` is still sent.
            ending = self._ending
            data = feed.next()
            if data is not None:
                send(data)
            elif ending:
                return
            else:
                something.acquire()
