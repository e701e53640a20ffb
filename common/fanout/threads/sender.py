"""One client's own thread: sends it payload after payload, at the pace of its connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from common.clock import monotonic_ns
from common.fanout.threads.ring import Cursor, PayloadRing

MOST_SAYINGS: Final = 16


class Sender:
    """Reads the ring at its own cursor. `wake`, `say`, `follow` and `stop` are thread-safe.

    Args:
        sock: blocking.
        on_lost: told how many frames more this client did not get; in the sender's thread.
        on_needs_key: it cannot go on without a keyframe, and none is there; likewise.
    """

    def __init__(
        self,
        sock: socket.socket,
        ring: PayloadRing,
        *,
        stale_ns: int,
        name: str,
        on_lost: Callable[[int], None],
        on_needs_key: Callable[[], None],
    ) -> None:
        self._sock = sock
        self._ring = ring
        self._stale_ns = stale_ns
        self._on_lost = on_lost
        self._on_needs_key = on_needs_key
        self._cursor: Cursor | None = None
        self._sayings: deque[Callable[[], bytes]] = deque()
        # A binary semaphore: taken by this thread alone, set by whoever has something for it. Nobody ever
        # waits for this thread by it.
        self._something = threading.Lock()
        self._something.acquire()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name=f"sender {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was written to the ring."""
        if self._something.locked():
            try:  # noqa: SIM105 - once per client and payload
                self._something.release()
            except RuntimeError:  # somebody else was quicker
                pass

    def say(self, message: Callable[[], bytes]) -> None:
        """Send this between two payloads, made when its turn has come; dropped if many wait already."""
        if len(self._sayings) < MOST_SAYINGS:
            self._sayings.append(message)
        self.wake()

    def follow(self, wanted: bool) -> None:
        """Send frames from now on, or none."""
        self._cursor = (
            Cursor(self._ring, stale_ns=self._stale_ns, now_ns=monotonic_ns()) if wanted else None
        )
        self.wake()

    def finish(self) -> None:
        """Send what is there, then say goodbye and end."""
        self._ending = True
        self.wake()

    def join(self, timeout_s: float) -> None:
        """Wait for the end; `finish`, or a shutdown of the socket, brings it."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # the door notices by itself that the connection is gone
            self._send_all()
            self._sock.shutdown(socket.SHUT_WR)

    def _send_all(self) -> None:
        send, something = self._sock.sendall, self._something
        while True:
            # Before all else: what was left for this client before it was told to finish is to be sent.
            ending = self._ending
            while self._sayings:
                send(self._sayings.popleft()())
            payload = self._next()
            if payload is not None:
                send(payload)
            elif ending:
                return
            elif not self._sayings:
                something.acquire()

    def _next(self) -> bytes | None:
        cursor = self._cursor
        if cursor is None:
            return None
        payload = cursor.next(monotonic_ns())
        if cursor.lost:
            self._on_lost(cursor.lost)
            cursor.lost = 0
        if cursor.needs_key:
            cursor.needs_key = False
            self._on_needs_key()
        return None if payload is None else payload.data
