"""The API for a program that takes what a pool of workers found, in the order of the frames."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from fanlight.common import transport
from fanlight.common.clock import monotonic_ns
from fanlight.common.forked import OfOneProcess
from fanlight.common.model import units
from fanlight.common.model.control import ClockReply, ClockRequest
from fanlight.common.model.errors import FanlightError, StreamEnded
from fanlight.common.model.reorder import Reorderer
from fanlight.common.model.result import Result
from fanlight.common.model.units import checked
from fanlight.consumer.producer_clock import ProducerClock
from fanlight.consumer.settings import ConsumerSettings

_STOP_S: Final = 1.5
_DEADLINE: Final = units.duration(60.0)
# The producer's clock may be corrected during a wait.
_LONGEST_WAIT_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class OrderedStats:
    """A snapshot; counters run since the start.

    Attributes:
        given: results that were handed out.
        late: results that came, or were asked for, after their deadline, or after a later one was given.
        duplicate: results for a frame that there was one for already.
        dropped: results that were not asked for before too many others came.
        refused: messages that break the wire contract, or come from a user who is not trusted.
    """

    given: int
    late: int
    duplicate: int
    dropped: int
    refused: int


class Ordered(OfOneProcess):
    """See `ordered`. Thread-safe: each result goes to one of the threads that read."""

    def __init__(self, settings: ConsumerSettings, deadline_s: float) -> None:
        super().__init__()
        self._reception = _Reception(settings, int(deadline_s * 1e9))

    def start(self) -> Self:
        """Subscribe; returns at once. Idempotent; `read` and iteration call it.

        Raises:
            StreamEnded: it was closed.
        """
        self.check_process()
        self._reception.start()
        return self

    def read(self, timeout_s: float | None = None) -> Result | None:
        """Wait for the next result and return it; None on a timeout.

        Args:
            timeout_s: longest wait in seconds, from 0; None for no limit.

        Raises:
            StreamEnded: it was closed.
            BrokerRefused: the broker refused it permanently.
        """
        self.start()
        return self._reception.take(None if timeout_s is None else float(timeout_s))

    def __iter__(self) -> Iterator[Result]:
        """Yield results until it is closed.

        Raises:
            StreamEnded: it was closed before.
        """
        self.start()
        return self._all()

    def _all(self) -> Iterator[Result]:
        while True:
            try:
                result = self.read()
            except StreamEnded:
                return
            if result is not None:
                yield result

    def stats(self) -> OrderedStats:
        """A snapshot of the statistics."""
        self.check_process()
        return self._reception.stats()

    def close(self) -> None:
        """Unsubscribe, within 2 s. Idempotent and thread-safe."""
        if not self.inherited:
            self._reception.stop(_STOP_S)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            if not self.inherited and not sys.is_finalizing():
                self._reception.stop(0)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


class _Reception(transport.SubscriberEvents):
    """Receives results, and the time of the producer, by two subscribers with a thread each."""

    def __init__(self, settings: ConsumerSettings, deadline_ns: int) -> None:
        self._name = settings.name
        self._stream = settings.stream
        self._reorderer: Reorderer[Result] = Reorderer(deadline_ns)
        self._given = 0
        self._clock = ProducerClock(deadline_ns, self._request_time)
        # Re-entrant, as a signal handler may close what its thread is reading.
        self._changed = threading.Condition(threading.RLock())
        self._started = self._closed = False
        self._failure: FanlightError | None = None
        self._results = transport.results(
            settings.url,
            settings.credentials,
            stream=settings.stream,
            name=settings.name,
            on_result=self._came,
            on_failed=self.on_failed,
            trust=settings.trust,
        )
        self._subscriber = transport.subscriber(
            settings.url,
            settings.credentials,
            stream=settings.stream,
            name=settings.name,
            max_age_s=settings.max_age_s,
            events=self,
            follow=False,  # no frames: only what time it is
        )

    def start(self) -> None:
        with self._changed:
            if self._closed:
                raise StreamEnded("these results were closed: no more come; create others")
            if not self._started:
                self._started = True
                self._results.start()
                self._subscriber.start()

    def take(self, timeout_s: float | None) -> Result | None:
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while True:
                if self._failure is not None:
                    raise self._failure
                if self._closed:
                    raise StreamEnded("these results were closed: no more come")
                now_ns = self._clock.now_ns()
                result = self._reorderer.take(now_ns)
                if result is not None:
                    self._given += 1
                    return result
                next_ns = self._reorderer.next_ns()
                wait_s = 1.0 if next_ns is None else min(_LONGEST_WAIT_S, max(0, next_ns - now_ns) / 1e9)
                if end_s is not None:
                    wait_s = min(wait_s, end_s - time.monotonic())
                    if wait_s <= 0:
                        return None
                self._changed.wait(wait_s)

    def stats(self) -> OrderedStats:
        with self._changed:
            found = self._reorderer
            return OrderedStats(
                self._given, found.late, found.duplicate, found.dropped, self._results.refused
            )

    def stop(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._results.close()  # a broker that does not answer keeps both at once
        self._subscriber.stop(timeout_s)
        self._results.stop(max(0.1, deadline_s - time.monotonic()))

    # In the threads of the two subscribers.

    def _came(self, result: Result) -> None:
        if result.name == self._name:
            with self._changed:
                self._clock.on_frame(result)
                now_ns = self._clock.now_ns()
                self._reorderer.offer(
                    result.epoch, result.seq, result.capture_ns, result, now_ns, result.size_bytes
                )
                self._changed.notify_all()

    def on_clock(self, reply: ClockReply) -> None:
        with self._changed:
            self._clock.on_reply(reply)

    def on_tick(self) -> None:
        with self._changed:
            self._clock.on_tick()

    def on_failed(self, error: FanlightError) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def _request_time(self) -> None:
        request = ClockRequest(stream=self._stream, name=self._name, asked_ns=monotonic_ns())
        self._subscriber.send(request)


def ordered(
    stream: str = ConsumerSettings.stream,
    name: str = "detector",
    *,
    deadline: str | float = "400ms",
    trust: Sequence[str] = ConsumerSettings.trust,
    url: str | None = None,
    password: str | None = None,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
) -> Ordered:
    """What a pool of workers found in a stream, in the order of the frames, each at most once.

        for result in ordered(stream="cam", name="faces", deadline="400ms"):
            print(result.seq, result.boxes)

    A result follows the one before it at once if no frame lies between them. Otherwise it waits for those
    that are missing, until shortly before its deadline. What would be handed out later is dropped and
    counted, see `Ordered.stats`.

    Args:
        stream: name of the stream.
        name: of the detector, as in `Results(name=...)`; the same for all members of the pool.
        deadline: the longest time from the capture of a frame until its result is handed out: a text such
            as "400ms", or seconds.
        trust: accept only results published by these users of the broker; empty for all.
        url, password, ca, cert, key: as for `Producer`.

    Raises:
        ConfigError: a setting cannot be used; there is no broker.
    """
    deadline_s = checked("deadline", deadline, _DEADLINE.check)
    settings = ConsumerSettings.of_program(
        stream=stream,
        name=name,
        max_age_s=deadline_s,
        playout="latest",
        trust=trust,
        url=url,
        password=password,
        ca=ca,
        cert=cert,
        key=key,
        token=None,
    )
    return Ordered(settings, deadline_s)
