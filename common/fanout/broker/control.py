"""The producer's ear: what consumers ask and report, on a connection of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pika.channel import Channel

from common import control
from common.address import BrokerAddress
from common.clock import monotonic_ns, wall_ns
from common.errors import FanlightError, WireFormatError
from common.fanout.broker.link import Link
from common.fanout.broker.topology import (
    CONTROL_EXCHANGE,
    DIRECT_REPLY,
    control_properties,
    control_queue,
    new_suffix,
)
from common.ratelimit import RateLimiter

_LOG = logging.getLogger(__name__)

# A hundred consumers report once a second; what is older than that is of no use.
_QUEUE_ARGUMENTS: Final = {"x-max-length": 1000, "x-message-ttl": 2000, "x-overflow": "drop-head"}

# What is heard in one interval; the rest waits in the queue, which drops it. A thousand messages a second
# are three times what a hundred consumers say; a flood of ten thousand would take this process a core.
MOST_AT_ONCE: Final = 100
INTERVAL_S: Final = 0.1


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
        self._user = address.user
        self._on_control = on_control
        self._complaints = RateLimiter()
        self._channel: Channel | None = None
        self._connection: Any = None
        self._queue = ""
        self._last_tag = 0
        self._link = Link(address, self, title=f"fanlight producer {stream} control", quiet=True)

    def start(self) -> None:
        self._link.start()

    def stop(self, timeout_s: float) -> None:
        self._link.stop(timeout_s)

    # From here on everything runs in the link's thread.

    def on_channel(self, channel: Channel) -> None:
        # pika sends each when the one before it is answered.
        channel.add_on_cancel_callback(self._cancelled)
        self._channel, self._last_tag = channel, 0
        channel.basic_qos(prefetch_count=MOST_AT_ONCE)
        channel.exchange_declare(CONTROL_EXCHANGE, "direct", durable=True)
        if channel.connection is not self._connection:  # see the subscriber
            self._connection, self._queue = channel.connection, control_queue(self._stream, new_suffix())
        queue = self._queue
        channel.queue_declare(queue, exclusive=True, auto_delete=True, arguments=_QUEUE_ARGUMENTS)
        channel.queue_bind(queue, CONTROL_EXCHANGE, self._stream)
        channel.basic_consume(queue, self._delivered, exclusive=True, callback=self._consuming)

    def on_down(self) -> None:
        """Nothing to take back: the queue went with the channel."""

    def on_failed(self, error: FanlightError) -> None:
        """The publishing connection is refused alike, and says so."""

    def _consuming(self, _frame: object) -> None:
        self._link.established()

    def _cancelled(self, _frame: object) -> None:
        self._link.renew("the control queue was deleted")

    def _acknowledge(self, channel: Channel) -> None:
        if channel is self._channel and channel.is_open:
            channel.basic_ack(self._last_tag, multiple=True)
            self._last_tag = 0

    def _delivered(self, channel: Channel, method: Any, properties: Any, body: bytes) -> None:
        received_ns = wall_ns()
        if not self._last_tag:
            # All that comes in this interval at once, at its end: until then no more than that comes.
            self._link.call_later(INTERVAL_S, partial(self._acknowledge, channel))
        self._last_tag = method.delivery_tag
        try:
            message = control.parse(properties.type, body)
        except WireFormatError as error:
            if self._complaints.allow(monotonic_ns()) is not None:
                _LOG.warning("control message refused: %s", error)
            return
        if message.stream != self._stream:
            return
        if isinstance(message, control.ClockRequest):
            self._tell_the_time(channel, message, properties.reply_to, received_ns)
        else:
            self._on_control(message)

    def _tell_the_time(
        self, channel: Channel, request: control.ClockRequest, reply_to: str | None, received_ns: int
    ) -> None:
        # To the asking channel and nowhere else: no stranger shall have us write to a queue of his choice.
        if reply_to is None or not reply_to.startswith(f"{DIRECT_REPLY}."):
            return
        reply = control.answer(request, received_ns=received_ns, now_ns=wall_ns())
        properties = control_properties(reply, self._user)
        channel.basic_publish("", reply_to, control.serialize(reply), properties)
