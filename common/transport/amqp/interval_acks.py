"""Limits how fast small messages of others are received: so many per interval, the rest waits or expires.

For queues that anybody may fill. A thousand messages a second are three times what a hundred consumers
send; ten thousand would take a whole core.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from pika.channel import Channel

from fanlight.common.transport.amqp.link import Link

MOST_AT_ONCE: Final = 100
"""To be the channel's prefetch."""
INTERVAL_S: Final = 0.1

# Older messages are useless. None has more than 4 KiB, but others may send what they like.
QUEUE_ARGUMENTS: Final = {
    "x-max-length": 1000,
    "x-max-length-bytes": 1024 * 1024,
    "x-message-ttl": 2000,
    "x-overflow": "drop-head",
}


class IntervalAcks:
    """Acknowledges the messages of an interval at its end; the prefetch limits them until then.

    In the link's thread.

    Args:
        then: called at the end of an interval in which messages came.
    """

    def __init__(self, link: Link, then: Callable[[], None] = lambda: None) -> None:
        self._link = link
        self._then = then
        self._last_tag = 0

    def reset(self) -> None:
        """There is another channel."""
        self._last_tag = 0

    def delivered(self, channel: Channel, tag: int) -> None:
        """A message came."""
        if not self._last_tag:
            self._link.call_later(INTERVAL_S, partial(self._acknowledge, channel))
        self._last_tag = tag

    def _acknowledge(self, channel: Channel) -> None:
        if self._link.usable(channel):
            channel.basic_ack(self._last_tag, multiple=True)
            self._last_tag = 0
            self._then()
