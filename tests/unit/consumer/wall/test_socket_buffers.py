"""What waits in a socket is little, and cannot grow."""

from __future__ import annotations

import asyncio
import socket

from fanlight.consumer.wall.socket_buffers import limit_buffers

# Linux doubles what is asked for, and keeps some for itself.
MOST_BYTES = 2 * 128 * 1024 + 64 * 1024


def test_a_peer_that_does_not_read_takes_little() -> None:
    async def test() -> None:
        ours, peer = _connected()
        with peer:
            _, writer = await asyncio.open_connection(sock=ours)
            transport = writer.transport
            assert isinstance(transport, asyncio.Transport)
            limit_buffers(transport)
            assert transport.get_write_buffer_limits() == (0, 1)
            writer.write(bytes(4 * MOST_BYTES))
            assert transport.get_write_buffer_size() > 2 * MOST_BYTES
            transport.abort()

    asyncio.run(test())


def test_without_a_transport_there_is_nothing_to_limit() -> None:
    limit_buffers(None)


def _connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(server.getsockname())
        ours, _ = server.accept()
        return ours, peer
