"""A way to a broker on which the first logins are cut."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

_RESET = struct.pack("ii", 1, 0)


@contextlib.contextmanager
def login_cut(url: str, after: int, *, times: int = 1, reset: bool = True) -> Iterator[str]:
    """The URL of a proxy that cuts the first connections, and passes the others on.

    Args:
        after: how many answers of the broker pass before: 1 is its greeting, 2 the answer to the login.
        reset: by a reset, else in order.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    target = (parts.hostname, parts.port or 5672)
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        host, port = listening.getsockname()
        threads: list[threading.Thread] = []

        def serve(client: socket.socket, cut: bool) -> None:
            with client, socket.create_connection(target) as broker, contextlib.suppress(OSError):
                back = threading.Thread(target=_pass, args=(client, broker, None), daemon=True)
                back.start()
                _pass(broker, client, after if cut else None)
                if reset:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                broker.shutdown(socket.SHUT_RDWR)
                client.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
                back.join()

        def accept() -> None:
            for number in itertools.count():
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=serve, args=(client, number < times), daemon=True))
                threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        stack.callback(_join, accepting, threads)
        stack.callback(listening.shutdown, socket.SHUT_RDWR)
        yield urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@{host}:{port}"))


def _pass(source: socket.socket, target: socket.socket, messages: int | None) -> None:
    with contextlib.suppress(OSError):
        while messages is None or messages > 0:
            data = source.recv(65536)
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)
            messages = None if messages is None else messages - 1


def _join(accepting: threading.Thread, threads: list[threading.Thread]) -> None:
    for thread in (accepting, *threads):
        thread.join(5)
