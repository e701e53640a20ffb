"""Leaves a node of a cluster that accepts a connection and then does not answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pika import SelectConnection
from pika.channel import Channel
from pika.exceptions import AMQPConnectionError

from fanlight.common.transport.amqp.io_thread import IOThread
from fanlight.common.transport.amqp.node_rotation import PROBE_S, NodeLiveness


class NodeWatch:
    """Belongs to one link, over all its connections. In the link's thread.

    Args:
        several: whether there is another node. Without one it does nothing.
        give_up: closes the connection without waiting for the node.
    """

    def __init__(
        self, thread: IOThread, *, several: bool, give_up: Callable[[BaseException], None]
    ) -> None:
        self._thread = thread
        self._several = several
        self._give_up = give_up
        self._connection: SelectConnection | None = None
        self._attempts = 0
        self._established = False
        self._blocked = False

    def expect(self, timeout_s: float) -> None:
        """A connection or channel is being set up: it has to be established in this time.

        A node that waits for others that it has lost accepts connections and answers nothing.
        """
        self._attempts += 1
        self._established = False
        if self._several:
            self._thread.call_later(timeout_s, partial(self._overdue, self._attempts, timeout_s))

    def opened(self, connection: SelectConnection) -> None:
        self._connection = connection
        self._blocked = False
        connection.add_on_connection_blocked_callback(partial(self._set_blocked, True))
        connection.add_on_connection_unblocked_callback(partial(self._set_blocked, False))

    def established(self) -> None:
        """The set-up is complete. From now on the node is watched."""
        if self._several and not self._established:
            self._probe(self._attempts, NodeLiveness())
        self._established = True

    def lost(self) -> None:
        self._connection = None
        self._established = False

    def _set_blocked(self, blocked: bool, *_notice: object) -> None:
        self._blocked = blocked

    def _overdue(self, attempt: int, timeout_s: float) -> None:
        # Until the connection is open pika applies the same limit.
        if attempt == self._attempts and not self._established and self._open is not None:
            self._give_up(AMQPConnectionError(f"no answer within {timeout_s:.1f} s"))

    def _probe(self, attempt: int, liveness: NodeLiveness) -> None:
        connection = self._open
        if attempt != self._attempts or connection is None:
            return
        if liveness.ask(connection.bytes_received, excused=self._blocked):
            # Not on the link's own channel: what was declared there may wait for nodes that are gone.
            connection.channel(on_open_callback=Channel.close)
        elif liveness.dead:
            self._give_up(AMQPConnectionError("it does not answer any more"))
            return
        self._thread.call_later(PROBE_S, partial(self._probe, attempt, liveness))

    @property
    def _open(self) -> SelectConnection | None:
        connection = self._connection
        return connection if connection is not None and connection.is_open else None
