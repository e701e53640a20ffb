"""Tells since when a stream has no producer. Pure: all `now_ns` are monotonic."""

from __future__ import annotations

import threading


class ProducerPresence:
    """Signs of a producer are its frames and its answers. Thread-safe.

    Attributes:
        has_ended: whether the last one has ended in good order.
    """

    def __init__(self) -> None:
        # Re-entrant, as that of the counters.
        self._lock = threading.RLock()
        self._sign_ns: int | None = None
        self._observed_ns: int | None = None
        self._received = 0
        self._gone = True  # nobody is there before the first sign
        self.has_ended = False

    def sign(self, now_ns: int) -> None:
        """It is there."""
        with self._lock:
            self._sign_ns, self._gone, self.has_ended = now_ns, False, False

    def ended(self, received: int, now_ns: int) -> None:
        """It has said that it ends, after so many frames in all."""
        with self._lock:
            self._received = received
            if not self._gone:
                self._sign_ns, self._gone, self.has_ended = now_ns, True, True

    def observe(
        self, received: int, presented_ns: int | None, now_ns: int, patience_s: float
    ) -> float | None:
        """Seconds since the last sign, or since the first call; None while it is there.

        Args:
            received: number of frames so far: new ones have come since the last call, at the latest.
            presented_ns: when the last one was presented.
            patience_s: how long a producer may give no sign; longer than the interval of calls.
        """
        with self._lock:
            if received != self._received:
                self._received = received
                known = [at_ns for at_ns in (self._observed_ns, presented_ns) if at_ns is not None]
                self.sign(max(known, default=now_ns))
            self._observed_ns = now_ns
            if self._sign_ns is None:
                self._sign_ns = now_ns
            elapsed_s = max(0, now_ns - self._sign_ns) / 1e9
            return elapsed_s if self._gone or elapsed_s > patience_s else None
