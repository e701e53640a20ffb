"""Receives small messages of a fanout exchange through an exclusive queue, at a limited rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.model.frame import PROBE_CONTENT_TYPE
from fanlight.common.transport.amqp.binding import StreamBinding
from fanlight.common.transport.amqp.declare_exchange import ExchangeDeclaration
from fanlight.common.transport.amqp.interval_acks import MOST_AT_ONCE, QUEUE_ARGUMENTS, IntervalAcks
from fanlight.common.transport.amqp.link import Link
from fanlight.common.transport.amqp.topology import SERVER_NAMED

TICK_S: Final = 0.5


class FanoutQueue:
    """Belongs to one subscriber. All callbacks are called in the link's thread.

    Args:
        tag: names the queue's consumer, see `topology.consumer_tag`.
        title, quiet: see `Link`.
        idle_ticks: without a message for so many ticks the queue is bound again: an operator may have
            deleted the exchange.
        on_message: a message came.
        on_ready: messages can come, for the first time or again.
        on_interval: the end of an interval in which messages came, see `IntervalAcks`.
        on_tick: called every `TICK_S` from the start.
    """

    def __init__(
        self,
        address: BrokerAddress,
        exchange: str,
        *,
        tag: str,
        title: str,
        quiet: bool = False,
        idle_ticks: int,
        on_message: Callable[[BasicProperties, bytes], None],
        on_failed: Callable[[FanlightError], None],
        on_unreadable: Callable[[WireFormatError], None],
        on_ready: Callable[[], None] = lambda: None,
        on_interval: Callable[[], None] = lambda: None,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._tag = tag
        self._most_idle_ticks = idle_ticks
        self._on_message = on_message
        self._on_ready = on_ready
        self._on_tick = on_tick
        self._declaration = ExchangeDeclaration()
        self._link = Link(
            address,
            self,
            title=title,
            quiet=quiet,
            header_tables=False,
            on_failed=on_failed,
            on_unreadable=on_unreadable,
            another_way=self._declaration.again,
        )
        self._binding = StreamBinding(
            self._link, exchange, self._declaration, follow=True, on_following=lambda _channel: None
        )
        self._acks = IntervalAcks(self._link, then=on_interval)
        self._ready_channel: Channel | None = None
        self._idle_ticks = 0

    def start(self) -> None:
        self._link.call(self._tick)
        self._link.start()

    def close(self) -> None:
        self._link.close()

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
        self._idle_ticks = 0
        self._link.established()
        self._on_ready()

    def _cancelled(self, _frame: object) -> None:
        self._link.renew("the queue was deleted")

    def _delivered(
        self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        self._idle_ticks = 0
        self._acks.delivered(channel, method.delivery_tag)
        if properties.content_type != PROBE_CONTENT_TYPE:  # of the doctor
            self._on_message(properties, body)

    def _tick(self) -> None:
        self._on_tick()
        self._idle_ticks += 1
        channel = self._ready_channel
        if self._idle_ticks >= self._most_idle_ticks and channel is not None and self._link.usable(channel):
            self._idle_ticks = 0
            self._binding.renew(channel)
        self._link.call_later(TICK_S, self._tick)
