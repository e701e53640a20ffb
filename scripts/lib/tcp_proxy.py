"""A TCP proxy with faults: jitter, silence, cut connections. For tests.

    with TcpProxy("127.0.0.1", node.port) as proxy:
        connect(proxy.url_through(node.url))
        proxy.jitter_s = 0.1

It cannot lose packets or slow them down (it speaks TCP to both sides): see scripts/lib/netns.py for that.
"""

from __future__ import annotations

import errno
import random
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from fanlight.common.transport.tcp.sockets import Waker
from scripts.lib.ports import LOOPBACK, free_ports

_READ_BYTES: Final = 16 * 1024
# What one direction of one connection may hold: then it is not read from, and its sender has to wait.
HELD_BYTES: Final = 256 * 1024
_CONNECTING: Final = frozenset({0, errno.EINPROGRESS})
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST
_FOR_GOOD: Final = float("inf")


class _Pipe:
    """One direction of one connection: what was read, and when it may leave. Pure."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._last_due_s = 0.0
        self.held_bytes = 0
        self.ended = False  # nothing more is read
        self.closed = False  # and the other side knows

    @property
    def wants(self) -> bool:
        return not self.ended and self.held_bytes < HELD_BYTES

    @property
    def drained(self) -> bool:
        return self.ended and not self._chunks

    def put(self, data: bytes, now_s: float, jitter_s: float) -> None:
        # Never before what came earlier: TCP keeps the order.
        self._last_due_s = max(self._last_due_s, now_s + self._rng.uniform(0.0, jitter_s))
        self._chunks.append((self._last_due_s, data))
        self.held_bytes += len(data)

    def due_s(self) -> float:
        """When the next bytes may leave."""
        return self._chunks[0][0] if self._chunks else _FOR_GOOD

    @property
    def next(self) -> bytes:
        """What may leave then."""
        return self._chunks[0][1]

    def took(self, count: int) -> None:
        """So many bytes of the next ones have left."""
        due_s, data = self._chunks.popleft()
        if count < len(data):
            self._chunks.appendleft((due_s, data[count:]))
        self.held_bytes -= count


class _Pair:
    """One connection: the client that came, and ours to the target."""

    def __init__(self, client: socket.socket, target: socket.socket, rng: random.Random) -> None:
        self.client, self.target = client, target
        self.connecting = True
        self.pipes = {client: _Pipe(rng), target: _Pipe(rng)}  # by the socket that is read
        self.watched: dict[socket.socket, int] = {}

    def other(self, sock: socket.socket) -> socket.socket:
        return self.target if sock is self.client else self.client


class TcpProxy:
    """Listens on the loopback address and passes on what comes, in one thread of its own.

    Attributes:
        port: where it listens.
        jitter_s: a piece of up to 16 kB leaves up to so much later than it came; those of one connection
            and direction stay in order.
        hold: True passes nothing on, and reads nothing; connections are still accepted.

    Both may be changed while it runs, by any thread; what is in it already keeps its time.
    """

    def __init__(
        self, target_host: str, target_port: int, *, host: str = LOOPBACK, port: int = 0, seed: int = 1
    ) -> None:
        self._target = (target_host, target_port)
        self._host = host
        self.port = port or free_ports(1)[0]
        self.jitter_s = 0.0
        self._hold = False
        self._rng = random.Random(seed)  # faults that can be repeated
        self._listening: socket.socket | None = None
        self._pairs: set[_Pair] = set()
        self._calls: deque[Callable[[], None]] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"proxy {self.port}", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen. Raises OSError: somebody else does."""
        self._selector = selectors.DefaultSelector()
        try:
            self._listen()
        except OSError:
            self._selector.close()
            raise
        self._waker = Waker()
        self._selector.register(self._waker, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """Cut everything and join the thread. May be called again."""
        if self._thread.is_alive():
            self._stopping = True
            self._waker.wake()
            self._thread.join()

    @property
    def connections(self) -> int:
        """How many connections go through."""
        return len(self._pairs)

    @property
    def held_bytes(self) -> int:
        """Bytes that were read and have not left."""
        return sum(pipe.held_bytes for pair in list(self._pairs) for pipe in pair.pipes.values())

    @property
    def hold(self) -> bool:
        return self._hold

    @hold.setter
    def hold(self, hold: bool) -> None:
        self._hold = hold
        if self._thread.is_alive():
            self._waker.wake()

    def cut(self, *, reset: bool = True, refuse: bool = False) -> int:
        """End every connection, on both sides, by RST (what is on its way is lost) or by FIN.

        Args:
            refuse: refuse new ones too, until `admit`.

        Returns how many there were.
        """
        count = 0

        def do() -> None:
            nonlocal count
            if refuse:
                self._close_listening()
            count = len(self._pairs)
            for pair in list(self._pairs):
                self._end(pair, reset=reset)

        self._call(do)
        return count

    def admit(self) -> None:
        """Let new connections in again."""
        self._call(self._listen)

    def clear(self) -> None:
        """No faults any more; what was cut stays cut."""
        self.jitter_s = 0.0
        self.hold = False
        self.admit()

    def url_through(self, url: str) -> str:
        """The URL with this proxy's place instead of its host(s) and port(s)."""
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        login, at, _ = authority.rpartition("@")
        return f"{scheme}://{login}{at}{self._host}:{self.port}{slash}{path}"

    def _call(self, function: Callable[[], None]) -> None:
        """Run in the proxy's thread, and wait until that is done."""
        done = threading.Event()

        def run() -> None:
            try:
                function()
            finally:
                done.set()

        if not self._thread.is_alive():
            raise RuntimeError("the proxy does not run")
        self._calls.append(run)
        self._waker.wake()
        while not done.wait(0.1) and self._thread.is_alive():
            pass

    def _listen(self) -> None:
        if self._listening is None:
            self._listening = socket.create_server((self._host, self.port), backlog=128)
            self._listening.setblocking(False)
            self._selector.register(self._listening, selectors.EVENT_READ)

    def _close_listening(self) -> None:
        if self._listening is not None:
            self._selector.unregister(self._listening)
            self._listening.close()
            self._listening = None

    # From here on everything runs in the proxy's own thread.

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._poll()
        finally:
            for pair in list(self._pairs):
                self._end(pair, reset=True)
            self._close_listening()
            self._selector.close()
            self._waker.close()

    def _poll(self) -> None:
        wait_s = _FOR_GOOD
        now_s = time.monotonic()
        for pair in list(self._pairs):
            wait_s = min(wait_s, self._watch(pair, now_s))
        for key, events in self._selector.select(None if wait_s == _FOR_GOOD else wait_s):
            if key.fileobj is self._waker:
                self._waker.clear()
            elif key.fileobj is self._listening:
                self._accept()
            elif key.data in self._pairs:
                assert isinstance(key.fileobj, socket.socket)
                self._serve(key.data, key.fileobj, events)
        while self._calls:
            self._calls.popleft()()

    def _accept(self) -> None:
        assert self._listening is not None
        try:
            client, _ = self._listening.accept()
        except OSError:
            return  # gone again
        target = socket.socket()
        pair = _Pair(client, target, self._rng)
        self._pairs.add(pair)
        for sock in (client, target):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.connect_ex(self._target) not in _CONNECTING:
            self._end(pair, reset=True)

    def _watch(self, pair: _Pair, now_s: float) -> float:
        """Wait for what this connection can go on with; returns in how many seconds more may be due."""
        wait_s = _FOR_GOOD
        for sock in (pair.client, pair.target):
            inward, outward = pair.pipes[sock], pair.pipes[pair.other(sock)]
            events = 0
            if pair.connecting:
                events = selectors.EVENT_WRITE if sock is pair.target else 0
            elif not self._hold:
                events = selectors.EVENT_READ if inward.wants else 0
                due_s = outward.due_s()
                if due_s <= now_s or (outward.drained and not outward.closed):
                    events |= selectors.EVENT_WRITE
                else:
                    wait_s = min(wait_s, due_s - now_s)
            self._set_events(pair, sock, events)
        return wait_s

    def _set_events(self, pair: _Pair, sock: socket.socket, events: int) -> None:
        before = pair.watched.get(sock, 0)
        if events == before:
            return
        pair.watched[sock] = events
        if not events:
            self._selector.unregister(sock)
        elif before:
            self._selector.modify(sock, events, pair)
        else:
            self._selector.register(sock, events, pair)

    def _serve(self, pair: _Pair, sock: socket.socket, events: int) -> None:
        now_s = time.monotonic()
        try:
            if pair.connecting:
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    raise OSError(code, "not connected")  # noqa: TRY301 (one way out for all)
                pair.connecting = False
                return
            if events & selectors.EVENT_READ:
                self._read(pair.pipes[sock], sock, now_s)
            if events & selectors.EVENT_WRITE:
                self._write(pair.pipes[pair.other(sock)], sock, now_s)
        except BlockingIOError:
            return
        except OSError:  # one of the two has vanished: so does the other
            self._end(pair, reset=True)
            return
        if all(pipe.closed for pipe in pair.pipes.values()):
            self._end(pair, reset=False)

    def _read(self, pipe: _Pipe, sock: socket.socket, now_s: float) -> None:
        data = sock.recv(_READ_BYTES)
        if data:
            pipe.put(data, now_s, self.jitter_s)
        else:
            pipe.ended = True

    def _write(self, pipe: _Pipe, sock: socket.socket, now_s: float) -> None:
        while pipe.due_s() <= now_s:
            pipe.took(sock.send(pipe.next))
        if pipe.drained and not pipe.closed:
            pipe.closed = True
            sock.shutdown(socket.SHUT_WR)

    def _end(self, pair: _Pair, *, reset: bool) -> None:
        self._pairs.discard(pair)
        for sock in (pair.client, pair.target):
            self._set_events(pair, sock, 0)
            if reset:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            sock.close()
