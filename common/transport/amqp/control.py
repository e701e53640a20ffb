"""Receives keyframe requests and receiver reports, and answers clock requests, on two separate connections.

Neither logs errors: what affects them affects the publishing connection too, which does.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pika import BasicProperties
from pika.channel import Channel

from fanlight.common.clock import monotonic_ns, wall_ns
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model import control
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import APP_ID
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.common.transport.amqp.interval_acks import MOST_AT_ONCE, QUEUE_ARGUMENTS, IntervalAcks
from fanlight.common.transport.amqp.link import Link
from fanlight.common.transport.amqp.reply_address import ReplyNodes
from fanlight.common.transport.amqp.topology import (
    CONTROL_EXCHANGE,
    DIRECT_REPLY,
    TRANSIENT,
    control_properties,
    control_queue,
    new_suffix,
)

_LOG = logging.getLogger(__name__)

_MOST_UNSENT_BYTES: Final = 16 * 1024

_OTHERS_INTERVAL_NS: Final = 60_000_000_000
_ANOTHER: Final = (
    "another producer publishes stream %s, too: %s (its host and process), as user %s; end one of them, "
    "or give it another --stream"
)


class ControlListener:
    """Consumes from an exclusive queue bound to `fanlight.control` under the stream's name."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        stream: str,
        on_control: Callable[[control.ControlMessage], None],
    ) -> None:
        self._stream = stream
        self._on_control = on_control
        self._log = LimitedLog(_LOG)
        self._channel: Channel | None = None
        self._connection: Any = None
        self._queue = ""
        self._link = Link(
            address,
            self,
            title=f"fanlight producer {stream} control",
            quiet=True,
            header_tables=False,
        )
        self._acks = IntervalAcks(self._link)
        self._replies = _Replies(address, stream)
        self._notice = control.ProducerNotice(stream=stream, name=_this_process(), id=secrets.randbits(62))
        self._announcing = RateLimiter()
        self._others = LimitedLog(_LOG, _OTHERS_INTERVAL_NS)

    def start(self) -> None:
        self._link.start()
        self._replies.link.start()

    @property
    def links(self) -> tuple[Link, ...]:
        """To be stopped by the owner, in this order."""
        return (self._replies.link, self._link)

    # From here on everything runs in the link's thread.

    def on_channel(self, channel: Channel) -> None:
        # pika sends each when the one before it is answered.
        channel.add_on_cancel_callback(self._cancelled)
        self._channel = channel
        self._acks.reset()
        channel.basic_qos(prefetch_count=MOST_AT_ONCE)
        channel.exchange_declare(CONTROL_EXCHANGE, "direct", durable=True)
        if channel.connection is not self._connection:  # see the subscriber
            self._connection, self._queue = channel.connection, control_queue(self._stream, new_suffix())
        queue = self._queue
        channel.queue_declare(queue, exclusive=True, auto_delete=True, arguments=QUEUE_ARGUMENTS)
        channel.queue_bind(queue, CONTROL_EXCHANGE, self._stream)
        channel.basic_consume(
            queue, self._delivered, exclusive=True, callback=partial(self._consuming, channel)
        )

    def on_down(self) -> None:
        self._channel = None

    def _consuming(self, channel: Channel, _frame: object) -> None:
        if self._link.usable(channel):
            self._link.established()
            self._announce()

    def _announce(self) -> None:
        if self._announcing.allow(monotonic_ns()) is not None:
            self._replies.link.call(partial(self._replies.announce, self._notice))

    def _cancelled(self, _frame: object) -> None:
        self._link.renew("the control queue was deleted")

    def _delivered(self, channel: Channel, method: Any, properties: Any, body: bytes) -> None:
        received_ns = wall_ns()
        self._acks.delivered(channel, method.delivery_tag)
        try:
            message = control.parse(properties.type, body)
        except WireFormatError as error:
            self._log.warn(monotonic_ns(), "control message refused: %s", error)
            return
        if message.stream != self._stream:
            return
        if isinstance(message, control.ProducerNotice):
            self._noticed(message, properties.user_id)
        elif isinstance(message, control.ClockRequest):
            self._replies.link.call(partial(self._replies.send, message, properties.reply_to, received_ns))
        else:
            self._on_control(message)

    def _noticed(self, notice: control.ProducerNotice, user: object) -> None:
        if notice.id != self._notice.id:
            self._others.warn(monotonic_ns(), _ANOTHER, self._stream, notice.name, user or "(not told)")
            self._announce()  # so that it learns of this one


def _this_process() -> str:
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:48]
    return f"{host}-{os.getpid()}"


class _Replies:
    """Answers clock requests, and sends notices, over a separate connection.

    Direct reply-to only: a consumer must not be able to make the producer write to any other queue.
    Not over the connection that receives: RabbitMQ closes one that answers some addresses.
    """

    def __init__(self, address: BrokerAddress, stream: str) -> None:
        self._user = address.user
        self._channel: Channel | None = None
        self._nodes = ReplyNodes()
        self._notice: control.ProducerNotice | None = None
        self.link = Link(
            address, self, title=f"fanlight producer {stream} replies", quiet=True, header_tables=False
        )

    def on_channel(self, channel: Channel) -> None:
        self._nodes.connected((channel.connection.server_properties or {}).get("platform"))
        channel.add_on_return_callback(self._returned)
        channel.basic_consume(DIRECT_REPLY, _ignore, auto_ack=True, callback=partial(self._ready, channel))

    def announce(self, notice: control.ProducerNotice) -> None:
        """Send it; once there is a channel, if there is none yet."""
        channel, self._notice = self._channel, notice
        if channel is not None and channel.is_open:
            self._notice = None
            properties = control_properties(notice, self._user)
            channel.basic_publish(CONTROL_EXCHANGE, notice.stream, control.serialize(notice), properties)

    def on_down(self) -> None:
        self._channel = None
        self._nodes.lost()

    def send(self, request: control.ClockRequest, reply_to: object, received_ns: int) -> None:
        channel = self._channel
        # A reply that had to wait would contain an outdated time.
        if channel is None or not channel.is_open or self.link.unsent_bytes > _MOST_UNSENT_BYTES:
            return
        if not self._nodes.admit(reply_to, monotonic_ns()):
            return
        reply = control.answer(request, received_ns=received_ns, now_ns=wall_ns())
        channel.basic_publish(
            "", str(reply_to), control.serialize(reply), control_properties(reply, self._user)
        )
        if self._nodes.trying:
            self._prove(channel)

    def _ready(self, channel: Channel, _frame: object) -> None:
        if self.link.usable(channel):
            self._channel = channel
            self.link.established()
            self._prove(channel)
            if self._notice is not None:
                self.announce(self._notice)

    def _prove(self, channel: Channel) -> None:
        """Have a message returned: with the channel's own address, and only if the channel still exists."""
        properties = BasicProperties(app_id=APP_ID, delivery_mode=TRANSIENT, reply_to=DIRECT_REPLY)
        channel.basic_publish("", f"{CONTROL_EXCHANGE}.nobody", b"", properties, mandatory=True)

    def _returned(self, channel: Channel, _method: object, probe: BasicProperties, _body: bytes) -> None:
        if self.link.usable(channel):
            self._nodes.proven(probe.reply_to)


def _ignore(*_delivery: object) -> None:
    """Nothing answers the producer."""
