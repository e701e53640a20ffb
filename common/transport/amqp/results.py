"""Publishes and receives what detectors found, on `fanlight.S.results`."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from pika import BasicProperties
from pika.channel import Channel

from fanlight.common.clock import monotonic_ns
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.model.result import Result
from fanlight.common.transport.amqp.fanout_queue import FanoutQueue
from fanlight.common.transport.amqp.link import Link
from fanlight.common.transport.amqp.topology import (
    check_user,
    consumer_tag,
    control_properties,
    results_exchange,
)

_LOG = logging.getLogger(__name__)

# Results that wait for the link's thread, which sends or drops them at once.
_MOST_PENDING: Final = 64
# What a slow network holds back: an older result is of no use.
_MOST_UNSENT_BYTES: Final = 128 * 1024
# While nobody listens, one result in this time finds out whether somebody does.
_UNHEARD_NS: Final = 200_000_000
# Parsed per interval of 0.1 s: a flood of the largest results then takes a tenth of a core for JSON alone,
# and up to a whole one if they consist of tiny lists or points.
_MOST_INTERVAL_BYTES: Final = 512 * 1024
_IDLE_TICKS: Final = 2


class BrokerResultsPublisher:
    """See `common.transport.base.ResultsPublisher`.

    Results are published `mandatory`: the broker returns what nobody listens to.
    """

    def __init__(self, address: BrokerAddress, *, stream: str, name: str) -> None:
        self._exchange = results_exchange(stream)
        self._properties = control_properties(Result, address.user)
        self._link = Link(
            address,
            self,
            title=f"fanlight detector {stream} {name}",
            header_tables=False,
            on_failed=self._failed,
        )
        self._pending: deque[bytes] = deque()
        self._lock = threading.RLock()  # a signal handler may send while its thread does
        self._channel: Channel | None = None
        self._blocked = False
        self._unheard_until_ns = 0
        self.sent = self.unheard = self._dropped = 0
        self._stopped = False
        self.failure: FanlightError | None = None

    @property
    def unsent(self) -> int:
        return self._dropped + (len(self._pending) if self._stopped else 0)

    def start(self) -> None:
        self._link.start()

    def publish(self, body: bytes) -> None:
        with self._lock:
            if len(self._pending) >= _MOST_PENDING:
                self._dropped += 1
                return
            self._pending.append(body)
        self._link.call(self._send)

    def stop(self, timeout_s: float) -> None:
        self._link.stop(timeout_s)
        self._stopped = True

    # From here on everything runs in the link's thread.

    def on_channel(self, channel: Channel) -> None:
        channel.add_on_return_callback(self._returned)
        connection = channel.connection
        connection.add_on_connection_blocked_callback(partial(self._set_blocked, channel, True))
        connection.add_on_connection_unblocked_callback(partial(self._set_blocked, channel, False))
        self._blocked = False
        channel.exchange_declare(
            self._exchange, "fanout", durable=True, callback=partial(self._declared, channel)
        )

    def on_down(self) -> None:
        self._channel = None

    def _failed(self, error: FanlightError) -> None:
        self.failure = error

    def _declared(self, channel: Channel, _frame: object) -> None:
        if self._link.usable(channel):
            self._channel = channel
            self._unheard_until_ns = 0
            self._link.established()

    def _set_blocked(self, channel: Channel, blocked: bool, *_frame: object) -> None:
        if channel is self._channel:
            self._blocked = blocked

    def _returned(self, _channel: Channel, _method: object, _properties: object, _body: bytes) -> None:
        self._unheard_until_ns = monotonic_ns() + _UNHEARD_NS
        with self._lock:
            self.sent -= 1
            self.unheard += 1

    def _send(self) -> None:
        channel = self._channel
        with self._lock:
            body = self._pending.popleft()
            if (
                channel is None
                or not channel.is_open
                or self._blocked
                or self._link.unsent_bytes > _MOST_UNSENT_BYTES
            ):
                self._dropped += 1
                return
            if monotonic_ns() < self._unheard_until_ns:
                self.unheard += 1
                return
            self.sent += 1
        channel.basic_publish(self._exchange, "", body, self._properties, mandatory=True)


class BrokerResultsSubscriber:
    """See `common.transport.base.ResultsSubscriber`."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        stream: str,
        name: str,
        trust: tuple[str, ...],
        on_result: Callable[[Result], None],
        on_failed: Callable[[FanlightError], None],
    ) -> None:
        self._stream = stream
        self._trust = frozenset(trust)
        self._on_result = on_result
        self._log = LimitedLog(_LOG)
        self._interval_bytes = 0
        self.refused = self.excess = 0
        self._queue = FanoutQueue(
            address,
            results_exchange(stream),
            tag=consumer_tag(f"{stream}.results", name),
            title=f"fanlight results {stream} {name}",
            quiet=True,
            idle_ticks=_IDLE_TICKS,
            on_message=self._on_message,
            on_failed=on_failed,
            on_unreadable=self._malformed,
            on_interval=self._next_interval,
        )

    def start(self) -> None:
        self._queue.start()

    def close(self) -> None:
        self._queue.close()

    def stop(self, timeout_s: float) -> None:
        self._queue.stop(timeout_s)

    # From here on everything runs in the link's thread.

    def _on_message(self, properties: BasicProperties, body: bytes) -> None:
        self._interval_bytes += len(body)
        if self._interval_bytes > _MOST_INTERVAL_BYTES:
            self.excess += 1
            return
        try:
            result = self._parse(properties, body)
        except WireFormatError as error:
            self._malformed(error)
        else:
            self._on_result(result)

    def _parse(self, properties: BasicProperties, body: bytes) -> Result:
        if properties.type != Result.TYPE:
            raise WireFormatError("type", properties.type, repr(Result.TYPE))
        check_user(properties, self._trust)
        result = Result.from_json(body)
        if result.stream != self._stream:
            raise WireFormatError("stream", result.stream, repr(self._stream))
        return result

    def _next_interval(self) -> None:
        self._interval_bytes = 0

    def _malformed(self, error: WireFormatError) -> None:
        self.refused += 1
        self._log.warn(monotonic_ns(), "result refused: %s", error)
