"""Binds a consumer's queue to the exchange of its stream, and unbinds it. In the link's thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pika.channel import Channel

from fanlight.common.transport.amqp.declare_exchange import ExchangeDeclaration
from fanlight.common.transport.amqp.link import Link


class StreamBinding:
    """Belongs to one subscriber, over all its connections.

    Args:
        follow: bound from the beginning.
        on_following: called when the queue has been bound at the request of `set_follow`.
    """

    def __init__(
        self,
        link: Link,
        exchange: str,
        declaration: ExchangeDeclaration,
        *,
        follow: bool,
        on_following: Callable[[Channel], None],
    ) -> None:
        self.follow = follow
        self._link = link
        self._exchange = exchange
        self._declaration = declaration
        self._on_following = on_following
        self._queue = ""
        self._bound = False  # what was requested last on this channel
        self._pending = False

    def set_up(self, channel: Channel, queue: str, on_ready: Callable[[Channel], None]) -> None:
        """A channel is open, and the queue declared there; `on_ready` is called when nothing is pending."""
        self._queue = queue
        self._bound, self._pending = self.follow, False
        if self.follow:
            self._bind(channel, on_ready)
        else:
            on_ready(channel)

    def set_follow(self, channel: Channel | None, follow: bool) -> None:
        """Bind or unbind, now or, without a channel that is set up, with the next one."""
        self.follow = follow
        if channel is not None and channel.is_open:
            self.update(channel)

    def update(self, channel: Channel) -> None:
        """Ask for what was requested last, unless a request is pending.

        One at a time: a broker that is blocked answers none, and only the last one counts.
        """
        if self._pending or self._bound == self.follow:
            return
        self._bound = self.follow
        if self.follow:
            self._bind(channel, self._requested)
        else:
            self._pending = True
            channel.queue_unbind(self._queue, self._exchange, callback=partial(self._done, channel, None))

    def renew(self, channel: Channel) -> None:
        """Bind again, in case an operator deleted the exchange and the binding with it.

        The producer declares the exchange again, but only this consumer can bind its exclusive queue.
        Without effect if the binding exists.
        """
        if not self._pending:
            self._bind(channel, None)

    def _bind(self, channel: Channel, then: Callable[[Channel], None] | None) -> None:
        self._pending = True
        self._declaration.declare(channel, self._exchange, "fanout")
        channel.queue_bind(self._queue, self._exchange, callback=partial(self._done, channel, then))

    def _requested(self, channel: Channel) -> None:
        # Not earlier: a keyframe requested before the queue is bound could be missed.
        if self.follow:
            self._on_following(channel)

    def _done(self, channel: Channel, then: Callable[[Channel], None] | None, _frame: object) -> None:
        if not self._link.usable(channel):
            return
        self._pending = False
        if then is not None:
            then(channel)
        self.update(channel)
