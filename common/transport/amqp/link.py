"""One AMQP connection with one channel, the thread that owns them, and reconnection after a loss.

Channels are not thread-safe: everything that touches one runs in the link's thread, by `call`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from pika import ConnectionParameters, PlainCredentials, SelectConnection
from pika.channel import Channel
from pika.exceptions import StreamLostError

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import BrokerRefused, FanlightError, WireFormatError
from fanlight.common.transport.amqp.error_mapping import answered, explain, network_is_out
from fanlight.common.transport.amqp.io_thread import IOThread
from fanlight.common.transport.amqp.node_rotation import HostRotation
from fanlight.common.transport.amqp.node_watch import NodeWatch
from fanlight.common.transport.amqp.tls import Tls
from fanlight.common.transport.cleartext import warn_unencrypted
from fanlight.common.transport.liveness import ATTEMPT_S, PAUSE_S, TCP_OPTIONS
from fanlight.common.transport.outage_log import OutageLog

_LOG = logging.getLogger(__name__)

# For one failed attempt pika logs up to seven lines at level ERROR, with tracebacks; a link logs one. A
# level that the program has set stays.
_PIKA = logging.getLogger("pika")
_SILENT = logging.CRITICAL + 1

HEARTBEAT_S = 10
_CLOSE_TIMEOUT_S = 1.0
_IN_CLEAR = (
    "the password and every frame cross the network to %s in clear: write amqps:// (docs/security.md)"
)


class LinkOwner(Protocol):
    """The user of the channel. Called in the link's thread."""

    def on_channel(self, channel: Channel) -> None:
        """A channel is open: declare and consume, then call `Link.established`."""
        ...

    def on_down(self) -> None:
        """The channel was lost or closed. Called once for every `on_channel`."""
        ...


class Link:
    """Connects, and reconnects after a loss, until it is stopped.

    A refusal (password, vhost, permission, certificate) is final only if the link was never established,
    and every host has refused: a restarting broker may temporarily refuse what it granted before.

    Args:
        title: shown as the connection's name in RabbitMQ's console and in log lines.
        quiet: True for further connections of a process: the first one logs what is wrong with the broker
            or the network, and this one only what the broker itself gives as a reason.
        header_tables: False if the owner reads none: what others write there cannot do harm then.
        on_failed: called in the link's thread when no further attempt is made; None to try for ever.
        on_unreadable: called when a message that pika cannot parse has cost the connection.
        another_way: called when the broker has closed the channel, with the reply code. If it returns True,
            a new channel is opened at once, without a log line.

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
        header_tables: bool = True,
        on_failed: Callable[[FanlightError], None] | None = None,
        on_unreadable: Callable[[WireFormatError], None] = lambda _error: None,
        another_way: Callable[[int | None], bool] = lambda _code: False,
    ) -> None:
        if _PIKA.level == logging.NOTSET:
            _PIKA.setLevel(_SILENT)
        self._address = address
        self._tls = Tls(address) if address.tls else None
        self._owner = owner
        self._on_failed = on_failed
        self._on_unreadable = on_unreadable
        self._another_way = another_way
        self._log = OutageLog(_LOG, title, quiet=quiet)
        self._hosts = HostRotation(address.hosts, random.Random())  # noqa: S311 (jitter: no secret)
        self._thread = IOThread(title, on_io_error=self._io_error, on_failed=self._thread_failed)
        self._thread.services.header_tables = header_tables
        self._node = NodeWatch(self._thread, several=self._hosts.several, give_up=self._give_up)
        self._connection: SelectConnection | None = None
        self._channel: Channel | None = None
        self._was_established = False
        self._stopping = False

    @property
    def unsent_bytes(self) -> int:
        """Bytes that wait because the network or the broker is slow. In the link's thread."""
        transport = self._thread.services.transport
        return 0 if transport is None else transport.unsent_bytes

    def start(self) -> None:
        self._thread.start(self._connect)

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` in the link's thread, soon. Thread-safe; ignored once the link has ended."""
        self._thread.call(function)

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Run `function` after a while. To be called in the link's thread.

        By then the channel may be another, or closing: check `usable` first.
        """
        self._thread.call_later(delay_s, function)

    def usable(self, channel: Channel | None) -> bool:
        """Whether something may be declared, sent and acknowledged there. In the link's thread."""
        return channel is not None and channel is self._channel and channel.is_open

    def further_channel(self, on_open: Callable[[Channel], None]) -> None:
        """Open another channel on the connection. In the link's thread."""
        if self._connection is not None and self._connection.is_open:
            self._connection.channel(on_open_callback=on_open)

    def established(self) -> None:
        """To be called when the owner's set-up is complete: logs it and resets the reconnection delays."""
        self._log.over(monotonic_ns(), self._here)
        self._node.established()
        self._hosts.established(monotonic_ns())
        self._was_established = True

    def renew(self, reason: str) -> None:
        """Close the channel and open a new one, since its queue or exchange was deleted."""
        channel = self._channel
        if channel is not None and channel.is_open:
            self._lost_channel(reason)
            channel.close()

    def close(self) -> None:
        """Begin to close, in order if the broker answers in time. Thread-safe."""
        self.call(self._shut_down)

    def stop(self, timeout_s: float) -> None:
        """Close, and wait for the end of the thread."""
        self.close()
        self._thread.join(timeout_s)

    # From here on everything runs in the link's thread.

    def _connect(self) -> None:
        if self._stopping:
            return
        host, port = self._hosts.current
        times = self._address.times
        timeout_s = times.connect_s or self._hosts.timeout_s
        parameters = ConnectionParameters(
            host=host,
            port=port,
            virtual_host=self._address.vhost,
            credentials=PlainCredentials(self._address.user, self._address.password),
            heartbeat=int(times.heartbeat_s or HEARTBEAT_S),
            blocked_connection_timeout=times.blocked_s,
            socket_timeout=times.connect_s or min(timeout_s, ATTEMPT_S),
            stack_timeout=timeout_s,
            connection_attempts=1,
            client_properties={"connection_name": self._log.title, "product": "Fanlight"},
            ssl_options=None if self._tls is None else self._tls.options(host),
            tcp_options=TCP_OPTIONS,
        )
        self._thread.services.transport = None
        self._connection = SelectConnection(
            parameters,
            on_open_callback=self._opened,
            on_open_error_callback=self._lost,
            on_close_callback=self._lost,
            custom_ioloop=self._thread.services,
        )
        self._node.expect(timeout_s)

    @property
    def _here(self) -> BrokerAddress:
        """The address with the one host that is, or was last, connected to."""
        return replace(self._address, hosts=(self._hosts.current,))

    def _io_error(self, error: OSError | ValueError) -> bool:
        # pika does not handle a lack of file descriptors, nor a connection that is lost before
        # `getpeername`: this attempt has failed.
        if self._connection is None or self._connection.is_open:
            return False
        self._lost(self._connection, error if isinstance(error, OSError) else StreamLostError())
        return True

    def _give_up(self, cause: BaseException) -> None:
        if self._thread.services.transport is not None:
            self._thread.services.transport.give_up(cause)

    def _opened(self, connection: SelectConnection) -> None:
        self._node.opened(connection)
        if self._tls is None:
            warn_unencrypted(self._thread.services.peer, _IN_CLEAR)
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
        if self._is_final(reason):
            return
        if isinstance(reason, BrokerRefused) and self._hosts.several:
            self._give_up(error)
            return
        self._lost_channel(str(reason), loud=True)

    def _lost_channel(self, reason: str, *, loud: bool = False) -> None:
        self._channel = None
        self._owner.on_down()
        delay_s = self._hosts.same_host_delay_s()
        self._log_failure(reason, delay_s, loud=loud)
        self._thread.call_later(delay_s, self._open_channel)
        self._node.expect(delay_s + self._hosts.timeout_s)

    def _lost(self, connection: SelectConnection, error: BaseException) -> None:
        if connection is not self._connection:
            return
        self._connection = None
        self._node.lost()
        if self._channel is not None:
            self._channel = None
            self._owner.on_down()
        if self._stopping:
            self._thread.finish()
            return
        transport = self._thread.services.transport
        # pika reports every loss of an open connection as StreamLostError, without the system's error.
        found = transport.cause if transport is not None and isinstance(error, StreamLostError) else None
        cause = found or error
        unreadable = transport is not None and transport.unreadable and found is not None
        reason = explain(cause, self._here, b"" if transport is None else transport.first)
        if not unreadable and self._is_final(reason):
            return
        delay_s = self._hosts.failed(monotonic_ns())
        if network_is_out(cause):
            delay_s = min(delay_s, PAUSE_S)
        if unreadable:
            # The owner reports it.
            _LOG.debug("%s: what pika cannot parse", self._log.title, exc_info=cause)
            self._on_unreadable(WireFormatError("message", cause, "what an AMQP client can parse"))
        else:
            self._log_failure(str(reason), delay_s, loud=answered(cause))
        self._thread.call_later(delay_s, self._connect)

    def _log_failure(self, reason: str, delay_s: float, *, loud: bool) -> None:
        where = " at {}:{}".format(*self._hosts.current) if self._hosts.several else ""
        self._log.failed(monotonic_ns(), reason, delay_s, where, loud=loud)

    def _is_final(self, reason: FanlightError) -> bool:
        if self._on_failed is None or self._was_established or not isinstance(reason, BrokerRefused):
            return False
        if not self._hosts.refused():
            return False
        self._on_failed(reason)
        self._shut_down()
        return True

    def _thread_failed(self, error: FanlightError) -> None:
        if self._on_failed is not None:
            self._on_failed(error)

    def _shut_down(self) -> None:
        if self._stopping:
            return  # called before: the connection may be closing in order
        self._stopping = True
        connection = self._connection
        if connection is not None and connection.is_open:
            # A broker that does not answer must not keep the process.
            self._thread.call_later(_CLOSE_TIMEOUT_S, self._abandon)
            connection.close()
        else:
            self._abandon()

    def _abandon(self) -> None:
        """End without an answer. Aborting an attempt through pika fails with an AssertionError."""
        if self._thread.services.transport is not None:
            self._thread.services.transport.detach(StreamLostError())
        # Pika closes the socket in the next iteration of the loop.
        self._thread.call(self._thread.finish)
