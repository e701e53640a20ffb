"""One AMQP connection with one channel, the thread that owns them, and their way back after a loss.

Channels are not thread-safe: everything that touches one runs in the link's thread, by `call`, or in the
thread that does its work in its stead, by `work`; never in both at once.
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

from common.address import BrokerAddress
from common.clock import monotonic_ns
from common.errors import BrokerRefused, FanlightError
from common.fanout.broker.hosts import HostRotation
from common.fanout.broker.pika_internals import (
    Turns,
    close_socket,
    give_up,
    line_of,
    peer,
    read_in_large_pieces,
    send_heartbeat,
    survive_hostile_tables,
    unread,
    write_at_once,
)
from common.fanout.broker.pulse import LOOK_S, Pulse
from common.fanout.broker.pulse import Verdict as PulseVerdict
from common.fanout.broker.refusals import explain, line_is_out
from common.fanout.broker.tls import Tls
from common.fanout.cleartext import in_clear
from common.fanout.lent_loop import LentLoop
from common.fanout.silence import ATTEMPT_S, CHECK_EVERY_S, PAUSE_S, NetworkSilent, Silence, Verdict
from common.ratelimit import RateLimiter

_LOG = logging.getLogger(__name__)

HEARTBEAT_S = 10
_CLOSE_TIMEOUT_S = 1.0
# Beyond the prefetch limit (0.27 s at 30 fps) messages grow stale at the broker.
_AWAY_S = 0.15
_IN_CLEAR = (
    "the password and every frame cross the network to %s in clear: write amqps:// (docs/security.md)"
)


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
    ) -> None:
        self._address = address
        self._tls = Tls(address) if address.tls else None
        self._owner = owner
        self._title = title
        self._quiet = quiet
        self._another_way = another_way
        self._loop = IOLoop()
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
        self._excused = False
        self._stopping = False
        self._ending = threading.Lock()
        self._ended = False
        self.turns = Turns(self._loop)
        self._lending = LentLoop(partial(self._guarded, self.turns.run), self.wake, away_s=_AWAY_S)

    @property
    def connection(self) -> SelectConnection | None:
        """The open connection, for its owner in the link's thread; None while there is none."""
        return self._connection if self._channel is not None else None

    def start(self) -> None:
        survive_hostile_tables()
        self._lending.prepare()
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` in the link's thread, soon. Thread-safe; ignored once the link has ended."""
        with self._ending:
            if not self._ended:
                self._loop.add_callback_threadsafe(function)

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Run `function` after a while. To be called in the link's thread."""
        self._loop.call_later(delay_s, function)

    def established(self) -> None:
        """The owner's set-up is complete: say so, and start the next series of attempts afresh."""
        if self._attempt or not self._ever_stood:
            _LOG.log(self._level(logging.INFO), "%s: connected to %s", self._title, self._here)
        if self._hosts.several and not self._standing and self._connection is not None:
            self._look(self._connection, self._setups, Pulse())
        self._ever_stood = self._standing = True
        self._attempt = 0
        self._hosts.stood(monotonic_ns())

    def renew(self, reason: str) -> None:
        """Close the channel and open a new one: what it stood for (its queue) is gone."""
        channel = self._channel
        if channel is not None and channel.is_open:
            self._lost_channel(reason)
            channel.close()

    def work(self, timeout_s: float) -> None:
        """Do the link's work in the calling thread, until something has come: see `LentLoop.work`."""
        self._lending.work(timeout_s)

    def wake(self) -> None:
        """Make whoever runs the loop look up. Thread-safe."""
        self.call(_nothing)

    def stop(self, timeout_s: float) -> None:
        """Close in good order, or without it if the broker does not answer, and join the thread."""
        if self._thread.is_alive():
            self.call(self._shut_down)
            self._lending.close()
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._loop.activate_poller()
            self._guarded(self._connect)
        finally:
            self._lending.begin()
        while not self._lending.finished:
            self._lending.own_turn()
        with self._lending.alone(), self._ending:
            self._ended = True
            self._loop.close()
            if self._connection is not None:
                close_socket(self._connection)

    def _guarded(self, function: Callable[..., None], *arguments: float) -> None:
        try:
            try:
                function(*arguments)
            except (OSError, ValueError) as error:
                # pika does not expect that no socket can be had (file descriptors), nor that the broker is
                # gone again between its answer and the look whom it came from: this attempt is over.
                if self._connection is None or self._connection.is_open:
                    raise
                self._lost(self._connection, error if isinstance(error, OSError) else StreamLostError())
        except Exception as error:  # noqa: BLE001 (a thread's last resort: its owner must hear of it)
            _LOG.exception("%s: internal error", self._title)
            self._lending.finish()
            self._owner.on_failed(FanlightError(f"{self._title}: internal error: {error!r}"))

    # From here on everything runs in the link's thread, or in the one that works in its stead.

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
        )
        self._connection = SelectConnection(
            parameters,
            on_open_callback=self._opened,
            on_open_error_callback=self._lost,
            on_close_callback=self._lost,
            custom_ioloop=self._loop,
        )
        self._limit_setup(timeout_s)
        self._loop.call_later(CHECK_EVERY_S, partial(self._listen, self._connection, Silence()))

    @property
    def _here(self) -> BrokerAddress:
        """The address with the one host that is, or was last, connected to."""
        return replace(self._address, hosts=(self._hosts.current,))

    def _limit_setup(self, timeout_s: float) -> None:
        """A node that waits for others that it has lost lets us in and answers nothing: another may."""
        self._setups += 1
        if self._hosts.several:
            self._loop.call_later(timeout_s, partial(self._overdue, self._setups, timeout_s))

    def _overdue(self, setup: int, timeout_s: float) -> None:
        connection = self._connection
        # While it is not yet open pika sees to it.
        if setup == self._setups and not self._standing and connection is not None and connection.is_open:
            give_up(connection, AMQPConnectionError(f"no answer within {timeout_s:.1f} s"))

    def _look(self, connection: SelectConnection, setup: int, pulse: Pulse) -> None:
        if setup != self._setups or connection is not self._connection or not connection.is_open:
            return
        verdict = pulse.look(connection.bytes_received, excused=self._excused)
        if verdict is PulseVerdict.LEAVE:
            give_up(connection, AMQPConnectionError("it has fallen silent"))
            return
        if verdict is PulseVerdict.ASK:
            # Not on our own channel: what was declared there may wait for nodes that are gone.
            connection.channel(on_open_callback=_close)
        self._loop.call_later(LOOK_S, partial(self._look, connection, setup, pulse))

    def _set_excused(self, excused: bool, *_notice: object) -> None:
        self._excused = excused

    def _listen(self, connection: SelectConnection, silence: Silence) -> None:
        """Give the connection up if the network is silent: heartbeats would take 20 s to tell."""
        if connection is not self._connection or connection.is_closing or connection.is_closed:
            return
        verdict = silence.check(line_of(connection), monotonic_ns() / 1e9)
        if verdict is Verdict.DEAD:
            give_up(connection, NetworkSilent())
            return
        if verdict is Verdict.ASK:
            send_heartbeat(connection)
        self._loop.call_later(CHECK_EVERY_S, partial(self._listen, connection, silence))

    def _opened(self, connection: SelectConnection) -> None:
        self._excused = False
        connection.add_on_connection_blocked_callback(partial(self._set_excused, True))
        connection.add_on_connection_unblocked_callback(partial(self._set_excused, False))
        read_in_large_pieces(connection)
        write_at_once(connection)
        if self._tls is None:
            in_clear(peer(connection), _IN_CLEAR)
        self._open_channel()

    def _open_channel(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.channel(on_open_callback=self._channel_opened)

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
            give_up(connection, error)
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
        self.turns.forget()
        if self._channel is not None:
            self._channel = None
            self._owner.on_down()
        if self._stopping:
            self._lending.finish()
            return
        reason = explain(error, self._here, unread(connection))
        if not self._refused(reason):
            delay_s = self._hosts.failed(monotonic_ns())
            if line_is_out(error):
                delay_s = min(delay_s, PAUSE_S)
            self._complain(str(reason), delay_s)
            self._loop.call_later(delay_s, self._connect)

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
        if connection is None or not connection.is_open:
            # Nothing stands yet, and pika cannot abandon an attempt without an assertion of its own.
            self._lending.finish()
            return
        # A broker that does not answer must not keep the process.
        self._loop.call_later(_CLOSE_TIMEOUT_S, self._lending.finish)
        connection.close()


def _nothing() -> None:
    pass


def _close(channel: Channel) -> None:
    channel.close()
