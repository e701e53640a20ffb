"""Announces a stream on `fanlight.streams`, over a channel of its own on the publishing connection.

What the broker refuses there costs that channel, and no frame.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker

from fanlight.common.clock import monotonic_ns
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.announcement import Announcement, AnnouncementSchedule
from fanlight.common.model.retry import backoff
from fanlight.common.transport.amqp.declare_exchange import ExchangeDeclaration
from fanlight.common.transport.amqp.error_mapping import explain
from fanlight.common.transport.amqp.link import Link
from fanlight.common.transport.amqp.topology import STREAMS_EXCHANGE, control_properties

_LOG = logging.getLogger(__name__)

_TICK_S: Final = 0.25
_FORBIDDEN: Final = 403
# Not more often, as the broker logs what it refuses.
_REFUSED_S: Final = 10.0
_LOG_INTERVAL_NS: Final = 3600 * 1_000_000_000
_NOT_ANNOUNCED: Final = "this stream is published, but appears in no list of streams: %s"


class Announcer:
    """Belongs to one publisher, over all its connections. In the link's thread.

    Args:
        announcement: returns what is to be announced now; None for nothing.
    """

    def __init__(
        self, link: Link, address: BrokerAddress, announcement: Callable[[], Announcement | None]
    ) -> None:
        self._link = link
        self._address = address
        self._announcement = announcement
        self._declaration = ExchangeDeclaration()
        self._schedule = AnnouncementSchedule()
        self._delays = backoff(random.Random())  # noqa: S311 (jitter: no secret)
        self._log = LimitedLog(_LOG, _LOG_INTERVAL_NS)
        self._beside: Channel | None = None
        self._channel: Channel | None = None
        self.blocked = False

    def connected(self, beside: Channel) -> None:
        """Announce while this channel of the link is usable."""
        self._beside, self.blocked = beside, False
        if self._announcement() is not None:
            self._open(beside)

    def lost(self) -> None:
        """The link's channel is gone."""
        channel, self._beside, self._channel = self._channel, None, None
        if channel is not None and channel.is_open:
            channel.close()

    def changed(self) -> None:
        """Announce now if something has changed."""
        announcement, channel = self._announcement(), self._channel
        if announcement is None or channel is None or not channel.is_open or self.blocked:
            return
        if self._schedule.due(announcement, monotonic_ns()):
            self._send(channel, announcement)

    def end(self) -> None:
        """The last announcement: the stream ends."""
        announcement, channel = self._announcement(), self._channel
        if announcement is not None and channel is not None and channel.is_open and not self.blocked:
            self._send(channel, replace(announcement, watched=False, ended=True))
        self._beside = self._channel = None

    def _open(self, beside: Channel) -> None:
        if beside is self._beside:
            self._link.further_channel(partial(self._opened, beside))

    def _opened(self, beside: Channel, channel: Channel) -> None:
        if beside is not self._beside:
            channel.close()
            return
        channel.add_on_close_callback(partial(self._closed, beside))
        self._declaration.declare(
            channel, STREAMS_EXCHANGE, "fanout", partial(self._declared, beside, channel)
        )

    def _declared(self, beside: Channel, channel: Channel, _frame: object) -> None:
        if beside is self._beside and channel.is_open:
            self._channel = channel
            self._schedule = AnnouncementSchedule()
            self._tick(channel)

    def _closed(self, beside: Channel, _channel: Channel, error: Exception) -> None:
        if beside is not self._beside or not isinstance(error, ChannelClosedByBroker):
            return
        self._channel = None
        forbidden = error.reply_code == _FORBIDDEN
        if forbidden:
            self._log.warn(monotonic_ns(), _NOT_ANNOUNCED, explain(error, self._address))
        if self._declaration.again(error.reply_code):
            self._open(beside)
            return
        waits = forbidden or self._declaration.passive
        self._link.call_later(_REFUSED_S if waits else next(self._delays), partial(self._open, beside))

    def _tick(self, channel: Channel) -> None:
        if channel is self._channel:
            self.changed()
            self._link.call_later(_TICK_S, partial(self._tick, channel))

    def _send(self, channel: Channel, announcement: Announcement) -> None:
        properties = control_properties(announcement, self._address.user)
        channel.basic_publish(STREAMS_EXCHANGE, "", announcement.to_json(), properties)
