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
from fanlight.common.failure import failure
from fanlight.common.forked import release_in_child
from fanlight.common.model import control
from fanlight.common.model.address import TcpAddress
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.errors import TokenRefused, WireFormatError
from fanlight.common.model.frame import LARGEST, Limits
from fanlight.common.model.retry import backoff
from fanlight.common.transport.base import DIRECTORY_CHECK_S, SubscriberEvents, report_every_s
from fanlight.common.transport.cleartext import warn_unencrypted
from fanlight.common.transport.liveness import PAUSE_S
from fanlight.common.transport.outage_log import OutageLog
from fanlight.common.transport.tcp import sockets, wire
from fanlight.common.transport.tcp.connect import connect
from fanlight.common.transport.tcp.connection import Connection, ConnectionLost
from fanlight.common.transport.tcp.wire import Hello, Message, MessageKind

_LOG = logging.getLogger(__name__)

_WELCOME_TIMEOUT_S: Final = 5.0
# Control messages that wait while nothing can be sent.
_MOST_MESSAGES: Final = 64
_IN_CLEAR: Final = (
    "every frame crosses the network from %s in clear: the token controls who may watch, it does not "
    "encrypt (docs/security.md)"
)


class TcpSubscriber:
    """See `common.transport.base.Subscriber`. One thread connects, receives, and calls the owner.

    Args:
        follow: receive the stream itself, from the beginning.
        directory: receive announcements instead, of whatever stream.
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
        directory: bool = False,
    ) -> None:
        self._address = address
        self._stream = stream
        self._name = name
        self._events = events
        self._follow = follow
        self._limits = limits
        self._directory = directory
        self._title = f"fanlight directory {name}" if directory else f"fanlight consumer {stream} {name}"
        self._messages: deque[control.ControlMessage] = deque(maxlen=_MOST_MESSAGES)
        self._waker = sockets.Waker()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self._title, daemon=True)
        # The thread's own, from here on.
        self._follow_sent = follow  # what the producer knows of `_follow`
        self._was_connected = False
        # Jitter only: nothing here is a secret.
        self._rng = random.Random()  # noqa: S311
        self._delays: Iterator[float] = backoff(self._rng)
        self._log = OutageLog(_LOG, self._title)

    @property
    def waiting(self) -> int | None:
        return None

    def count_waiting(self) -> None:
        """There is no broker where anything could wait."""

    def start(self) -> None:
        self._thread.start()

    def follow_stream(self, follow: bool) -> None:
        self._follow = follow
        self._waker.wake()

    def send(self, message: control.ControlMessage) -> None:
        self._messages.append(message)
        self._waker.wake()

    def stop(self, timeout_s: float) -> None:
        self._stopping.set()
        self._waker.wake()
        if self._thread.ident is None:
            self._waker.close()
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
        except Exception as error:  # noqa: BLE001 (the end of a thread: its owner has to know)
            self._events.on_failed(failure(_LOG, self._title, error))
        finally:
            self._waker.close()

    def _attempted(self) -> float:
        """Connect, and receive until the connection is lost; how long to wait before the next attempt."""
        try:
            sock = connect(self._address.host, self._address.port, self._waker, self._stopping)
            if sock is not None:
                with sock:
                    self._serve(sock)
        except ConnectionLost as error:
            if not self._stopping.is_set():
                return self._warn(str(error), PAUSE_S if error.network_is_out else math.inf)
        return 0.0

    def _serve(self, sock: socket.socket) -> None:
        sockets.tune(sock)
        release_in_child(sock, socket.socket.close)
        self._follow_sent = self._follow
        stream = not self._directory
        hello = Hello(self._stream, self._name, self._follow_sent, directory=not stream, bye=stream)
        connection = Connection(sock, hello, self._address.token, self._limits)
        try:
            self._receive(connection)
        except WireFormatError as error:
            if connection.welcomed:
                self._events.on_malformed(error)
            raise ConnectionLost(f"what answers there is not a producer of Fanlight: {error}") from None
        except TokenRefused as error:
            # A producer may come back with another token, and then with ours.
            if self._was_connected:
                raise ConnectionLost(str(error)) from None
            raise
        finally:
            if connection.welcomed and not self._stopping.is_set():
                self._events.on_disconnected()

    def _receive(self, connection: Connection) -> None:
        """Until it is to stop; else an error says why it ended."""
        poll = select.poll()
        poll.register(self._waker, select.POLLIN)
        established = False
        due_s = time.monotonic() + _WELCOME_TIMEOUT_S
        while not self._stopping.is_set():
            poll.register(
                connection.sock, select.POLLIN | (select.POLLOUT if connection.waits_to_send else 0)
            )
            for descriptor, events in poll.poll(max(0.0, due_s - time.monotonic()) * 1000):
                if descriptor == self._waker.fileno():
                    self._waker.clear()
                    continue
                if events & select.POLLOUT:
                    connection.flush()
                more = True
                while more:  # everything that is there: it grows stale in the buffer
                    messages, more = connection.receive()
                    received_ns = wall_ns()
                    if connection.welcomed and not established:
                        established, due_s = True, time.monotonic() + self._tick_s
                        self._established(connection)
                    for message in messages:
                        self._handle(message, received_ns)
            if established:
                self._send_pending(connection)
            if time.monotonic() >= due_s:
                if not established:
                    raise ConnectionLost("no welcome: what listens there is not a producer of Fanlight")
                due_s = time.monotonic() + self._tick_s
                self._tick()

    @property
    def _tick_s(self) -> float:
        return DIRECTORY_CHECK_S if self._directory else report_every_s(self._follow_sent)

    def _established(self, connection: Connection) -> None:
        self._was_connected = True
        self._messages.clear()
        with contextlib.suppress(OSError):  # it is gone already
            warn_unencrypted(str(connection.sock.getpeername()[0]), _IN_CLEAR)
        self._log.over(monotonic_ns(), self._address)
        self._events.on_connected()

    def _tick(self) -> None:
        self._delays = backoff(self._rng)  # not before: a producer might accept every connection and end
        self._events.on_tick()

    def _send_pending(self, connection: Connection) -> None:
        if self._follow_sent is not self._follow:
            self._follow_sent = self._follow
            connection.send(wire.message(MessageKind.FOLLOW, {"follow": self._follow_sent}))
            if self._follow_sent:
                # What is asked for next is asked after this, by the same connection.
                self._events.on_following()
        while self._messages:
            connection.send(wire.control_message(self._messages.popleft()))

    def _handle(self, message: Message, received_ns: int) -> None:
        try:
            if message.kind is MessageKind.FRAME:
                frame = wire.read_frame(message, self._limits)
                self._check_stream(frame.header.stream)
                self._events.on_frame(frame, received_ns)
                return
            if message.kind is MessageKind.ANNOUNCEMENT and self._directory:
                self._events.on_announcement(Announcement.from_json(message.body))
                return
            if message.kind is MessageKind.BYE:
                bye = wire.read_bye(message)
                self._check_stream(bye.stream)
                self._events.on_ended(bye)
                return
            if message.kind is not MessageKind.CONTROL:
                raise WireFormatError("kind", message.kind.name.lower(), "frame or control")  # noqa: TRY301
            reply = wire.read_control(message)
        except WireFormatError as error:
            self._events.on_malformed(error)
            return
        if isinstance(reply, control.ClockReply) and reply.stream == self._stream:
            self._events.on_clock(reply)

    def _check_stream(self, stream: str) -> None:
        if stream != self._stream:
            raise WireFormatError("stream", stream, repr(self._stream))

    def _warn(self, reason: str, longest_s: float) -> float:
        """Log what is wrong; how long to wait before the next attempt."""
        delay_s = min(next(self._delays), longest_s)
        self._log.failed(monotonic_ns(), f"{self._address}: {reason}", delay_s)
        return delay_s
