"""Receives one stream from a producer that serves its clients itself; the same for both such designs."""

from __future__ import annotations

import contextlib
import logging
import math
import random
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from fanlight.common.clock import monotonic_ns, wall_ns
from fanlight.common.model import control
from fanlight.common.model.address import TcpAddress
from fanlight.common.model.errors import FanlightError, TokenRefused, WireFormatError
from fanlight.common.model.frame import LARGEST, Limits
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.common.model.retry import backoff
from fanlight.common.transport.base import SubscriberEvents, report_every_s
from fanlight.common.transport.cleartext import in_clear
from fanlight.common.transport.liveness import PAUSE_S
from fanlight.common.transport.tcp import sockets, wire
from fanlight.common.transport.tcp.connect import reach
from fanlight.common.transport.tcp.connection import Connection, ConnectionLost
from fanlight.common.transport.tcp.wire import Hello, Kind, Message

_LOG = logging.getLogger(__name__)

_WELCOME_TIMEOUT_S: Final = 5.0
# What is said while nothing can be sent.
_MOST_SAYINGS: Final = 64
_IN_CLEAR: Final = (
    "every frame crosses the network from %s in clear: the token keeps strangers out, it does not encrypt "
    "(docs/security.md)"
)


class TcpSubscriber:
    """See `common.transport.base.Subscriber`. One thread connects, receives, and tells the owner.

    Args:
        follow: receive the stream itself, from the beginning.
    """

    def __init__(
        self,
        address: TcpAddress,
        *,
        stream: str,
        name: str,
        events: SubscriberEvents,
        follow: bool = True,
        limits: Limits = LARGEST,
    ) -> None:
        self._address = address
        self._stream = stream
        self._name = name
        self._events = events
        self._follow = follow
        self._limits = limits
        self._title = f"fanlight consumer {stream} {name}"
        self._sayings: deque[control.ControlMessage] = deque(maxlen=_MOST_SAYINGS)
        self._bell = sockets.Waker()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self._title, daemon=True)
        # The thread's own, from here on.
        self._told = follow  # what the producer knows of `_follow`
        self._ever_stood = False
        # Jitter only: nothing here is a secret.
        self._rng = random.Random()  # noqa: S311
        self._delays: Iterator[float] = backoff(self._rng)
        self._attempt = 0
        self._warnings, self._news = RateLimiter(), RateLimiter()

    @property
    def waiting(self) -> int | None:
        return None

    def count_waiting(self) -> None:
        """There is no broker where anything could wait."""

    def start(self) -> None:
        self._thread.start()

    def follow_stream(self, follow: bool) -> None:
        self._follow = follow
        self._bell.ring()

    def send(self, message: control.ControlMessage) -> None:
        self._sayings.append(message)
        self._bell.ring()

    def stop(self, timeout_s: float) -> None:
        self._stopping.set()
        self._bell.ring()
        if self._thread.ident is None:
            self._bell.close()
        else:
            self._thread.join(timeout_s)

    # From here on everything runs in the subscriber's thread.

    def _run(self) -> None:
        pause_s = 0.0
        try:
            while not self._stopping.wait(pause_s):
                pause_s = self._attempted()
        except TokenRefused as error:
            self._events.on_failed(TokenRefused(f"{self._address}: {error}"))
        except Exception as error:  # noqa: BLE001 (a thread's last resort: its owner must hear of it)
            _LOG.exception("%s: internal error", self._title)
            self._events.on_failed(FanlightError(f"{self._title}: internal error: {error!r}"))
        finally:
            self._bell.close()

    def _attempted(self) -> float:
        """Connect, and receive until the connection is lost; how long to wait before the next attempt."""
        try:
            sock = reach(self._address.host, self._address.port, self._bell, self._stopping)
            if sock is not None:
                with sock:
                    self._serve(sock)
        except ConnectionLost as error:
            if not self._stopping.is_set():
                return self._warn(str(error), PAUSE_S if error.network_is_out else math.inf)
        return 0.0

    def _serve(self, sock: socket.socket) -> None:
        sockets.tune(sock)
        self._told = self._follow
        connection = Connection(
            sock, Hello(self._stream, self._name, self._told), self._address.token, self._limits
        )
        try:
            self._receive(connection)
        except WireFormatError as error:
            self._events.on_malformed(error)
            raise ConnectionLost(f"what answers there is not a producer of Fanlight: {error}") from None
        except TokenRefused as error:
            # A producer may come back with another token, and then with ours.
            if self._ever_stood:
                raise ConnectionLost(str(error)) from None
            raise
        finally:
            if connection.welcomed and not self._stopping.is_set():
                self._events.on_disconnected()

    def _receive(self, connection: Connection) -> None:
        """Until it is to stop; else an error says why it ended."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        stands = False
        due_s = time.monotonic() + _WELCOME_TIMEOUT_S
        while not self._stopping.is_set():
            poll.register(
                connection.sock, select.POLLIN | (select.POLLOUT if connection.waits_to_send else 0)
            )
            for descriptor, events in poll.poll(max(0.0, due_s - time.monotonic()) * 1000):
                if descriptor == self._bell.fileno():
                    self._bell.silence()
                    continue
                if events & select.POLLOUT:
                    connection.flush()
                more = True
                while more:  # everything that is there: it grows stale where it lies
                    messages, more = connection.receive()
                    received_ns = wall_ns()
                    if connection.welcomed and not stands:
                        stands, due_s = True, time.monotonic() + report_every_s(self._told)
                        self._stands(connection)
                    for message in messages:
                        self._react(message, received_ns)
            if stands:
                self._say(connection)
            if time.monotonic() >= due_s:
                if not stands:
                    raise ConnectionLost("no welcome: what listens there is not a producer of Fanlight")
                due_s = time.monotonic() + report_every_s(self._told)
                self._tick()

    def _stands(self, connection: Connection) -> None:
        self._ever_stood = True
        self._sayings.clear()
        with contextlib.suppress(OSError):  # it is gone already
            in_clear(str(connection.sock.getpeername()[0]), _IN_CLEAR)
        if self._news.allow(monotonic_ns()) is not None:
            _LOG.info("%s: connected to %s", self._title, self._address)
        self._events.on_connected()

    def _tick(self) -> None:
        if self._attempt:  # not before: it might let everybody in and end
            self._attempt = 0
            self._delays = backoff(self._rng)
        self._events.on_tick()

    def _say(self, connection: Connection) -> None:
        if self._told is not self._follow:
            self._told = self._follow
            connection.send(wire.message(Kind.FOLLOW, {"follow": self._told}))
            if self._told:
                # What is asked for next is asked after this, by the same connection.
                self._events.on_following()
        while self._sayings:
            connection.send(wire.control_message(self._sayings.popleft()))

    def _react(self, message: Message, received_ns: int) -> None:
        try:
            if message.kind is Kind.FRAME:
                frame = wire.read_frame(message, self._limits)
                if frame.header.stream != self._stream:
                    raise WireFormatError("stream", frame.header.stream, repr(self._stream))  # noqa: TRY301
                self._events.on_frame(frame, received_ns)
                return
            if message.kind is not Kind.CONTROL:
                raise WireFormatError("kind", message.kind.name.lower(), "frame or control")  # noqa: TRY301
            reply = wire.read_control(message)
        except WireFormatError as error:
            self._events.on_malformed(error)
            return
        if isinstance(reply, control.ClockReply) and reply.stream == self._stream:
            self._events.on_clock(reply)

    def _warn(self, reason: str, longest_s: float) -> float:
        """Say what is wrong, at most once a second; how long to wait before the next attempt."""
        self._attempt += 1
        delay_s = min(next(self._delays), longest_s)
        if self._warnings.allow(monotonic_ns()) is not None:
            _LOG.warning(
                "%s: %s: %s; attempt %d in %.1f s",
                self._title, self._address, reason, self._attempt + 1, delay_s,
            )  # fmt: skip
        return delay_s
