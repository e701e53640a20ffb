"""Receives one stream through an exclusive queue, with manual acknowledgement and a small prefetch.

With automatic acknowledgement the broker would send everything at once, so that the length and age limits
of the queue would not apply: unbounded latency (rabbitmq-website, docs/maxlength, docs/confirms).
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from pika import BasicProperties, SelectConnection
from pika.channel import Channel
from pika.spec import Basic

from fanlight.common.clock import wall_ns
from fanlight.common.model import control
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.bye import Bye
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import LARGEST, PROBE_CONTENT_TYPE, EncodedFrame, FrameHeader, Limits
from fanlight.common.transport.amqp.binding import StreamBinding
from fanlight.common.transport.amqp.declare_exchange import ExchangeDeclaration
from fanlight.common.transport.amqp.link import Link
from fanlight.common.transport.amqp.topology import (
    ACK_EVERY,
    CONTROL_EXCHANGE,
    DIRECT_REPLY,
    PREFETCH,
    SERVER_NAMED,
    consumer_tag,
    control_properties,
    exchange,
    frame_header,
    freshness_arguments,
    read_bye,
)
from fanlight.common.transport.base import SubscriberEvents, report_every_s

# Interval of checks whether the stream has paused: frames have to be received again within 2 s.
_IDLE_CHECK_S: Final = 0.5
# A blocked broker may read nothing for hours: messages beyond this are dropped.
_MOST_UNSENT_BYTES: Final = 64 * 1024


class BrokerSubscriber:
    """See `common.transport.base.Subscriber`.

    Args:
        follow: the queue is bound to the stream's exchange from the beginning.
        trust: users whose frames are accepted, as the broker verifies them; empty for everybody's.
        until_end: whether the end of the stream must not be missed; see `freshness_arguments`.
    """

    prefetch = PREFETCH

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
        until_end: bool = False,
    ) -> None:
        self._stream = stream
        self._tag = consumer_tag(stream, name)
        self._user = address.user
        self._arguments = freshness_arguments(max_age_s, until_end=until_end)
        self._parse = partial(frame_header, stream=stream, trust=frozenset(trust), limits=limits)
        self._parse_bye = partial(read_bye, stream=stream, trust=frozenset(trust))
        self._events = events
        self._declaration = ExchangeDeclaration()
        self._link = Link(
            address,
            self,
            title=f"fanlight consumer {stream} {name}",
            on_failed=events.on_failed,
            on_unreadable=events.on_malformed,
            another_way=self._declaration.again,
        )
        self._binding = StreamBinding(
            self._link,
            exchange(stream),
            self._declaration,
            follow=follow,
            on_following=self._following,
        )
        self._depth = _QueueDepth()
        self._acks = _Acknowledgements()
        self._connection: SelectConnection | None = None
        self._queue = ""
        self._consuming: Channel | None = None
        self._idle_checks = 0

    @property
    def waiting(self) -> int | None:
        return self._depth.messages

    def count_waiting(self) -> None:
        self._depth.wanted = True

    def start(self) -> None:
        self._link.start()

    def follow_stream(self, follow: bool) -> None:
        self._link.call(lambda: self._binding.set_follow(self._consuming, follow))

    def send(self, message: control.ControlMessage) -> None:
        self._link.call(partial(self._publish_control, message))

    def stop(self, timeout_s: float) -> None:
        self._link.stop(timeout_s)

    # From here on everything runs in the link's thread.

    def on_channel(self, channel: Channel) -> None:
        if channel.connection is not self._connection:
            self._new_connection(channel.connection)
        self._acks = _Acknowledgements()
        channel.add_on_cancel_callback(self._cancelled)
        # pika sends each of these when the one before it is answered.
        self._declaration.declare(channel, CONTROL_EXCHANGE, "direct")
        channel.basic_qos(prefetch_count=self.prefetch)
        channel.basic_consume(DIRECT_REPLY, self._replied, auto_ack=True)
        self._declare(channel)

    def _declare(self, channel: Channel) -> None:
        channel.queue_declare(
            SERVER_NAMED,
            exclusive=True,
            auto_delete=True,
            arguments=self._arguments,
            callback=partial(self._declared, channel),
        )

    def on_down(self) -> None:
        self._depth.reset()
        if self._consuming is not None:
            self._consuming = None
            self._events.on_disconnected()

    def _new_connection(self, connection: SelectConnection) -> None:
        self._connection = connection
        connection.add_on_connection_blocked_callback(partial(self._set_blocked, True))
        connection.add_on_connection_unblocked_callback(partial(self._set_blocked, False))

    def _set_blocked(self, blocked: bool, connection: SelectConnection, _frame: object) -> None:
        if connection is self._connection and connection.is_open:
            self._events.on_blocked(blocked)

    def _declared(self, channel: Channel, ok: Any) -> None:
        if not self._link.usable(channel):
            return
        self._queue = ok.method.queue
        self._consume(channel, exclusive=True)

    def _consume(self, channel: Channel, *, exclusive: bool) -> None:
        # Before it is bound, which fails as long as the exchange is missing: a queue that had a consumer is
        # deleted with the channel.
        channel.basic_consume(
            self._queue,
            self._delivered,
            exclusive=exclusive,
            consumer_tag=self._tag,
            callback=partial(self._consume_ok, channel),
        )

    def _consume_ok(self, channel: Channel, _frame: object) -> None:
        if self._link.usable(channel):
            self._binding.set_up(channel, self._queue, self._ready)

    def _ready(self, channel: Channel) -> None:
        self._consuming = channel
        self._link.established()
        self._events.on_connected()
        self._link.call_later(report_every_s(self._binding.follow), partial(self._tick, channel))
        self._begin_idle_checks(channel)

    def _following(self, channel: Channel) -> None:
        self._events.on_following()
        self._begin_idle_checks(channel)

    def _cancelled(self, _frame: object) -> None:
        self._link.renew("the queue was deleted")

    def _delivered(
        self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        self._receive(properties, body)
        self._acks.delivered(channel, method.delivery_tag)

    def _receive(self, properties: BasicProperties, body: bytes) -> FrameHeader | None:
        """Hand out a frame. None if the message is no frame, or is dropped."""
        received_ns = wall_ns()
        # The probe of an idle producer is no frame, and its sender wakes by itself.
        if properties.content_type == PROBE_CONTENT_TYPE:
            if properties.type == Bye.TYPE:
                self._ended(properties)
            return None
        try:
            header = self._parse(properties, len(body))
        except WireFormatError as error:
            self._events.on_malformed(error)
            return None
        return None if self._events.on_frame(EncodedFrame(header, body), received_ns) is False else header

    def _ended(self, properties: BasicProperties) -> None:
        try:
            bye = self._parse_bye(properties)
        except WireFormatError as error:
            self._events.on_malformed(error)
        else:
            self._events.on_ended(bye)

    def _tick(self, channel: Channel) -> None:
        if self._link.usable(channel):
            self._events.on_tick()
            self._depth.ask(channel, self._queue)
            if not self._binding.follow:
                self._acks.send(channel)
            self._link.call_later(report_every_s(self._binding.follow), partial(self._tick, channel))

    def _begin_idle_checks(self, channel: Channel) -> None:
        self._idle_checks += 1  # ends the series before
        self._check_idle(channel, -1, self._idle_checks)

    def _check_idle(self, channel: Channel, last_tag: int, series: int) -> None:
        # While a hub serves there is nothing to check: a hundred viewers of a host need not wake for it.
        if not self._link.usable(channel) or not self._binding.follow or series != self._idle_checks:
            return
        if last_tag == self._acks.last_tag:
            self._quiet(channel)
        self._link.call_later(
            _IDLE_CHECK_S, partial(self._check_idle, channel, self._acks.last_tag, series)
        )

    def _quiet(self, channel: Channel) -> None:
        """Nothing was delivered between two checks."""
        self._acks.send(channel)
        self._binding.renew(channel)

    def _publish_control(self, message: control.ControlMessage) -> None:
        channel = self._consuming
        if channel is None or not channel.is_open or self._link.unsent_bytes > _MOST_UNSENT_BYTES:
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


class _Acknowledgements:
    """Acknowledges several messages at once: each time costs the broker as much as a small message.

    What a consumer that is suspended, or on a slow network, does not acknowledge stays in the queue, which
    drops it. A message that stays unacknowledged closes the channel (`consumer_timeout`): the rest of a
    batch is acknowledged when the stream pauses.
    """

    def __init__(self) -> None:
        self.last_tag = 0
        self._unacknowledged = 0

    def delivered(self, channel: Channel, tag: int) -> None:
        self.last_tag = tag
        self._unacknowledged += 1
        if self._unacknowledged >= ACK_EVERY:
            self.send(channel)

    def send(self, channel: Channel) -> None:
        if self._unacknowledged and channel.is_open:
            channel.basic_ack(self.last_tag, multiple=True)
        self._unacknowledged = 0


class _QueueDepth:
    """How many messages wait in the queue. Asked for once a tick, if wanted.

    The broker answers from the queue's own process, in a tenth of a millisecond. One question at a time: a
    broker that is blocked does not answer, and pika would keep what is asked meanwhile.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.messages: int | None = None
        self._asked: Channel | None = None

    def ask(self, channel: Channel, queue: str) -> None:
        if not self.wanted:
            return
        if self._asked is not None:
            self.messages = None
        else:
            self._asked = channel
            channel.queue_declare(queue, passive=True, callback=partial(self._answered, channel))

    def reset(self) -> None:
        """The channel is gone."""
        self.messages = self._asked = None

    def _answered(self, channel: Channel, ok: Any) -> None:
        if channel is self._asked:
            self._asked = None
            self.messages = ok.method.message_count
