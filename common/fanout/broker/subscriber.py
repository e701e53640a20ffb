"""Receives one stream through a queue of its own, with manual acknowledgement and a small prefetch.

Automatic acknowledgement would make the broker push everything at once, beyond the reach of the
queue's length and age limits: lag without bound (rabbitmq-website, docs/maxlength, docs/confirms).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from common import control
from common.address import BrokerAddress
from common.clock import wall_ns
from common.errors import FanlightError, WireFormatError
from common.fanout.base import SubscriberEvents
from common.fanout.broker.declaring import Declaring
from common.fanout.broker.deliveries import Delivery, Properties
from common.fanout.broker.link import Link
from common.fanout.broker.pika_internals import (
    acknowledge,
    leave_out_large_bodies,
    take_deliveries,
    too_large,
    unsent_bytes,
)
from common.fanout.broker.topology import (
    ACK_EVERY,
    CONTROL_EXCHANGE,
    DIRECT_REPLY,
    PREFETCH,
    SHARED_EXCHANGE,
    consumer_queue,
    control_properties,
    exchange,
    freshness_arguments,
    new_suffix,
    share_key,
)
from common.frame import LARGEST, PROBE_CONTENT_TYPE, Codec, EncodedFrame, FrameHeader, Limits

_LOG = logging.getLogger(__name__)

_REPORT_S: Final = 1.0
# How often to look whether the stream has fallen silent: frames are to be back within 2 s.
_LOOK_S: Final = 0.5
# A broker that is blocked reads nothing, for hours perhaps: what is beyond this is dropped.
_MOST_UNSENT_BYTES: Final = 64 * 1024


class BrokerSubscriber:
    """See `common.fanout.base.Subscriber`.

    Args:
        share: the queue also gets what the hub tells that shares there (`share_key`).
        follow: it is bound to that of the stream.
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
        share: str | None = None,
        follow: bool = True,
        trust: tuple[str, ...] = (),
        limits: Limits = LARGEST,
    ) -> None:
        self._stream = stream
        self._share = None if share is None else share_key(stream, share)
        self._follow = follow
        self._exchange = exchange(stream)
        self._name = name
        self._queue = ""
        self._arguments = freshness_arguments(max_age_s)
        self._user = address.user
        self._trust = frozenset(trust)
        self._events = events
        self._limits = limits
        self._declaring = Declaring()
        self._link = Link(
            address, self, title=f"fanlight consumer {stream} {name}", another_way=self._declaring.again
        )
        self._channel: Channel | None = None
        self._connection: Any = None
        self._consuming = False
        self._binding = False
        self._known: FrameHeader | None = None
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

    def work(self, timeout_s: float) -> None:
        self._link.work(timeout_s)

    def wake(self) -> None:
        self._link.wake()

    def send(self, message: control.ControlMessage) -> None:
        self._link.call(partial(self._publish_control, message))

    def stop(self, timeout_s: float) -> None:
        self._link.stop(timeout_s)

    # From here on everything runs in the link's thread, or in the one that works in its stead.

    def on_channel(self, channel: Channel) -> None:
        self._channel = channel
        if channel.connection is not self._connection:
            self._new_connection(channel.connection)
        self._unacked = 0
        channel.add_on_cancel_callback(self._cancelled)
        leave_out_large_bodies(channel, self._limits.max_body_bytes)
        # pika sends each of these when the one before it is answered.
        self._declare(channel, CONTROL_EXCHANGE, "direct")
        channel.basic_qos(prefetch_count=PREFETCH)
        channel.queue_declare(self._queue, exclusive=True, auto_delete=True, arguments=self._arguments)
        self._bind(channel)
        channel.basic_consume(DIRECT_REPLY, self._replied, auto_ack=True)
        channel.basic_consume(self._queue, self._delivered, exclusive=True, callback=self._consume_ok)

    def _bind(self, channel: Channel) -> None:
        self._binding = True
        if self._follow:
            self._bind_stream(channel, self._bound)
        if self._share is not None:
            self._declare(channel, SHARED_EXCHANGE, "direct")
            channel.queue_bind(self._queue, SHARED_EXCHANGE, self._share, callback=self._bound)

    def _bound(self, _frame: object) -> None:
        self._binding = False

    def _bind_stream(self, channel: Channel, on_bound: Callable[[object], None] | None = None) -> None:
        self._declare(channel, self._exchange, "fanout")
        channel.queue_bind(self._queue, self._exchange, callback=on_bound)

    def _declare(self, channel: Channel, name: str, kind: str) -> None:
        channel.exchange_declare(name, kind, durable=True, passive=self._declaring.passive)

    def _set_follow(self, follow: bool) -> None:
        if follow == self._follow:
            return
        self._follow = follow
        channel = self._channel
        if channel is None or not self._consuming or not channel.is_open:
            return
        if follow:
            self._bind_stream(channel, partial(self._followed, channel))
        else:
            channel.queue_unbind(self._queue, self._exchange)

    def _followed(self, channel: Channel, _frame: object) -> None:
        # Not before: a keyframe that is asked for earlier may come too early as well.
        if channel is self._channel and self._follow:
            self._events.on_following()

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

    def _consume_ok(self, ok: Any) -> None:
        channel = self._channel
        assert channel is not None  # noqa: S101 - this is its answer
        take_deliveries(
            channel, ok.method.consumer_tag, partial(self._plainly_delivered, channel), self._link.turns
        )
        self._consuming = True
        self._link.established()
        self._events.on_connected()
        self._link.call_later(_REPORT_S, partial(self._tick, channel))
        self._link.call_later(_LOOK_S, partial(self._look, channel, 0))

    def _cancelled(self, _frame: object) -> None:
        self._link.renew("the queue was deleted")

    def _delivered(
        self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        received_ns = wall_ns()
        # The probe of an idle producer is no frame, and its sender wakes by itself.
        if properties.content_type != PROBE_CONTENT_TYPE:
            said = Properties(
                properties.content_type, properties.app_id, properties.headers, properties.user_id
            )
            header = self._checked(said, too_large(body) or len(body))
            if header is not None:
                self._events.on_frame(EncodedFrame(header, body), received_ns)
        self._took(channel, method.delivery_tag)

    def _plainly_delivered(self, channel: Channel, delivery: Delivery) -> bool:
        received_ns = wall_ns()
        properties, body, known = delivery.properties, delivery.body, self._known
        header: FrameHeader | None
        if properties is None and known is not None:
            try:
                header = known.following(delivery.seq, delivery.capture_ns, len(body), self._limits)
            except WireFormatError as error:
                self._events.on_malformed(error)
                header = None
        else:
            header = self._checked(properties, len(body))
            self._known = header or known
        if header is not None:
            self._events.on_frame(EncodedFrame(header, body), received_ns)
        self._took(channel, delivery.tag)
        return properties is not None and header is not None

    def _checked(self, properties: Properties | None, body_size: int) -> FrameHeader | None:
        """The header of a frame of this stream, of a user whom we trust; None if it is none, which is told.

        What comes again is recognised byte by byte, its user among them, and need not be checked again.
        """
        try:
            header = _header(properties, body_size, self._limits)
            if self._trust and properties is not None:
                self._check_user(header, properties.user_id)
            if header.stream != self._stream:
                raise WireFormatError("stream", header.stream, repr(self._stream))  # noqa: TRY301
        except WireFormatError as error:
            self._events.on_malformed(error)
            return None
        return header

    def _check_user(self, header: FrameHeader, user: str | None) -> None:
        # A reference leads to nothing but memory that this user of the host wrote himself (common/sharing),
        # so that the login that we have ourselves will do for a hub.
        if user not in self._trust and True:
            raise WireFormatError("user_id", user, f"--trust, which is {','.join(sorted(self._trust))}")

    def _took(self, channel: Channel, tag: int) -> None:
        # Several at once: an acknowledgement costs the broker as much as a small message. What a consumer
        # that is suspended, or on a slow network, does not acknowledge stays in the queue, which drops it.
        self._unacked += 1
        self._last_tag = tag
        if self._unacked >= ACK_EVERY:
            self._acknowledge(channel)

    def _acknowledge(self, channel: Channel) -> None:
        if channel.is_open:
            acknowledge(channel, self._last_tag)
        self._unacked = 0

    def _tick(self, channel: Channel | None) -> None:
        if channel is not None and channel is self._channel:
            self._events.on_tick()
            if self._counts_waiting:
                self._count_waiting(channel)
            self._link.call_later(_REPORT_S, partial(self._tick, channel))

    def _count_waiting(self, channel: Channel) -> None:
        # The broker answers from the queue's own process, in a tenth of a millisecond. One at a time: one
        # that is blocked does not answer, and pika would keep what is asked meanwhile.
        if self._counting:
            self._waiting = None
        elif channel.is_open:
            self._counting = True
            channel.queue_declare(self._queue, passive=True, callback=self._counted)

    def _counted(self, ok: Any) -> None:
        self._counting = False
        self._waiting = ok.method.message_count

    def _look(self, channel: Channel | None, seen_tag: int) -> None:
        if channel is None or channel is not self._channel:
            return
        # An unacknowledged message closes the channel after half an hour (docs/consumers):
        # acknowledge the rest of a batch when the stream pauses.
        if seen_tag == self._last_tag:
            if self._unacked:
                self._acknowledge(channel)
            # Silence may mean that an operator deleted the exchange and our binding with it. The
            # producer declares it again; nobody but us can bind again. Both are without effect else.
            # One at a time: pika keeps what a broker that is blocked does not answer.
            if not self._binding:
                self._bind(channel)
        self._link.call_later(_LOOK_S, partial(self._look, channel, self._last_tag))

    def _publish_control(self, message: control.ControlMessage) -> None:
        if self._channel is None or not self._channel.is_open or not self._consuming:
            return
        if unsent_bytes(self._channel.connection) > _MOST_UNSENT_BYTES:
            return
        reply_to = DIRECT_REPLY if isinstance(message, control.ClockRequest) else None
        properties = control_properties(message, self._user, reply_to=reply_to)
        self._channel.basic_publish(CONTROL_EXCHANGE, self._stream, control.serialize(message), properties)

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


def _header(properties: Properties | None, body_size: int, limits: Limits) -> FrameHeader:
    if properties is None:
        raise WireFormatError("properties", None, "those of wire version 1")
    return FrameHeader.from_amqp(
        properties.headers,
        content_type=properties.content_type,
        app_id=properties.app_id,
        body_size=body_size,
        limits=limits,
    )
