"""The open connections of the gateway, and the limits on each of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, cast

from fanlight.common.clock import monotonic_ns
from fanlight.common.transport.tcp import sockets
from fanlight.consumer.wall.limits import Allowance, Allowances, Refused

MOST_CONNECTIONS: Final = 1024
REQUEST_S: Final = 10.0
# Of one address. A page asks for its parts, and then acknowledges what it receives; a player asks once.
REQUESTS_AT_ONCE: Final = 600
REQUESTS_PER_S: Final = 100
BYTES_AT_ONCE: Final = 128 * 1024
BYTES_PER_S: Final = 16 * 1024


class Connections:
    """Those of one gateway. Belongs to its event loop.

    Args:
        most: at a time; the limit of file descriptors may allow fewer.
        request_s: for a request to be complete and let in, from the last one or from the start.
        counts: what was refused, by reason; see `limits.Refused`.
    """

    def __init__(
        self,
        most: int = MOST_CONNECTIONS,
        request_s: float = REQUEST_S,
        counts: Counter[Refused] | None = None,
    ) -> None:
        self.counts = Counter[Refused]() if counts is None else counts
        self._request_ns = round(request_s * 1e9)
        self.most = sockets.most_connections(most)
        self._all: set[Connection] = set()
        self._requests = Allowances(REQUESTS_AT_ONCE, REQUESTS_PER_S)
        self._idle: dict[Connection, int] = {}  # since when; the oldest is first

    def __len__(self) -> int:
        return len(self._all)

    def add(
        self, peer: str, server: Callable[[], asyncio.Protocol], release: Callable[[], None], now_ns: int
    ) -> Connection:
        """An accepted connection, to be used as the protocol of its transport.

        Args:
            server: makes the protocol that receives what comes.
            release: called once, when it has ended.
        """
        connection = Connection(peer, self, server(), release, now_ns)
        self._all.add(connection)
        self._idle[connection] = now_ns
        return connection

    def has_room(self) -> bool:
        return len(self._all) < self.most

    def make_room(self) -> bool:
        """Close the connection that has had no request for the longest time; False if all have one."""
        oldest = next(iter(self._idle), None)
        if oldest is None:
            return False
        self.counts[Refused.EVICTED] += 1
        oldest.abort()
        return True

    def abort_overdue(self, now_ns: int) -> None:
        """Close those that have had no request for too long; those that never had one are counted."""
        overdue = []
        for connection, since_ns in self._idle.items():
            if now_ns - since_ns < self._request_ns:
                break
            overdue.append(connection)
        for connection in overdue:
            connection.abort()
        self.counts[Refused.OVERDUE] += sum(not connection.requested for connection in overdue)

    def abort_session(self, session: str) -> None:
        """Close those that belong to a session which has ended."""
        for connection in [each for each in self._all if each.session == session]:
            connection.abort()

    def abort_all(self) -> None:
        for connection in list(self._all):
            connection.abort()

    def allows_request(self, peer: str) -> bool:
        now_ns = monotonic_ns()
        return self._requests.of(peer, now_ns).take(now_ns)

    def began(self, connection: Connection) -> None:
        """A request was let in."""
        self._idle.pop(connection, None)

    def ended(self, connection: Connection) -> None:
        """Its last request has ended."""
        if connection in self._all:
            self._idle[connection] = monotonic_ns()

    def forget(self, connection: Connection) -> None:
        self._all.discard(connection)
        self._idle.pop(connection, None)


class Connection(asyncio.Protocol):
    """Passes on what comes to the protocol of the server, within the limits.

    Attributes:
        peer: the address at its other end, or under IPv6 its network of 64 bits.
        requested: whether a complete request has come.
        session: of the cookie with which its current request was let in; None without.
        closing: whether it was aborted, or is lost.
        handshake: the task that makes its transport; it is cancelled with the connection.
    """

    def __init__(
        self,
        peer: str,
        owner: Connections,
        inner: asyncio.Protocol,
        release: Callable[[], None],
        now_ns: int,
    ) -> None:
        self.peer = peer
        self.requested = False
        self.session: str | None = None
        self.closing = False
        self.handshake: asyncio.Task[None] | None = None
        self._owner = owner
        self._inner = inner
        self._release = release
        self._transport: asyncio.Transport | None = None
        self._bytes = Allowance(BYTES_AT_ONCE, BYTES_PER_S, now_ns)

    def allows_request(self) -> bool:
        """Count a request; False if there are too many from its address."""
        self.requested = True
        return self._owner.allows_request(self.peer)

    @contextmanager
    def serving(self, session: str | None) -> Iterator[None]:
        """While a request that was let in is served: then the connection is not closed for another one."""
        self.session = session
        self._owner.began(self)
        try:
            yield
        finally:
            self.session = None
            self._owner.ended(self)

    def abort(self) -> None:
        """Close it at once; what was not sent yet is dropped."""
        self._end()
        if self._transport is not None:
            self._transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self.closing:
            self._transport.abort()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self.closing:
            return
        if not self._bytes.take(monotonic_ns(), len(data)):
            self._owner.counts[Refused.FLOODED] += 1
            self.abort()
            return
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        if self._transport is not None:
            self._transport = None
            self._inner.connection_lost(exc)

    def _end(self) -> None:
        """Idempotent. Counted as closed at once: a flood of aborted ones must not occupy the limit."""
        if not self.closing:
            self.closing = True
            self._owner.forget(self)
            self._release()
