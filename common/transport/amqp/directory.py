"""Receives what producers announce on `fanlight.streams`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from pika import BasicProperties

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.transport.amqp.fanout_queue import FanoutQueue
from fanlight.common.transport.amqp.topology import STREAMS_EXCHANGE, announcement, consumer_tag
from fanlight.common.transport.live_list import Listed, LiveList

# For longer than producers announce themselves.
_IDLE_TICKS: Final = 5


class BrokerDirectory:
    """See `common.transport.base.DirectorySubscriber`."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        name: str,
        trust: tuple[str, ...],
        on_change: Callable[[Listed], None],
        on_failed: Callable[[FanlightError], None],
    ) -> None:
        self._parse = partial(announcement, trust=frozenset(trust))
        self._list = LiveList(on_change)
        self._queue = FanoutQueue(
            address,
            STREAMS_EXCHANGE,
            tag=consumer_tag("streams", name),
            title=f"fanlight directory {name}",
            idle_ticks=_IDLE_TICKS,
            on_message=self._on_message,
            on_failed=on_failed,
            on_unreadable=self._malformed,
            on_ready=lambda: self._list.established(monotonic_ns()),
            on_interval=self._check,
            on_tick=self._check,
        )

    @property
    def complete(self) -> bool:
        return self._list.complete

    @property
    def refused(self) -> int:
        return self._list.refused

    def start(self) -> None:
        self._queue.start()

    def stop(self, timeout_s: float) -> None:
        self._queue.stop(timeout_s)

    # From here on everything runs in the link's thread.

    def _on_message(self, properties: BasicProperties, body: bytes) -> None:
        try:
            self._list.observe(self._parse(properties, body), monotonic_ns())
        except WireFormatError as error:
            self._malformed(error)

    def _malformed(self, error: WireFormatError) -> None:
        self._list.malformed(error, monotonic_ns())

    def _check(self) -> None:
        self._list.check(monotonic_ns())
