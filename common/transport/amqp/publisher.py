"""Publishes one stream to its fanout exchange, and detects whether any queue is bound to it.

Frames are published `mandatory`: the broker returns a frame that was routed to no queue, which means that
there is no consumer. As long as that is so, an empty probe is published several times a second on a
separate channel with publisher confirms: a probe that is confirmed and not returned has reached a queue.
(Frames are published without confirms: waiting for them costs latency; RabbitMQ docs/confirms.)
Where frames refer to each other, pools get pictures that stand alone: see `intra_publisher`.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import Any, Final

from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from fanlight.common.clock import monotonic_ns, monotonic_of
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.bye import Bye
from fanlight.common.model.control import KeyframeRequest
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import APP_ID, PROBE_CONTENT_TYPE, EncodedFrame
from fanlight.common.transport.amqp.announcer import Announcer
from fanlight.common.transport.amqp.control import ControlListener
from fanlight.common.transport.amqp.intra_publisher import BrokerIntraPublisher
from fanlight.common.transport.amqp.link import Link
from fanlight.common.transport.amqp.topology import TRANSIENT, bye_properties, exchange, frame_properties
from fanlight.common.transport.base import PublisherEvents

_LOG = logging.getLogger(__name__)

# A join wakes the producer by its keyframe request; a client of another language may only bind.
_PROBE_INTERVAL_S: Final = 0.05
# Interval of checks whether the operating system has accepted the rest of a large frame.
_DRAIN_INTERVAL_S: Final = 0.002


class BrokerPublisher:
    """See `common.transport.base.Publisher`.

    Receives from its consumers over other connections, as RabbitMQ advises (docs/production-checklist): an
    alarm that blocks this one must not block them.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        stream: str,
        max_age_s: float,
        events: PublisherEvents,
        intra_only: bool = True,
    ) -> None:
        self._user = address.user
        self._exchange = exchange(stream)
        self._max_age_ns = int(max_age_s * 1e9)
        self._events = events
        self._link = Link(address, self, title=f"fanlight producer {stream}", on_failed=self._failed)
        self._announcer = Announcer(self._link, address, events.announcement)
        self._control = ControlListener(address, stream=stream, on_control=self._on_control)
        self._channel: Channel | None = None
        self._probing: Channel | None = None
        self._probe_returned = False
        # What `wait_ready` waits for. Written in the link's thread, but for `_pending` and `_stopped`.
        self._changed = threading.Condition()
        self._pending: EncodedFrame | None = None
        self._captured_ns = 0  # monotonic
        self._followed = False
        self._blocked = False
        self._stopped = False
        self.failure: FanlightError | None = None
        self.branch = None
        if not intra_only:
            self.branch = BrokerIntraPublisher(
                self._link,
                address,
                stream=stream,
                max_age_s=max_age_s,
                may_send=self._has_sent_all,
                followed=lambda: self._followed,
                on_unsent=events.on_unsent,
                on_change=self._branch_changed,
            )

    @property
    def watched(self) -> bool:
        return self._followed or (self.branch is not None and self.branch.watched)

    def start(self) -> None:
        self._link.start()
        self._control.start()

    def wait_ready(self, timeout_s: float) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._ready, timeout_s)
            return self._ready and not self._ended

    def publish(self, frame: EncodedFrame) -> None:
        with self._changed:
            self._pending = frame
            self._captured_ns = monotonic_of(frame.header.capture_ns)
        self._link.call(self._send_pending)

    def stop(self, timeout_s: float, bye: Bye | None = None) -> None:
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            self._changed.wait_for(lambda: self._pending is None or not self.watched, timeout_s / 4)
            self._stopped = True
            self._changed.notify_all()
        if bye is not None:
            self._link.call(partial(self._send_bye, bye))
        self._link.call(self._announcer.end)
        links = (*self._control.links, self._link)
        for link in links:  # a broker that does not answer keeps all of them at once
            link.close()
        for link in links:
            link.stop(max(0.1, deadline_s - time.monotonic()))

    @property
    def _ready(self) -> bool:
        return self.watched and not self._blocked and self._pending is None

    @property
    def _ended(self) -> bool:
        return self._stopped or self.failure is not None

    # From here on everything runs in a link's thread.

    def on_channel(self, channel: Channel) -> None:
        channel.add_on_return_callback(self._returned)
        connection = channel.connection
        connection.add_on_connection_blocked_callback(partial(self._set_blocked, channel, True))
        connection.add_on_connection_unblocked_callback(partial(self._set_blocked, channel, False))
        channel.exchange_declare(
            self._exchange, "fanout", durable=True, callback=partial(self._declared, channel)
        )

    def on_down(self) -> None:
        if self._channel is not None:
            self._events.on_disconnected()
        self._announcer.lost()
        if self.branch is not None:
            self.branch.lost()
        probing, self._channel, self._probing = self._probing, None, None
        if probing is not None and probing.is_open:
            probing.close()
        if self._pending is not None:
            self._events.on_stale()
        with self._changed:
            self._pending = None
            self._followed = self._blocked = False
            self._changed.notify_all()

    def _failed(self, error: FanlightError) -> None:
        with self._changed:
            self.failure = error
            self._changed.notify_all()

    def _declared(self, channel: Channel, _frame: object) -> None:
        if not self._link.usable(channel):
            return
        self._channel = channel
        self._link.established()
        self._events.on_connected()
        if self.branch is not None:
            self.branch.connected(channel)  # first: it should be there when the first frame comes
        self._link.further_channel(partial(self._probing_opened, channel))
        self._announcer.connected(channel)

    def _probing_opened(self, beside: Channel, channel: Channel) -> None:
        if beside is not self._channel:
            channel.close()
            return
        self._probing = channel
        channel.add_on_close_callback(self._probing_closed)
        channel.add_on_return_callback(self._probe_came_back)
        channel.confirm_delivery(ack_nack_callback=partial(self._probe_confirmed, channel))
        self._probe(channel)

    def _probing_closed(self, channel: Channel, error: Exception) -> None:
        # Idle, this channel is the only one to notice that an operator deleted the exchange.
        if channel is self._probing:
            self._link.renew(f"the exchange cannot be used: {error!r}")

    def _probe(self, channel: Channel) -> None:
        if channel is not self._probing or not channel.is_open or self._followed:
            return
        self._probe_returned = False
        properties = BasicProperties(
            content_type=PROBE_CONTENT_TYPE, app_id=APP_ID, delivery_mode=TRANSIENT
        )
        channel.basic_publish(self._exchange, "", b"", properties, mandatory=True)

    def _probe_came_back(self, *_returned: object) -> None:
        self._probe_returned = True

    def _probe_confirmed(self, channel: Channel, _frame: object) -> None:
        # The broker returns an unroutable message before it confirms it.
        if self._probe_returned:
            self._link.call_later(_PROBE_INTERVAL_S, partial(self._probe, channel))
        elif channel is self._probing:
            self._now_watched()

    def _now_watched(self) -> None:
        if self._channel is None or self._followed:
            return
        self._events.on_keyframe_needed()
        with self._changed:
            self._followed = True
            self._changed.notify_all()
        self._announcer.changed()

    def _returned(self, channel: Channel, _method: Basic.Return, _properties: Any, _body: bytes) -> None:
        if channel is not self._channel or not self._followed:
            return
        with self._changed:
            self._followed = False
        self._announcer.changed()
        if self._probing is not None:
            self._probe(self._probing)

    def _on_control(self, message: Any) -> None:
        self._events.on_control(message)
        # The message proves that there is a consumer: no need to wait for a probe.
        if not self._followed and isinstance(message, KeyframeRequest):
            self._link.call(self._now_watched)

    def _branch_changed(self) -> None:
        if self.branch is not None and self.branch.alone:
            self._events.on_keyframe_needed()
        with self._changed:
            self._changed.notify_all()
        self._announcer.changed()

    def _has_sent_all(self) -> bool:
        return not self._blocked and self._pending is None and not self._link.unsent_bytes

    def _set_blocked(self, channel: Channel, blocked: bool, *_frame: object) -> None:
        if channel is not self._channel:
            return
        _LOG.warning("broker %s", "blocked: it is short of memory or disk" if blocked else "unblocked")
        with self._changed:
            self._blocked = self._announcer.blocked = blocked
            self._changed.notify_all()
        self._events.on_blocked(blocked)
        self._send_pending()

    def _send_pending(self) -> None:
        frame, channel = self._pending, self._channel
        if frame is None or self._blocked:
            return
        if channel is None or not channel.is_open:
            # The connection was lost while it was encoded.
            self._events.on_stale()
            self._clear_pending()
            return
        if self._link.unsent_bytes:
            self._link.call_later(_DRAIN_INTERVAL_S, self._send_pending)
            return
        if monotonic_ns() - self._captured_ns > self._max_age_ns:
            self._events.on_stale()
        else:
            self._send(channel, frame)
        self._clear_pending()

    def _send_bye(self, bye: Bye) -> None:
        if self._pending is not None:  # nothing may follow
            self._events.on_stale()
            self._clear_pending()
        channel = self._channel
        if channel is not None and channel.is_open and not self._blocked:
            channel.basic_publish(self._exchange, "", b"", bye_properties(bye, self._user))

    def _clear_pending(self) -> None:
        with self._changed:
            self._pending = None
            self._changed.notify_all()

    def _send(self, channel: Channel, frame: EncodedFrame) -> None:
        properties = frame_properties(frame.header, self._user)
        channel.basic_publish(self._exchange, "", frame.body, properties, mandatory=True)
