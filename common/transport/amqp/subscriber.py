"""Receives one stream through a queue of its own, with manual acknowledgement and a small prefetch.

Automatic acknowledgement would make the broker push everything at once, beyond the reach of the
queue's length and age limits: lag without bound (rabbitmq-website, docs/maxlength, docs/confirms).
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from fanlight.common.clock import wall_ns
from fanlight.common.model import control
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.model.frame import LARGEST, PROBE_CONTENT_TYPE, EncodedFrame, Limits
from fanlight.common.transport.amqp.declare_exchange import ExchangeDeclaration
from fanlight.common.transport.amqp.link import Link
from fanlight.common.transport.amqp.topology import (
    ACK_EVERY,
    CONTROL_EXCHANGE,
    DIRECT_REPLY,
    PREFETCH,
    consumer_queue,
    control_properties,
    exchange,
    frame_header,
    freshness_arguments,
    new_suffix,
)
from fanlight.common.transport.base import SubscriberEvents, report_every_s

# How often to look whether the stream has paused: frames are to be back within 2 s.
_LOOK_S: Final = 0.5
# A broker that is blocked reads nothing, for hours perhaps: what is beyond this is dropped.
_MOST_UNSENT_BYTES: Final = 64 * 1024


class BrokerSubscriber:
    """See `common.transport.base.Subscriber`.

    Args:
        follow: the queue is bound to the stream's exchange from the beginning.
        trust: users whose frames are taken, as the broker attests them; empty for everybody's.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        stream: str,
        name: str,
        max_age_s: float,
        events: SubscriberEvents,
        follow: bool = True,
        trust: tuple[str, ...] = (),
        limits: Limits = LARGEST,
    ) -> None:
        self._stream = stream
        self._follow = follow
        self._exchange = exchange(stream)
        self._name = name
        self._queue = ""
        self._arguments = freshness_arguments(max_age_s)
        self._user = address.user
        self._trust = frozenset(trust)
        self._events = events
        self._limits = limits
        self._declaring = ExchangeDeclaration()
        self._link = Link(
            address,
            self,
            title=f"fanlight consumer {stream} {name}",
            another_way=self._declaring.again,
            on_unreadable=events.on_malformed,
        )
        self._channel: Channel | None = None
        self._connection: Any = None
        self._consuming = False
        self._follows = False  # as this channel was told
        self._binding = False
        self._looks = 0
        self._unacked = 0
        self._last_tag = 0
        self._counts_waiting = self._counting = False
        self._waiting: int | None = None

    @property
    def waiting(self) -> int | None:
        return self._waiting

    def count_waiting(self) -> None:
        self._counts_waiting = True

    def start(self) -> None:
        self._link.start()

    def follow_stream(self, follow: bool) -> None:
        self._link.call(partial(self._set_follow, follow))

    def send(self, message: control.ControlMessage) -> None:
        self._link.call(partial(self._publish_control, message))

    def stop(self, timeout_s: float) -> None:
        self._link.stop(timeout_s)

    # From here on everything runs in the link's thread.

    def on_channel(self, channel: Channel) -> None:
        self._channel = channel
        if channel.connection is not self._connection:
            self._new_connection(channel.connection)
        self._unacked = self._last_tag = 0
        channel.add_on_cancel_callback(self._cancelled)
        # pika sends each of these when the one before it is answered.
        self._declare(channel, CONTROL_EXCHANGE, "direct")
        channel.basic_qos(prefetch_count=PREFETCH)
        channel.queue_declare(self._queue, exclusive=True, auto_delete=True, arguments=self._arguments)
        self._follows = self._follow
        if self._follow:
            self._bind(channel)
        channel.basic_consume(DIRECT_REPLY, self._replied, auto_ack=True)
        channel.basic_consume(
            self._queue, self._delivered, exclusive=True, callback=partial(self._consume_ok, channel)
        )

    def _bind(self, channel: Channel, *, tell: bool = False) -> None:
        self._binding = True
        self._declare(channel, self._exchange, "fanout")
        channel.queue_bind(self._queue, self._exchange, callback=partial(self._bound, channel, tell))

    def _bound(self, channel: Channel, tell: bool, _frame: object) -> None:
        if not self._link.usable(channel):
            return
        self._binding = False
        # Not before: a keyframe that is asked for earlier may come too early as well.
        if tell and self._follow:
            self._events.on_following()
            self._begin_to_look(channel)
        self._change_binding(channel)

    def _declare(self, channel: Channel, name: str, kind: str) -> None:
        channel.exchange_declare(name, kind, durable=True, passive=self._declaring.passive)

    def _set_follow(self, follow: bool) -> None:
        self._follow = follow
        channel = self._channel
        # While it is being set up there is nothing to change yet.
        if channel is not None and channel.is_open and self._consuming:
            self._change_binding(channel)

    def _change_binding(self, channel: Channel) -> None:
        # One at a time: a broker that stands still answers none, and only the last one counts.
        if self._binding or self._follows == self._follow:
            return
        self._follows = self._follow
        if self._follow:
            self._bind(channel, tell=True)
        else:
            self._binding = True
            channel.queue_unbind(self._queue, self._exchange, callback=partial(self._bound, channel, False))

    def on_down(self) -> None:
        self._channel = self._waiting = None
        self._counting = False
        self._binding = False
        if self._consuming:
            self._consuming = False
            self._events.on_disconnected()

    def on_failed(self, error: FanlightError) -> None:
        self._events.on_failed(error)

    def _new_connection(self, connection: Any) -> None:
        self._connection = connection
        # Each time another name: the broker, or another node, may not have noticed yet that the connection
        # of the one before is lost. Two consumers of one name both get every frame.
        self._queue = consumer_queue(self._stream, self._name, new_suffix())
        connection.add_on_connection_blocked_callback(partial(self._set_blocked, connection, True))
        connection.add_on_connection_unblocked_callback(partial(self._set_blocked, connection, False))

    def _set_blocked(self, connection: Any, blocked: bool, *_frame: object) -> None:
        if connection is self._connection and self._channel is not None:
            self._events.on_blocked(blocked)

    def _consume_ok(self, channel: Channel, _frame: object) -> None:
        if not self._link.usable(channel):
            return
        self._consuming = True
        self._link.established()
        self._events.on_connected()
        self._change_binding(channel)
        self._link.call_later(report_every_s(self._follow), partial(self._tick, channel))
        self._begin_to_look(channel)

    def _cancelled(self, _frame: object) -> None:
        self._link.renew("the queue was deleted")

    def _delivered(
        self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        received_ns = wall_ns()
        # The probe of an idle producer is no frame, and its sender wakes by itself.
        if properties.content_type != PROBE_CONTENT_TYPE:
            try:
                header = frame_header(properties, len(body), self._stream, self._trust, self._limits)
            except WireFormatError as error:
                self._events.on_malformed(error)
            else:
                self._events.on_frame(EncodedFrame(header, body), received_ns)
        # Several at once: an acknowledgement costs the broker as much as a small message. What a consumer
        # that is suspended, or on a slow network, does not acknowledge stays in the queue, which drops it.
        self._unacked += 1
        self._last_tag = method.delivery_tag
        if self._unacked >= ACK_EVERY:
            self._acknowledge(channel)

    def _acknowledge(self, channel: Channel) -> None:
        if channel.is_open:
            channel.basic_ack(self._last_tag, multiple=True)
        self._unacked = 0

    def _tick(self, channel: Channel) -> None:
        if self._link.usable(channel):
            self._events.on_tick()
            if self._counts_waiting:
                self._count_waiting(channel)
            if not self._follow:
                self._pause(channel)
            self._link.call_later(report_every_s(self._follow), partial(self._tick, channel))

    def _count_waiting(self, channel: Channel) -> None:
        # The broker answers from the queue's own process, in a tenth of a millisecond. One at a time: one
        # that is blocked does not answer, and pika would keep what is asked meanwhile.
        if self._counting:
            self._waiting = None
        else:
            self._counting = True
            channel.queue_declare(self._queue, passive=True, callback=partial(self._counted, channel))

    def _counted(self, channel: Channel, ok: Any) -> None:
        if channel is self._channel:
            self._counting = False
            self._waiting = ok.method.message_count

    def _begin_to_look(self, channel: Channel) -> None:
        self._looks += 1  # what looked before, looks no more
        self._look(channel, -1, self._looks)

    def _look(self, channel: Channel, seen_tag: int, looks: int) -> None:
        # While a hub serves there is nothing to look at: a hundred viewers of a host need not wake for it.
        if not self._link.usable(channel) or not self._follow or looks != self._looks:
            return
        if seen_tag == self._last_tag:
            self._pause(channel)
            # Silence may mean that an operator deleted the exchange and our binding with it. The
            # producer declares it again; nobody but us can bind again. Both are without effect else.
            if not self._binding:
                self._bind(channel)
        self._link.call_later(_LOOK_S, partial(self._look, channel, self._last_tag, looks))

    def _pause(self, channel: Channel) -> None:
        """The stream pauses: acknowledge the rest of a batch.

        An unacknowledged message closes the channel after half an hour (docs/consumers).
        """
        if self._unacked:
            self._acknowledge(channel)

    def _publish_control(self, message: control.ControlMessage) -> None:
        channel = self._channel
        if channel is None or not channel.is_open or not self._consuming:
            return
        if self._link.unsent_bytes > _MOST_UNSENT_BYTES:
            return
        reply_to = DIRECT_REPLY if isinstance(message, control.ClockRequest) else None
        properties = control_properties(message, self._user, reply_to=reply_to)
        channel.basic_publish(CONTROL_EXCHANGE, self._stream, control.serialize(message), properties)

    def _replied(
        self, _channel: Channel, _method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        try:
            message = control.parse(properties.type, body)
        except WireFormatError as error:
            self._events.on_malformed(error)
            return
        if isinstance(message, control.ClockReply) and message.stream == self._stream:
            self._events.on_clock(message)
