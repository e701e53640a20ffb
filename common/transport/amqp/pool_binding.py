"""Binds the queue of a pool to what can be dealt out one by one: frames that stand alone.

Those of the stream itself, or, where its frames refer to each other, those of its intra-only branch. All
members bind the one queue that they share, so each request has to be without effect if another member has
made it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker

from fanlight.common.clock import monotonic_ns
from fanlight.common.limited_log import LimitedLog
from fanlight.common.transport.amqp.declare_exchange import ExchangeDeclaration
from fanlight.common.transport.amqp.link import Link
from fanlight.common.transport.amqp.topology import exchange, intra_exchange

_LOG = logging.getLogger(__name__)

_SEARCH_INTERVAL_S: Final = 0.5
_LOG_INTERVAL_NS: Final = 60_000_000_000
_NO_BRANCH: Final = (
    "the frames of stream %s refer to each other, and its producer publishes no pictures that stand alone, "
    "on %s: it is of another version, or may not declare that exchange; this pool gets no frames"
)


class PoolBinding:
    """Belongs to one member, over all its connections. In the link's thread."""

    def __init__(self, link: Link, stream: str, declaration: ExchangeDeclaration) -> None:
        self._link = link
        self._stream = stream
        self._exchange = exchange(stream)
        self._branch = intra_exchange(stream)
        self._declaration = declaration
        self._log = LimitedLog(_LOG, _LOG_INTERVAL_NS)
        self._queue = ""
        self._searching = False
        self._branch_exists = self._missed = False
        self._pending = False

    def set_up(self, channel: Channel, queue: str, on_ready: Callable[[Channel], None]) -> None:
        """The queue is declared; `on_ready` is called when it is bound."""
        self._queue = queue
        self._searching = self._pending = False

        def found() -> None:
            if self._branch_exists:
                self._bind(channel, self._branch, on_ready)
            else:
                self._bind(channel, self._exchange, on_ready)

        self._search(channel, found)

    def inter_coded(self, channel: Channel) -> None:
        """A frame of the stream itself came that refers to others."""
        if self._branch_exists:
            self._change_to_branch(channel)
        else:
            self._search(channel, partial(self._searched, channel))

    def renew(self, channel: Channel) -> None:
        """Nothing comes: there may be another producer, with another codec, or a binding was deleted.

        If the frames of the stream still refer to each other, the first one of them ends this.
        """
        if self._pending:
            return  # a broker that is blocked answers nothing
        if self._branch_exists:
            channel.queue_bind(self._queue, self._branch)
        self._bind(channel, self._exchange, lambda _channel: None)

    def _searched(self, channel: Channel) -> None:
        if self._branch_exists:
            self._change_to_branch(channel)
        elif self._missed:  # a producer that has just begun may be about to declare it
            self._log.warn(monotonic_ns(), _NO_BRANCH, self._stream, self._branch)
        self._missed = not self._branch_exists

    def _change_to_branch(self, channel: Channel) -> None:
        if not self._pending:
            channel.queue_unbind(self._queue, self._exchange)
            self._bind(channel, self._branch, lambda _channel: None, declare=False)

    def _bind(
        self, channel: Channel, source: str, then: Callable[[Channel], None], *, declare: bool = True
    ) -> None:
        self._pending = True
        if declare and source == self._exchange:
            self._declaration.declare(channel, source, "fanout")
        channel.queue_bind(self._queue, source, callback=partial(self._bound, channel, then))

    def _bound(self, channel: Channel, then: Callable[[Channel], None], _frame: object) -> None:
        if self._link.usable(channel):
            self._pending = False
            then(channel)

    def _search(self, channel: Channel, then: Callable[[], None]) -> None:
        """Find out whether the branch exists: on another channel, which the broker closes if not."""
        if not self._searching:
            self._searching = True
            self._link.further_channel(partial(self._opened, channel, then))

    def _opened(self, beside: Channel, then: Callable[[], None], channel: Channel) -> None:
        channel.add_on_close_callback(partial(self._closed, beside, then))
        channel.exchange_declare(self._branch, passive=True, callback=partial(self._found, channel))

    def _found(self, channel: Channel, _frame: object) -> None:
        if channel.is_open:  # the member may be closing its connection
            channel.close()

    def _closed(
        self, beside: Channel, then: Callable[[], None], _channel: Channel, error: Exception
    ) -> None:
        if not self._link.usable(beside):
            return
        self._branch_exists = not isinstance(error, ChannelClosedByBroker)
        # Not for every frame, as the broker logs what it refuses.
        self._link.call_later(_SEARCH_INTERVAL_S, partial(self._may_search, beside))
        then()

    def _may_search(self, beside: Channel) -> None:
        if self._link.usable(beside):
            self._searching = False
