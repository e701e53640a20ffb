"""One AMQP connection with one channel, the thread that owns them, and their way back after a loss.

Channels are not thread-safe: everything that touches one runs in the link's thread, by `call`.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from pika import ConnectionParameters, PlainCredentials, SelectConnection
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel
from pika.exceptions import AMQPConnectionError, StreamLostError

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import BrokerRefused, FanlightError, WireFormatError
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.common.transport.amqp.error_mapping import explain, line_is_out
from fanlight.common.transport.amqp.io_services import IOServices
from fanlight.common.transport.amqp.node_rotation import LOOK_S, HostRotation, NodeLiveness
from fanlight.common.transport.amqp.tls import Tls
from fanlight.common.transport.cleartext import in_clear
from fanlight.common.transport.liveness import ATTEMPT_S, PAUSE_S, TCP_OPTIONS

_LOG = logging.getLogger(__name__)

HEARTBEAT_S = 10
_CLOSE_TIMEOUT_S = 1.0
_IN_CLEAR = (
    "the password and every frame cross the network to %s in clear: write amqps:// (docs/security.md)"
)


def _ignore(_error: WireFormatError) -> None:
    pass


class LinkOwner(Protocol):
    """Whoever uses the channel. Called in the link's thread."""

    def on_channel(self, channel: Channel) -> None:
        """A channel is open: declare and consume, then call `Link.established`."""
        ...

    def on_down(self) -> None:
        """The channel is gone. Called once for every `on_channel`."""
        ...

    def on_failed(self, error: FanlightError) -> None:
        """The broker refused before the link ever stood; no further attempt is made."""
        ...


class Link:
    """Connects, and connects again, until it is stopped.

    A refusal (password, vhost, permission, certificate) is final only if the link has never stood, and
    every host has been asked: a broker that restarts may refuse for a moment what it granted before.

    Args:
        title: shown as the connection's name in RabbitMQ's console and in log lines.
        quiet: True for the second connection of a process: one of them complaining is enough.
        another_way: asked when the broker has closed the channel, with its reply code: True if its owner
            will do better on a new one, which it gets at once and without a word.
        on_unreadable: told, and nobody else, when a message that pika cannot parse has cost the connection.

    Raises:
        ConfigError: a file of the address's TLS cannot be used.
    """

    def __init__(
        self,
        address: BrokerAddress,
        owner: LinkOwner,
        *,
        title: str,
        quiet: bool = False,
        another_way: Callable[[int | None], bool] = lambda _code: False,
        on_unreadable: Callable[[WireFormatError], None] = _ignore,
    ) -> None:
        self._address = address
        self._tls = Tls(address) if address.tls else None
        self._owner = owner
        self._title = title
        self._quiet = quiet
        self._another_way = another_way
        self._on_unreadable = on_unreadable
        self._loop = IOLoop()
        self._services = IOServices(self._loop)
        # A daemon, so that a program that dies of an exception does not hang on it; its owner joins it.
        self._thread = threading.Thread(target=self._run, name=title, daemon=True)
        # Jitter only: nothing here is a secret.
        self._hosts = HostRotation(address.hosts, random.Random())  # noqa: S311
        self._attempt = 0
        self._complaints = RateLimiter()
        self._connection: SelectConnection | None = None
        self._channel: Channel | None = None
        self._ever_stood = False
        self._standing = False
        self._setups = 0
        self._blocked = False
        self._stopping = False
        self._finished = False
        self._ending = threading.Lock()
        self._ended = False

    @property
    def unsent_bytes(self) -> int:
        """What waits here since the network or the broker is slow. In the link's thread."""
        transport = self._services.transport
        return 0 if transport is None else transport.unsent_bytes

    def start(self) -> None:
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` in the link's thread, soon. Thread-safe; ignored once the link has ended."""
        with self._ending:
            if not self._ended:
                self._loop.add_callback_threadsafe(function)

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Run `function` after a while. To be called in the link's thread.

        By then the channel may be another, or closing: whoever uses one asks `usable`.
        """
        self._loop.call_later(delay_s, function)

    def usable(self, channel: Channel | None) -> bool:
        """Whether something may be declared, sent and acknowledged there. In the link's thread."""
        return channel is not None and channel is self._channel and channel.is_open

    def further_channel(self, on_open: Callable[[Channel], None]) -> None:
        """Open one beside the link's own; it goes with the connection. In the link's thread."""
        if self._connection is not None and self._connection.is_open:
            self._connection.channel(on_open_callback=on_open)

    def established(self) -> None:
        """The owner's set-up is complete: say so, and start the next series of attempts afresh."""
        if self._attempt or not self._ever_stood:
            _LOG.log(self._level(logging.INFO), "%s: connected to %s", self._title, self._here)
        if self._hosts.several and not self._standing and self._connection is not None:
            self._look(self._connection, self._setups, NodeLiveness())
        self._ever_stood = self._standing = True
        self._attempt = 0
        self._hosts.stood(monotonic_ns())

    def renew(self, reason: str) -> None:
        """Close the channel and open a new one: what it stood for (its queue) is gone."""
        channel = self._channel
        if channel is not None and channel.is_open:
            self._lost_channel(reason)
            channel.close()

    def close(self) -> None:
        """Begin to close in good order, or without it if the broker does not answer. Thread-safe."""
        self.call(self._shut_down)

    def stop(self, timeout_s: float) -> None:
        """Close, and wait for the end of the thread."""
        if self._thread.is_alive():
            self.close()
            self._thread.join(timeout_s)

    # From here on everything runs in the link's thread.

    def _run(self) -> None:
        self._loop.add_callback_threadsafe(self._connect)
        try:
            # Once, not by `start` again after an error: a poller takes a file descriptor.
            self._loop.activate_poller()
            while not self._finished:
                self._turn()
        except Exception as error:  # noqa: BLE001 (a thread's last resort: its owner must hear of it)
            _LOG.exception("%s: internal error", self._title)
            self._owner.on_failed(FanlightError(f"{self._title}: internal error: {error!r}"))
        finally:
            with self._ending:
                self._ended = True
                self._loop.close()
            self._services.close_attempt()

    def _turn(self) -> None:
        try:
            self._loop.poll()
            self._loop.process_timeouts()
        except (OSError, ValueError) as error:
            # pika does not expect that no socket can be had (file descriptors), nor that the broker is
            # gone again between its answer and the look whom it came from: this attempt is over.
            if self._connection is None or self._connection.is_open:
                raise
            self._lost(self._connection, error if isinstance(error, OSError) else StreamLostError())

    def _finish(self) -> None:
        self._finished = True

    def _connect(self) -> None:
        if self._stopping:
            return
        host, port = self._hosts.current
        timeout_s = self._hosts.timeout_s
        parameters = ConnectionParameters(
            host=host,
            port=port,
            virtual_host=self._address.vhost,
            credentials=PlainCredentials(self._address.user, self._address.password),
            heartbeat=HEARTBEAT_S,
            socket_timeout=min(timeout_s, ATTEMPT_S),
            stack_timeout=timeout_s,
            connection_attempts=1,
            client_properties={"connection_name": self._title, "product": "Fanlight"},
            ssl_options=None if self._tls is None else self._tls.options(host),
            tcp_options=TCP_OPTIONS,
        )
        self._services.transport = None
        self._connection = SelectConnection(
            parameters,
            on_open_callback=self._opened,
            on_open_error_callback=self._lost,
            on_close_callback=self._lost,
            custom_ioloop=self._services,
        )
        self._limit_setup(timeout_s)

    @property
    def _here(self) -> BrokerAddress:
        """The address with the one host that is, or was last, connected to."""
        return replace(self._address, hosts=(self._hosts.current,))

    def _give_up(self, cause: BaseException) -> None:
        if self._services.transport is not None:
            self._services.transport.give_up(cause)

    def _limit_setup(self, timeout_s: float) -> None:
        """A node that waits for others that it has lost lets us in and answers nothing: another may."""
        self._setups += 1
        if self._hosts.several:
            self._loop.call_later(timeout_s, partial(self._overdue, self._setups, timeout_s))

    def _overdue(self, setup: int, timeout_s: float) -> None:
        connection = self._connection
        # While it is not yet open pika sees to it.
        if setup == self._setups and not self._standing and connection is not None and connection.is_open:
            self._give_up(AMQPConnectionError(f"no answer within {timeout_s:.1f} s"))

    def _look(self, connection: SelectConnection, setup: int, liveness: NodeLiveness) -> None:
        if setup != self._setups or connection is not self._connection or not connection.is_open:
            return
        if liveness.look(connection.bytes_received, excused=self._blocked):
            # Not on our own channel: what was declared there may wait for nodes that are gone.
            connection.channel(on_open_callback=Channel.close)
        elif liveness.dead:
            self._give_up(AMQPConnectionError("it does not answer any more"))
            return
        self._loop.call_later(LOOK_S, partial(self._look, connection, setup, liveness))

    def _set_blocked(self, blocked: bool, *_notice: object) -> None:
        self._blocked = blocked

    def _opened(self, connection: SelectConnection) -> None:
        self._blocked = False
        connection.add_on_connection_blocked_callback(partial(self._set_blocked, True))
        connection.add_on_connection_unblocked_callback(partial(self._set_blocked, False))
        if self._tls is None:
            in_clear(self._services.peer, _IN_CLEAR)
        self._open_channel()

    def _open_channel(self) -> None:
        self.further_channel(self._channel_opened)

    def _channel_opened(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._channel_closed)
        self._owner.on_channel(channel)

    def _channel_closed(self, channel: Channel, error: Exception) -> None:
        connection = self._connection
        if channel is not self._channel or connection is None or not connection.is_open:
            return
        if self._another_way(getattr(error, "reply_code", None)):
            self._channel = None
            self._owner.on_down()
            self._open_channel()
            return
        reason = explain(error, self._here)
        if self._refused(reason):
            return
        if isinstance(reason, BrokerRefused) and self._hosts.several:
            self._give_up(error)
            return
        self._lost_channel(str(reason))

    def _lost_channel(self, reason: str) -> None:
        self._channel = None
        self._standing = False
        self._owner.on_down()
        delay_s = self._hosts.hold()
        self._complain(reason, delay_s)
        self._loop.call_later(delay_s, self._open_channel)
        self._limit_setup(delay_s + self._hosts.timeout_s)

    def _lost(self, connection: SelectConnection, error: BaseException) -> None:
        if connection is not self._connection:
            return
        self._connection = None
        self._standing = False
        if self._channel is not None:
            self._channel = None
            self._owner.on_down()
        if self._stopping:
            self._finish()
            return
        transport = self._services.transport
        # To pika every loss of an open connection is the same, whatever the system said.
        found = transport.cause if transport is not None and isinstance(error, StreamLostError) else None
        cause = found or error
        unreadable = transport is not None and transport.unreadable and found is not None
        reason = explain(cause, self._here, b"" if transport is None else transport.first)
        if not unreadable and self._refused(reason):
            return
        delay_s = self._hosts.failed(monotonic_ns())
        if line_is_out(cause):
            delay_s = min(delay_s, PAUSE_S)
        if unreadable:
            self._unreadable(cause)
        else:
            self._complain(str(reason), delay_s)
        self._loop.call_later(delay_s, self._connect)

    def _unreadable(self, cause: BaseException) -> None:
        _LOG.debug("%s: what pika cannot parse", self._title, exc_info=cause)
        self._attempt += 1
        self._on_unreadable(WireFormatError("message", cause, "what an AMQP client can parse"))

    def _refused(self, reason: FanlightError) -> bool:
        if self._ever_stood or not isinstance(reason, BrokerRefused) or not self._hosts.refused():
            return False
        self._owner.on_failed(reason)
        self._shut_down()
        return True

    def _complain(self, reason: str, delay_s: float) -> None:
        """Say what is wrong, at most once a second."""
        self._attempt += 1
        if self._complaints.allow(monotonic_ns()) is not None:
            level = self._level(logging.WARNING)
            where = " at {}:{}".format(*self._hosts.current) if self._hosts.several else ""
            _LOG.log(
                level,
                "%s: %s; attempt %d%s in %.1f s",
                self._title,
                reason,
                self._attempt + 1,
                where,
                delay_s,
            )

    def _level(self, level: int) -> int:
        return logging.DEBUG if self._quiet else level

    def _shut_down(self) -> None:
        if self._stopping:
            return  # somebody else stops it too: the connection may be about to close in good order
        self._stopping = True
        connection = self._connection
        if connection is not None and connection.is_open:
            # A broker that does not answer must not keep the process.
            self._loop.call_later(_CLOSE_TIMEOUT_S, self._abandon)
            connection.close()
        else:
            self._abandon()

    def _abandon(self) -> None:
        """End without an answer. Pika cannot abandon an attempt without an assertion of its own."""
        if self._services.transport is not None:
            self._services.transport.detach(StreamLostError())
        # Pika closes the socket in the next turn of the loop.
        self._loop.add_callback_threadsafe(self._finish)
