"""A member of a pool: consumes from a queue that all members share, one frame at a time.

The broker gives each frame to one member that has acknowledged its last one, which it does when its program
asks for the next. A queue of length 1 keeps the newest frame for the next member that asks, and drops the
one before it. The frame of a member that died goes back to the queue, if it is still the newest there.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.bye import Bye
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import LARGEST, Codec, Limits
from fanlight.common.transport.amqp.end_watch import EndWatch
from fanlight.common.transport.amqp.pool_binding import PoolBinding
from fanlight.common.transport.amqp.subscriber import BrokerSubscriber
from fanlight.common.transport.amqp.topology import pool_arguments, pool_queue
from fanlight.common.transport.base import SubscriberEvents

# For how long a member waits for a frame before it takes the stream to be silent: the first one, and
# others; after the first frame three times what it had to wait lately, which is long in a large pool.
_FIRST_S: Final = 0.4
_OTHERS_S: Final = 10.0
_INTERVALS: Final = 3
_LEAST_INTERVAL_S: Final = 0.5
_DECAY: Final = 0.95


class BrokerPoolSubscriber(BrokerSubscriber):
    """See `common.transport.base.PoolSubscriber`.

    It joins the pool when its program asks for the first time: until then it would only keep a frame from
    the others.
    """

    prefetch = 1

    def __init__(
        self,
        address: BrokerAddress,
        *,
        stream: str,
        pool: str,
        name: str,
        max_age_s: float,
        events: SubscriberEvents,
        trust: tuple[str, ...] = (),
        limits: Limits = LARGEST,
        until_end: bool = False,
    ) -> None:
        super().__init__(
            address,
            stream=stream,
            name=name,
            max_age_s=max_age_s,
            events=events,
            trust=trust,
            limits=limits,
        )
        self._pool_queue = pool_queue(stream, pool)
        self._arguments = pool_arguments(max_age_s)
        self._pool_binding = PoolBinding(self._link, stream, self._declaration)
        self._end_watch: EndWatch | None = None
        if until_end:
            self._end_watch = EndWatch(
                address,
                stream=stream,
                name=name,
                trust=frozenset(trust),
                on_ready=lambda: self._link.call(self._sees_end),
                on_ended=lambda epoch: self._link.call(partial(self._will_end, epoch)),
                on_failed=events.on_failed,
            )
        self._max_age_s = max_age_s
        self.asking = False
        self._may_join = not until_end  # not before the end would be noticed
        self._joined = False
        # Of the frame that the program has, or that waits for it: it may come before `_ready`.
        self._unacknowledged: tuple[Channel, int] | None = None
        self._patience_s = _FIRST_S
        self._longest_s = 0.0
        self._since_ns = 0  # when it asked, or a message came

    def start(self) -> None:
        super().start()
        if self._end_watch is not None:
            self._end_watch.start()

    def stop(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        if self._end_watch is not None:
            self._end_watch.close()  # a broker that does not answer keeps both at once
        super().stop(timeout_s)
        if self._end_watch is not None:
            self._end_watch.stop(max(0.1, deadline_s - time.monotonic()))

    def ask(self) -> None:
        self._link.call(self._ask)

    def leave(self) -> None:
        self._link.call(self._leave)

    def follow_stream(self, follow: bool) -> None:
        """Without effect: no hub serves members of a pool."""

    # From here on everything runs in the link's thread.

    def on_channel(self, channel: Channel) -> None:
        self._joined, self._unacknowledged = False, None
        super().on_channel(channel)

    def _declare(self, channel: Channel) -> None:
        channel.queue_declare(
            self._pool_queue,
            durable=True,
            auto_delete=True,
            arguments=self._arguments,
            callback=lambda ok: self._declared(channel, ok),
        )

    def _declared(self, channel: Channel, ok: Any) -> None:
        if not self._link.usable(channel):
            return
        self._queue = ok.method.queue
        self._longest_s = 0.0
        self._patience_s = _OTHERS_S if ok.method.consumer_count else _FIRST_S
        if self.asking and self._may_join:
            self._joined = True
            self._consume(channel, exclusive=False)
        else:
            self._ready(channel)

    def _consume_ok(self, channel: Channel, _frame: object) -> None:
        if self._link.usable(channel):
            self._pool_binding.set_up(channel, self._queue, self._ready)

    def _ready(self, channel: Channel) -> None:
        self._since_ns = monotonic_ns()
        if self._consuming is not channel:  # else it has joined later
            super()._ready(channel)

    def _ask(self) -> None:
        self.asking, self._since_ns = True, monotonic_ns()
        self._acknowledge()
        channel = self._consuming
        if channel is not None and channel.is_open and self._may_join and not self._joined:
            self._joined = True
            self._declare(channel)  # again, since a queue that nobody consumes from may be gone

    def _leave(self) -> None:
        self.asking = False
        channel = self._consuming
        if channel is not None and channel.is_open and self._joined:
            channel.basic_cancel(self._tag)
        self._acknowledge()

    def _acknowledge(self) -> None:
        last, self._unacknowledged = self._unacknowledged, None
        if last is not None and last[0].is_open:
            last[0].basic_ack(last[1])

    def _delivered(
        self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        waited_s = self._waited_s()
        self._since_ns = monotonic_ns()
        if properties.content_type == Codec.H264.content_type:
            self._receive_inter_coded(channel, properties, body)
        else:
            header = self._receive(properties, body)
            if header is not None:
                self._longest_s = max(waited_s, _DECAY * self._longest_s)
                self._patience_s = _INTERVALS * max(_LEAST_INTERVAL_S, 1 / header.fps, self._longest_s)
                self._unacknowledged = channel, method.delivery_tag
                self.asking = False
                return
        channel.basic_ack(method.delivery_tag)

    def _receive_inter_coded(self, channel: Channel, properties: BasicProperties, body: bytes) -> None:
        """A frame that cannot be dealt out: of the stream itself, and not of anybody."""
        try:
            self._parse(properties, len(body))
        except WireFormatError as error:
            self._events.on_malformed(error)
        else:
            self._pool_binding.inter_coded(channel)

    def _sees_end(self) -> None:
        self._may_join = True
        if self.asking:
            self._ask()

    def _will_end(self, epoch: int) -> None:
        # Later than the last frame, which another member may have put back.
        bye = Bye(self._stream, epoch, seq=-1)
        self._link.call_later(self._max_age_s, partial(self._events.on_ended, bye))

    def _waited_s(self) -> float:
        return (monotonic_ns() - self._since_ns) / 1e9

    def _quiet(self, channel: Channel) -> None:
        if self.asking and self._waited_s() > self._patience_s:
            self._pool_binding.renew(channel)
