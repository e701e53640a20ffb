"""What the two publishers without a broker have in common: their door, and who watches."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from common.address import TcpAddress
from common.control import ControlMessage, KeyframeRequest, Reason
from common.errors import FanlightError
from common.fanout.base import PublisherEvents
from common.fanout.tcp.beyond import check_place
from common.fanout.tcp.door import Client, Door, DoorOwner

# A client that is so far behind, in shares of the greatest age, goes on with the newest keyframe.
_STALE_SHARE: Final = 0.5


class TcpPublisher(DoorOwner):
    """Half of a `common.fanout.base.Publisher`; a design adds how frames get to clients.

    Args:
        place: where to listen: an address, or a path for a Unix socket.
        role: what it calls itself in log lines.

    Raises:
        ConfigError: it would listen beyond this machine without a token.
    """

    def __init__(
        self,
        place: TcpAddress | Path,
        *,
        stream: str,
        max_age_s: float,
        events: PublisherEvents,
        role: str = "producer",
    ) -> None:
        if isinstance(place, TcpAddress):
            check_place(place)
        self._stream = stream
        self._stale_ns = int(max_age_s * 1e9 * _STALE_SHARE)
        self._events = events
        self._door = Door(place, self, stream=stream, title=f"fanlight {role} {stream}")
        self._changed = threading.Condition()
        self._watched = False
        self._stopped = False
        self._failure: FanlightError | None = None

    @property
    def failure(self) -> FanlightError | None:
        return self._failure

    @property
    def watched(self) -> bool:
        return self._watched

    def start(self) -> None:
        self._door.start()

    @property
    def _ended(self) -> bool:
        return self._stopped or self._failure is not None

    def _stop_once(self) -> bool:
        """Take no more frames; True the first time."""
        with self._changed:
            already, self._stopped = self._stopped, True
            self._changed.notify_all()
        return not already

    # From here on everything runs in the door's thread.

    def on_listening(self) -> None:
        self._events.on_connected()

    def on_control(self, message: ControlMessage) -> None:
        self._events.on_control(message)

    def on_refused(self) -> None:
        self._events.on_refused()

    def on_failed(self, error: FanlightError) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def _look_who_watches(self, clients: Iterable[Client]) -> None:
        watched = any(client.visitor.follows for client in clients)
        if watched and not self._watched:
            self._events.on_keyframe_needed()
        with self._changed:
            self._watched = watched
            self._changed.notify_all()

    def _ask_for_key(self, client: Client) -> None:
        """In the stead of a client that cannot go on without one. Thread-safe."""
        name = client.visitor.name or ""
        self._events.on_control(KeyframeRequest(stream=self._stream, name=name, reason=Reason.GAP))
