"""Publishes one stream to clients that connect to it: one thread, one event loop, non-blocking sends."""

from __future__ import annotations

import socket

from fanlight.common.model.frame import EncodedFrame
from fanlight.common.transport.tcp.feed import Feed
from fanlight.common.transport.tcp.listener import Client
from fanlight.common.transport.tcp.publisher import TcpPublisher


class MultiplexPublisher(TcpPublisher):
    """See `common.transport.base.Publisher`."""

    _ending = False

    def publish(self, frame: EncodedFrame) -> None:
        with self._changed:
            self._pending += 1
        self._put([frame])
        self._listener.call(self._fan_out)

    def _send_rest(self, timeout_s: float, end: bytes | None) -> None:
        self._ring.end, self._ending = end, True
        self._listener.call(self._send_all)

    # From here on everything runs in the listener's thread.

    def _serve(self, client: Client, feed: Feed) -> None:
        self._wake(client)

    def on_writable(self, client: Client) -> None:
        self._wake(client)

    def _fan_out(self) -> None:
        with self._changed:
            self._pending -= 1
            self._changed.notify_all()
        self._send_all()

    def _send_all(self) -> None:
        for client in tuple(self._feeds):
            self._wake(client)

    def _wake(self, client: Client) -> None:
        feed = self._feeds[client]
        rest = feed.rest
        try:
            while rest := rest or memoryview(feed.next() or b""):
                rest = rest[client.sock.send(rest, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            pass
        except OSError:
            self._listener.disconnect(client)
            return
        feed.rest = rest
        self._listener.watch_writable(client, bool(rest))
        if self._ending and not rest:
            self._shut_down(client)

    def _shut_down(self, client: Client) -> None:
        try:
            client.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._listener.disconnect(client)
