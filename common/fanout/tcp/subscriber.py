"""Receives one stream from a producer that serves its clients itself; the same for both such designs."""

from __future__ import annotations

import logging
import math
import random
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from common import control
from common.address import TcpAddress
from common.clock import monotonic_ns, wall_ns
from common.errors import FanlightError, TokenRefused, WireFormatError
from common.fanout.base import SubscriberEvents
from common.fanout.cleartext import in_clear
from common.fanout.lent_loop import FOR_GOOD, LentLoop
from common.fanout.silence import (
    CHECK_EVERY_S,
    PAUSE_S,
    SAYS,
    Silence,
    Verdict,
    line_is_out,
)
from common.fanout.tcp import sockets, wire
from common.fanout.tcp.connection import Connection, ConnectionLost, connect_local
from common.fanout.tcp.reach import peer, reach, why
from common.fanout.tcp.wire import Hello, Kind, Message
from common.fanout.tcp_info import reset_on_close, tcp_info
from common.frame import LARGEST, Limits
from common.ratelimit import RateLimiter
from common.retry import backoff

_LOG = logging.getLogger(__name__)

_WELCOME_TIMEOUT_S: Final = 5.0
_TICK_S: Final = 1.0
_LOOK_FOR_HUB_S: Final = 0.2
# The system's buffers hold little of a large frame, and what they cannot take grows old at the producer.
_AWAY_S: Final = 0.06
_IN_CLEAR: Final = (
    "every frame crosses the network from %s in clear: the token keeps strangers out, it does not encrypt "
    "(docs/security.md)"
)
_READABLE: Final = select.POLLIN | select.POLLHUP | select.POLLERR


class TcpSubscriber:
    """See `common.fanout.base.Subscriber`.

    Args:
        hub: where a hub of this host would listen; None if nothing is wanted of one.
        follow: receive the stream itself, from the beginning.
    """

    def __init__(
        self,
        address: TcpAddress,
        *,
        stream: str,
        name: str,
        events: SubscriberEvents,
        hub: Path | None = None,
        follow: bool = True,
        limits: Limits = LARGEST,
    ) -> None:
        self._address = address
        self._stream = stream
        self._name = name
        self._events = events
        self._limits = limits
        self._hub_path = hub
        self._follow = follow
        self._title = f"fanlight consumer {stream} {name}"
        self._bell = sockets.Bell()
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        self._calls: deque[Callable[[], None]] = deque()
        # Its own thread connects, since that can take long; only then is the loop lent.
        self._lending = LentLoop(self._guarded_turn, self._bell.ring, lendable=False, away_s=_AWAY_S)
        self._thread = threading.Thread(target=self._run, name=self._title, daemon=True)
        self._connection: Connection | None = None
        self._hub: Connection | None = None
        self._by_descriptor: dict[int, Connection] = {}
        self._next_tick_s = self._next_look_s = self._next_check_s = FOR_GOOD
        self._welcome_by_s = FOR_GOOD
        self._ever_stood = False
        self._silence = Silence()
        # Jitter only: nothing here is a secret.
        self._rng = random.Random()  # noqa: S311
        self._delays: Iterator[float] = backoff(self._rng)
        self._attempt = 0
        self._pause_s = 0.0
        self._complaints, self._news = RateLimiter(), RateLimiter()
        self._stopping = threading.Event()

    @property
    def waiting(self) -> int | None:
        return None

    def count_waiting(self) -> None:
        """There is no broker where anything could wait."""

    def start(self) -> None:
        self._lending.prepare()
        self._thread.start()

    def follow_stream(self, follow: bool) -> None:
        self._call(partial(self._set_follow, follow))

    def work(self, timeout_s: float) -> None:
        self._lending.work(timeout_s)

    def wake(self) -> None:
        self._bell.ring()
        self._lending.rouse()

    def send(self, message: control.ControlMessage) -> None:
        self._call(partial(self._send, message))

    def stop(self, timeout_s: float) -> None:
        self._stopping.set()
        self._lending.close()
        self._bell.ring()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _call(self, function: Callable[[], None]) -> None:
        self._calls.append(function)
        self._bell.ring()

    def _run(self) -> None:
        self._lending.begin()
        while not self._stopping.is_set() and not self._lending.finished:
            if self._connection is None:
                self._guarded(self._connect)
            else:
                self._lending.own_turn()
        with self._lending.alone():
            self._lending.finish()
            self._drop()
        self._bell.close()

    def _guarded(self, function: Callable[..., None], *arguments: float) -> None:
        try:
            function(*arguments)
        except Exception as error:  # noqa: BLE001 (a thread's last resort: its owner must hear of it)
            _LOG.exception("%s: internal error", self._title)
            self._lending.finish()
            self._events.on_failed(FanlightError(f"{self._title}: internal error: {error!r}"))

    # Connecting: in its own thread.

    def _connect(self) -> None:
        if self._stopping.wait(self._pause_s):
            return
        self._pause_s = 0.0
        try:
            sock = reach(self._address.host, self._address.port, self._bell, self._stopping)
        except OSError as error:
            self._complain(why(error), line_is_out(error))
            return
        if sock is None:
            return  # stopped meanwhile
        sockets.tune(sock)
        self._silence, self._next_check_s = Silence(), time.monotonic()
        hello = Hello(self._stream, self._name, self._follow)
        self._connection = Connection(sock, hello, self._address.token, self._limits)
        self._welcome_by_s = time.monotonic() + _WELCOME_TIMEOUT_S
        self._watch(self._connection)

    def _complain(self, reason: str, line_is_out: bool = False) -> None:
        """Say what is wrong, at most once a second; the next attempt is made after a while."""
        self._attempt += 1
        self._pause_s = delay_s = min(next(self._delays), PAUSE_S if line_is_out else math.inf)
        if self._complaints.allow(monotonic_ns()) is not None:
            _LOG.warning(
                "%s: %s: %s; attempt %d in %.1f s",
                self._title, self._address, reason, self._attempt + 1, delay_s,
            )  # fmt: skip

    # From here on everything runs in its own thread, or in the one that works in its stead.

    def _guarded_turn(self, timeout_s: float) -> None:
        self._guarded(self._turn, timeout_s)

    def _turn(self, timeout_s: float) -> None:
        if self._connection is None or self._stopping.is_set():
            return  # lost in a turn of the other thread, while this one waited for its own
        due_s = min(self._next_tick_s, self._next_look_s, self._welcome_by_s, self._next_check_s)
        wait_s = min(timeout_s, max(0.0, due_s - time.monotonic()))
        for descriptor, events in self._poll.poll(None if wait_s == FOR_GOOD else wait_s * 1000):
            connection = self._by_descriptor.get(descriptor)
            if connection is None:
                self._bell.silence()
                continue
            if events & select.POLLOUT:
                connection.flush()
                self._watch(connection)
            if events & _READABLE:
                self._receive(connection)
        while self._calls:
            self._calls.popleft()()
        now_s = time.monotonic()
        if now_s >= due_s:
            self._keep_time(now_s)
        for connection in self._by_descriptor.values():
            if connection.waits_to_send:
                self._watch(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            more = True
            while more:  # everything that is there: it grows stale where it lies
                messages, more = connection.receive()
                received_ns = wall_ns()
                if (
                    connection is self._connection
                    and self._welcome_by_s != FOR_GOOD
                    and connection.welcomed
                ):
                    self._stands()
                for message in messages:
                    self._react(message, received_ns)
        except WireFormatError as error:
            self._events.on_malformed(error)
            self._lost(connection, f"what answers there is not a producer of Fanlight: {error}")
        except TokenRefused as error:
            self._refused(connection, error)
        except ConnectionLost as error:
            self._lost(connection, str(error))

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

    def _stands(self) -> None:
        self._welcome_by_s = FOR_GOOD
        self._ever_stood = True
        if self._connection is not None:
            in_clear(peer(self._connection.sock), _IN_CLEAR)
        if self._news.allow(monotonic_ns()) is not None:
            _LOG.info("%s: connected to %s", self._title, self._address)
        now_s = time.monotonic()
        self._next_tick_s = now_s + _TICK_S
        self._next_look_s = now_s if self._hub_path is not None else FOR_GOOD
        self._events.on_connected()
        self._lending.lendable = True
        self._lending.rouse()

    def _refused(self, connection: Connection, error: TokenRefused) -> None:
        """Final, unless it ever stood: a producer may come back with another token, and then with ours."""
        if connection is self._hub or self._ever_stood:
            self._lost(connection, str(error))
            return
        self._drop()
        self._lending.finish()
        self._events.on_failed(TokenRefused(f"{self._address}: {error}"))

    def _lost(self, connection: Connection, reason: str, *, line_is_out: bool = False) -> None:
        if connection is self._hub:
            self._drop_hub()
            return
        stood = self._welcome_by_s == FOR_GOOD
        self._drop()
        if stood:
            self._events.on_disconnected()
        if not self._stopping.is_set():
            self._complain(reason, line_is_out)

    def _drop(self) -> None:
        self._lending.lendable = False
        self._lending.take_back()
        self._drop_hub()
        self._next_tick_s = self._next_look_s = self._welcome_by_s = self._next_check_s = FOR_GOOD
        connection, self._connection = self._connection, None
        if connection is not None:
            self._forget(connection)

    def _drop_hub(self) -> None:
        hub, self._hub = self._hub, None
        if hub is not None:
            self._forget(hub)
            self._next_look_s = time.monotonic() + _LOOK_FOR_HUB_S

    def _watch(self, connection: Connection) -> None:
        events = select.POLLIN | (select.POLLOUT if connection.waits_to_send else 0)
        self._poll.register(connection.sock, events)
        self._by_descriptor[connection.sock.fileno()] = connection

    def _forget(self, connection: Connection) -> None:
        del self._by_descriptor[connection.sock.fileno()]
        self._poll.unregister(connection.sock)
        connection.close()

    def _keep_time(self, now_s: float) -> None:
        if now_s >= self._welcome_by_s and self._connection is not None:
            self._lost(self._connection, "no welcome: what listens there is not a producer of Fanlight")
            return
        if now_s >= self._next_check_s and self._connection is not None:
            self._next_check_s = now_s + CHECK_EVERY_S
            if self._silence.check(tcp_info(self._connection.sock), now_s) is Verdict.DEAD:
                reset_on_close(self._connection.sock)
                self._lost(self._connection, SAYS, line_is_out=True)
                return
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + _TICK_S
            if self._attempt:  # not before: it might let everybody in and end
                self._attempt = 0
                self._delays = backoff(self._rng)
            self._events.on_tick()
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + _LOOK_FOR_HUB_S
            self._look_for_hub()

    def _look_for_hub(self) -> None:
        if self._hub is not None or self._hub_path is None:
            self._next_look_s = FOR_GOOD
            return
        sock = connect_local(self._hub_path)
        if sock is not None:
            self._hub = Connection(sock, Hello(self._stream, self._name, follow=True), limits=self._limits)
            self._watch(self._hub)
            self._next_look_s = FOR_GOOD

    def _set_follow(self, follow: bool) -> None:
        if follow == self._follow:
            return
        self._follow = follow
        if self._connection is None:
            return
        self._connection.send(wire.message(Kind.FOLLOW, {"follow": follow}))
        if follow and self._connection.welcomed:
            # What is asked for next is asked after this, by the same connection.
            self._events.on_following()

    def _send(self, message: control.ControlMessage) -> None:
        if self._connection is not None and self._connection.welcomed:
            self._connection.send(wire.control_message(message))
