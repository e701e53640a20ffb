"""Publishes references to pictures in shared memory, under a routing key of the host's own.

A connection apart from the one that receives, as RabbitMQ advises (docs/production-checklist): an alarm
that blocks this one must not keep acknowledgements from being read.
"""

from __future__ import annotations

import logging
from functools import partial

from pika.channel import Channel

from common.address import BrokerAddress
from common.errors import FanlightError
from common.fanout.broker.link import Link
from common.fanout.broker.pika_internals import unsent_bytes
from common.fanout.broker.topology import SHARED_EXCHANGE, frame_properties, share_key
from common.frame import EncodedFrame

_LOG = logging.getLogger(__name__)


class BrokerSharing:
    """See `common.fanout.base.Sharing`.

    Args:
        share: see `topology.share_key`.
    """

    def __init__(self, address: BrokerAddress, *, stream: str, name: str, share: str) -> None:
        self._user = address.user
        self._key = share_key(stream, share)
        self._link = Link(address, self, title=f"fanlight hub {stream} {name}", quiet=True)
        self._channel: Channel | None = None
        self._blocked = False

    @property
    def ready(self) -> bool:
        return self._channel is not None and not self._blocked

    def start(self) -> None:
        self._link.start()

    def publish(self, frame: EncodedFrame) -> None:
        self._link.call(partial(self._send, frame))

    def stop(self, timeout_s: float) -> None:
        self._link.stop(timeout_s)

    # From here on everything runs in the link's thread.

    def on_channel(self, channel: Channel) -> None:
        connection = channel.connection
        connection.add_on_connection_blocked_callback(partial(self._set_blocked, True))
        connection.add_on_connection_unblocked_callback(partial(self._set_blocked, False))
        self._blocked = False
        channel.exchange_declare(
            SHARED_EXCHANGE, "direct", durable=True, callback=partial(self._declared, channel)
        )

    def on_down(self) -> None:
        self._channel = None

    def on_failed(self, error: FanlightError) -> None:
        # The connection that receives may well stand: to see is allowed to more than to share.
        _LOG.warning("share: %s; consumers get the stream itself (a hub logs in as `hub`)", error)

    def _declared(self, channel: Channel, _frame: object) -> None:
        self._channel = channel
        self._link.established()

    def _set_blocked(self, blocked: bool, *_frame: object) -> None:
        self._blocked = blocked

    def _send(self, frame: EncodedFrame) -> None:
        channel, connection = self._channel, self._link.connection
        if channel is None or connection is None or not channel.is_open or self._blocked:
            return
        # The network or the broker is slow: the next reference will be worth more than this one.
        if unsent_bytes(connection):
            return
        channel.basic_publish(
            SHARED_EXCHANGE, self._key, frame.body, frame_properties(frame.header, self._user)
        )
