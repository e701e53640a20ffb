"""Receives what producers announce on `fanlight.streams`, through an exclusive queue."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.model.frame import PROBE_CONTENT_TYPE
from fanlight.common.transport.amqp.binding import StreamBinding
from fanlight.common.transport.amqp.declare_exchange import ExchangeDeclaration
from fanlight.common.transport.amqp.interval_acks import MOST_AT_ONCE, QUEUE_ARGUMENTS, IntervalAcks
from fanlight.common.transport.amqp.link import Link
from fanlight.common.transport.amqp.topology import (
    SERVER_NAMED,
    STREAMS_EXCHANGE,
    announcement,
    consumer_tag,
)
from fanlight.common.transport.base import DIRECTORY_CHECK_S
from fanlight.common.transport.live_list import Listed, LiveList

# Nothing came for longer than producers announce themselves: the exchange may have been deleted.
_IDLE_CHECKS: Final = 5


class BrokerDirectory:
    """See `common.transport.base.DirectorySubscriber`."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        name: str,
        trust: tuple[str, ...],
        on_change: Callable[[Listed], None],
        on_failed: Callable[[FanlightError], None],
    ) -> None:
        self._tag = consumer_tag("streams", name)
        self._parse = partial(announcement, trust=frozenset(trust))
        self._list = LiveList(on_change)
        self._declaration = ExchangeDeclaration()
        self._link = Link(
            address,
            self,
            title=f"fanlight directory {name}",
            header_tables=False,
            on_failed=on_failed,
            on_unreadable=lambda error: self._list.malformed(error, monotonic_ns()),
            another_way=self._declaration.again,
        )
        self._binding = StreamBinding(
            self._link,
            STREAMS_EXCHANGE,
            self._declaration,
            follow=True,
            on_following=lambda _channel: None,
        )
        self._acks = IntervalAcks(self._link, then=self._check)
        self._ready_channel: Channel | None = None
        self._idle_checks = 0

    @property
    def complete(self) -> bool:
        return self._list.complete

    @property
    def refused(self) -> int:
        return self._list.refused

    def start(self) -> None:
        self._link.call(self._tick)
        self._link.start()

    def stop(self, timeout_s: float) -> None:
        self._link.stop(timeout_s)

    # From here on everything runs in the link's thread.

    def on_channel(self, channel: Channel) -> None:
        self._acks.reset()
        channel.add_on_cancel_callback(self._cancelled)
        channel.basic_qos(prefetch_count=MOST_AT_ONCE)
        channel.queue_declare(
            SERVER_NAMED,
            exclusive=True,
            auto_delete=True,
            arguments=QUEUE_ARGUMENTS,
            callback=partial(self._declared, channel),
        )

    def on_down(self) -> None:
        self._ready_channel = None

    def _declared(self, channel: Channel, ok: Any) -> None:
        if self._link.usable(channel):
            queue = ok.method.queue
            # Before it is bound: see the subscriber.
            channel.basic_consume(
                queue,
                self._delivered,
                exclusive=True,
                consumer_tag=self._tag,
                callback=lambda _frame: self._consuming(channel, queue),
            )

    def _consuming(self, channel: Channel, queue: str) -> None:
        if self._link.usable(channel):
            self._binding.set_up(channel, queue, self._ready)

    def _ready(self, channel: Channel) -> None:
        self._ready_channel = channel
        self._idle_checks = 0
        self._link.established()
        self._list.established(monotonic_ns())

    def _cancelled(self, _frame: object) -> None:
        self._link.renew("the queue was deleted")

    def _delivered(
        self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        self._idle_checks = 0
        self._acks.delivered(channel, method.delivery_tag)
        if properties.content_type == PROBE_CONTENT_TYPE:
            return  # of the doctor
        now_ns = monotonic_ns()
        try:
            self._list.observe(self._parse(properties, body), now_ns)
        except WireFormatError as error:
            self._list.malformed(error, now_ns)

    def _tick(self) -> None:
        self._check()
        self._idle_checks += 1
        channel = self._ready_channel
        if self._idle_checks >= _IDLE_CHECKS and channel is not None and self._link.usable(channel):
            self._idle_checks = 0
            self._binding.renew(channel)
        self._link.call_later(DIRECTORY_CHECK_S, self._tick)

    def _check(self) -> None:
        self._list.check(monotonic_ns())
