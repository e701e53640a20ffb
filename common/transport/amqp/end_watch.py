"""Tells every member of a pool that the stream has ended.

What the producer sends at its end, over the exchange of the stream, would reach one member only, or none.
This listens to its last announcement instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pika import BasicProperties

from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.transport.amqp.fanout_queue import FanoutQueue
from fanlight.common.transport.amqp.topology import STREAMS_EXCHANGE, announcement, consumer_tag

# For longer than producers announce themselves.
_IDLE_TICKS: Final = 5


class EndWatch:
    """Belongs to one member. Callbacks are called in a thread of its own.

    Args:
        on_ready: called when no end will be missed, for the first time or again.
        on_ended: called with the epoch of the producer that has ended.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        stream: str,
        name: str,
        trust: frozenset[str],
        on_ready: Callable[[], None],
        on_ended: Callable[[int], None],
        on_failed: Callable[[FanlightError], None],
    ) -> None:
        self._stream = stream
        self._trust = trust
        self._on_ended = on_ended
        self._queue = FanoutQueue(
            address,
            STREAMS_EXCHANGE,
            tag=consumer_tag("streams", name),
            title=f"fanlight end of {stream} {name}",
            quiet=True,
            idle_ticks=_IDLE_TICKS,
            on_message=self._on_message,
            on_ready=on_ready,
            on_failed=on_failed,
            on_unreadable=lambda _error: None,
        )

    def start(self) -> None:
        self._queue.start()

    def close(self) -> None:
        """Begin to end; `stop` waits for it."""
        self._queue.close()

    def stop(self, timeout_s: float) -> None:
        self._queue.stop(timeout_s)

    def _on_message(self, properties: BasicProperties, body: bytes) -> None:
        try:
            found = announcement(properties, body, trust=self._trust)
        except WireFormatError:
            return  # of any stream, of anybody: nothing was lost here
        if found.stream == self._stream and found.ended:
            self._on_ended(found.epoch)
