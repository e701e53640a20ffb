"""Publishes pictures that stand alone, of a stream whose frames do not, while a pool takes them.

The frames go to the exchange `fanlight.S.intra`, over a channel of their own on the publishing connection:
what the broker refuses there costs that channel, and no frame of the stream. They are published
`mandatory`, with confirms, so that the end of the last member is noticed; until one comes, a probe asks.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from pika import BasicProperties
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker

from fanlight.common.clock import monotonic_ns, monotonic_of
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.frame import APP_ID, PROBE_CONTENT_TYPE, EncodedFrame
from fanlight.common.transport.amqp.error_mapping import explain
from fanlight.common.transport.amqp.link import Link
from fanlight.common.transport.amqp.topology import TRANSIENT, frame_properties, intra_exchange

_LOG = logging.getLogger(__name__)

_PROBE_INTERVAL_S: Final = 0.5
_DRAIN_INTERVAL_S: Final = 0.002
_FORBIDDEN: Final = 403
# Not more often, as the broker logs what it refuses.
_REFUSED_S: Final = 10.0
_LOG_INTERVAL_NS: Final = 3600 * 1_000_000_000
_NO_POOLS: Final = "no pool of workers can take this stream: %s"


class BrokerIntraPublisher:
    """See `common.transport.base.IntraPublisher`. Belongs to one publisher, over all its connections.

    Args:
        may_send: whether the connection has nothing else to send. In the link's thread.
        followed: whether somebody receives the stream itself.
        on_unsent: called with the number of frames that were not sent.
        on_change: called when `watched` has changed. Both in the link's thread.
    """

    def __init__(
        self,
        link: Link,
        address: BrokerAddress,
        *,
        stream: str,
        max_age_s: float,
        may_send: Callable[[], bool],
        followed: Callable[[], bool],
        on_unsent: Callable[[int], None],
        on_change: Callable[[], None],
    ) -> None:
        self._link = link
        self._address = address
        self._exchange = intra_exchange(stream)
        self._max_age_ns = int(max_age_s * 1e9)
        self._may_send = may_send
        self._followed = followed
        self._on_unsent = on_unsent
        self._on_change = on_change
        self._log = LimitedLog(_LOG, _LOG_INTERVAL_NS)
        self._beside: Channel | None = None
        self._channel: Channel | None = None
        self._came_back = False
        self._probe_due = False
        self._changed = threading.Condition()
        self._pending: EncodedFrame | None = None
        self._captured_ns = 0  # monotonic
        self.watched = False

    @property
    def alone(self) -> bool:
        return self.watched and not self._followed()

    def wait_ready(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.watched and self._pending is None, timeout_s)

    def publish(self, frame: EncodedFrame) -> None:
        with self._changed:
            self._pending = frame
            self._captured_ns = monotonic_of(frame.header.capture_ns)
        self._link.call(self._send_pending)

    # From here on everything runs in the link's thread.

    def connected(self, beside: Channel) -> None:
        """Publish while this channel of the link is usable."""
        self._beside = beside
        self._open(beside)

    def lost(self) -> None:
        """The link's channel is gone."""
        channel, self._beside = self._channel, None
        self._reset()
        if channel is not None and channel.is_open:
            channel.close()

    def _reset(self) -> None:
        self._channel = None
        if self._pending is not None:
            self._on_unsent(1)
        self._set_watched(False)

    def _set_watched(self, watched: bool) -> None:
        changes = watched != self.watched
        with self._changed:
            self.watched = watched
            if not watched:
                self._pending = None
            self._changed.notify_all()
        if changes:
            self._on_change()

    def _open(self, beside: Channel) -> None:
        if beside is self._beside:
            self._link.further_channel(partial(self._opened, beside))

    def _opened(self, beside: Channel, channel: Channel) -> None:
        if beside is not self._beside:
            channel.close()
            return
        channel.add_on_close_callback(partial(self._closed, beside))
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(partial(self._confirmed, channel))
        declared = partial(self._declared, beside, channel)
        channel.exchange_declare(self._exchange, "fanout", durable=True, callback=declared)

    def _declared(self, beside: Channel, channel: Channel, _frame: object) -> None:
        if beside is self._beside and channel.is_open:
            self._channel = channel
            self._probe_due = True
            self._probe(channel)

    def _closed(self, beside: Channel, _channel: Channel, error: Exception) -> None:
        if beside is not self._beside:
            return
        self._reset()
        delay_s = _PROBE_INTERVAL_S  # an operator may have deleted the exchange
        if isinstance(error, ChannelClosedByBroker) and error.reply_code == _FORBIDDEN:
            self._log.warn(monotonic_ns(), _NO_POOLS, explain(error, self._address))
            delay_s = _REFUSED_S
        self._link.call_later(delay_s, partial(self._open, beside))

    def _probe(self, channel: Channel) -> None:
        self._probe_due = False
        if channel is not self._channel or not channel.is_open or self.watched:
            return
        self._came_back = False
        properties = BasicProperties(
            content_type=PROBE_CONTENT_TYPE, app_id=APP_ID, delivery_mode=TRANSIENT
        )
        channel.basic_publish(self._exchange, "", b"", properties, mandatory=True)

    def _returned(self, channel: Channel, *_message: object) -> None:
        if channel is self._channel:
            self._came_back = True
            if self.watched:
                self._set_watched(False)

    def _confirmed(self, channel: Channel, _frame: object) -> None:
        # The broker returns an unroutable message before it confirms it.
        if channel is not self._channel or self.watched or self._probe_due:
            return
        if self._came_back:
            self._probe_due = True
            self._link.call_later(_PROBE_INTERVAL_S, partial(self._probe, channel))
        else:
            self._set_watched(True)

    def _send_pending(self) -> None:
        frame, channel = self._pending, self._channel
        if frame is None:
            return
        if channel is None or not channel.is_open or monotonic_ns() - self._captured_ns > self._max_age_ns:
            self._on_unsent(1)
        elif not self._may_send():
            self._link.call_later(_DRAIN_INTERVAL_S, self._send_pending)
            return
        else:
            properties = frame_properties(frame.header, self._address.user)
            channel.basic_publish(self._exchange, "", frame.body, properties, mandatory=True)
        with self._changed:
            self._pending = None
            self._changed.notify_all()
