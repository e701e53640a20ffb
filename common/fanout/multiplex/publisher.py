"""Publishes one stream to clients that connect to it: one thread, one event loop, non-blocking sends."""

from __future__ import annotations

import socket
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from common.address import TcpAddress
from common.clock import monotonic_ns, monotonic_of, wall_ns
from common.control import ClockRequest, answer
from common.fanout.base import PublisherEvents
from common.fanout.multiplex.send_queue import SendQueue
from common.fanout.tcp import wire
from common.fanout.tcp.door import Client
from common.fanout.tcp.publisher import TcpPublisher
from common.frame import EncodedFrame

# What a new client gets at once: the frames since the last keyframe, unless they are more, or too old.
_HISTORY_FRAMES: Final = 128
_HISTORY_BYTES: Final = 64 * 1024 * 1024
_HISTORY_NS: Final = 2_000_000_000


class _Sent(NamedTuple):
    data: bytes
    key: bool
    captured_ns: int


class MultiplexPublisher(TcpPublisher):
    """See `common.fanout.base.Publisher`. Arguments: as of `TcpPublisher`."""

    def __init__(
        self,
        place: TcpAddress | Path,
        *,
        stream: str,
        max_age_s: float,
        events: PublisherEvents,
        role: str = "producer",
    ) -> None:
        super().__init__(place, stream=stream, max_age_s=max_age_s, events=events, role=role)
        self._pending = 0  # frames that the loop has not taken yet
        # The loop's own.
        self._queues: dict[Client, SendQueue] = {}
        self._history: deque[_Sent] = deque()
        self._history_bytes = 0

    def wait_ready(self, timeout_s: float) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or (self._watched and not self._pending), timeout_s)
            return self._watched and not self._pending and not self._ended

    def publish(self, frame: EncodedFrame) -> None:
        with self._changed:
            self._pending += 1
        self._door.call(partial(self._fan_out, frame))

    def stop(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        if self._stop_once():
            self._door.call(self._finish)
        self._door.stop(max(0.1, deadline_s - time.monotonic()))

    # From here on everything runs in the door's thread.

    def on_admitted(self, client: Client, *, follow: bool) -> None:
        queue = SendQueue(stale_ns=self._stale_ns)
        self._queues[client] = queue
        queue.say(client.visitor.welcome)
        self.on_follow(client, follow)

    def on_follow(self, client: Client, follow: bool) -> None:
        queue = self._queues[client]
        if follow:
            now_ns = monotonic_ns()
            if self._history and now_ns - self._history[0].captured_ns <= _HISTORY_NS:
                for sent in self._history:
                    queue.offer(
                        sent.data, key=sent.key, captured_ns=sent.captured_ns, now_ns=sent.captured_ns
                    )
        else:
            queue.end()
        self._look_who_watches(self._queues)
        self._send(client, queue)

    def on_clock(self, client: Client, request: ClockRequest, received_ns: int) -> None:
        queue = self._queues[client]
        queue.say(wire.control_message(answer(request, received_ns=received_ns, now_ns=wall_ns())))
        self._send(client, queue)

    def on_writable(self, client: Client) -> None:
        self._send(client, self._queues[client])

    def on_left(self, client: Client) -> None:
        del self._queues[client]
        self._look_who_watches(self._queues)

    def _fan_out(self, frame: EncodedFrame) -> None:
        with self._changed:
            self._pending -= 1
            self._changed.notify_all()
        header = frame.header
        data, now_ns = wire.frame_message(frame), monotonic_ns()
        captured_ns = monotonic_of(header.capture_ns)
        self._remember(_Sent(data, header.key, captured_ns))
        for client, queue in tuple(self._queues.items()):
            if not client.visitor.follows:
                continue
            dropped = queue.offer(data, key=header.key, captured_ns=captured_ns, now_ns=now_ns)
            if dropped:
                self._events.on_unsent(dropped)
            if queue.needs_key:
                queue.needs_key = False
                self._ask_for_key(client)
            self._send(client, queue)

    def _remember(self, sent: _Sent) -> None:
        if sent.key:
            self._history.clear()
            self._history_bytes = 0
        elif not self._history:
            return  # without its keyframe it is of no use
        self._history.append(sent)
        self._history_bytes += len(sent.data)
        if len(self._history) > _HISTORY_FRAMES or self._history_bytes > _HISTORY_BYTES:
            self._history.clear()

    def _send(self, client: Client, queue: SendQueue) -> None:
        try:
            while (chunk := queue.chunk()) is not None:
                queue.sent(client.sock.send(chunk, socket.MSG_DONTWAIT))
        except BlockingIOError:
            pass
        except OSError:
            self._door.leave(client)
            return
        self._door.watch_writable(client, queue.waits)
        if self._stopped and not queue.waits:
            self._say_goodbye(client)

    def _finish(self) -> None:
        for client, queue in tuple(self._queues.items()):
            self._send(client, queue)

    def _say_goodbye(self, client: Client) -> None:
        try:
            client.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._door.leave(client)
