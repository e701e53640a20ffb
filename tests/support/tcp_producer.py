"""Hand-made servers at a producer's address: one that speaks the wire, and some that do not."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from typing import Any, Final, Self

from fanlight.common.codec import encoder
from fanlight.common.codec.picture import BGR
from fanlight.common.model.frame import Codec
from tests.support.tcp_wire import CONTROL, FOLLOW, FRAME, HELLO, WELCOME, Wire, packed, place
from tests.support.timing import scaled

EPOCH: Final = 77
TYPES: Final = {Codec.H264: "video/h264", Codec.JPEG: "image/jpeg"}


class Server:
    """Listens at once; each connection has a thread. What is served, `serve` says.

    Attributes:
        visits: connections so far.
    """

    def __init__(self, url: str) -> None:
        self.visits = 0
        self._listening = socket.create_server(place(url), backlog=64)
        self._lock = threading.Lock()
        self._open: set[Wire] = set()
        self._threads = [threading.Thread(target=self._accept, name="hand-made", daemon=True)]
        self._threads[0].start()

    def serve(self, client: Wire) -> None:
        """See to one connection; it is closed when this returns."""
        raise NotImplementedError

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # wakes the one who accepts
        self._threads[0].join(scaled(5))
        with self._lock:
            for client in self._open:
                with contextlib.suppress(OSError):
                    client.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(scaled(5))
        self._listening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listening.accept()
                client = Wire(sock, patience_s=None)
                with self._lock:
                    self._open.add(client)
                self.visits += 1
                thread = threading.Thread(target=self._serve, args=(client,), name="hand-made", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: Wire) -> None:
        with contextlib.suppress(OSError, EOFError):
            self.serve(client)
        with self._lock:
            self._open.discard(client)
        client.close()


class Impostor(Server):
    """Something else that listens there: takes what comes first, answers with these bytes, and goes.

    Args:
        answer: None: it never says anything, and stays.
    """

    def __init__(self, url: str, answer: bytes | None) -> None:
        self._answer = answer
        super().__init__(url)

    def serve(self, client: Wire) -> None:
        client.sock.recv(1 << 16)
        if self._answer is None:
            client.ended()
        else:
            client.send(self._answer)


class TcpProducer(Server):
    """A producer in slow motion: greets whoever comes, and sends to all what a test tells it to.

    Attributes:
        controls: the control messages that came: their types and their contents.
    """

    def __init__(self, url: str) -> None:
        self.controls: list[tuple[str, dict[str, Any]]] = []
        self._following: set[Wire] = set()
        super().__init__(url)

    @property
    def watched(self) -> bool:
        return bool(self._following)

    @property
    def reasons(self) -> list[str]:
        """Why keyframes were asked for so far."""
        return [body["reason"] for kind, body in self.controls if kind == "keyframe_request"]

    def serve(self, client: Wire) -> None:
        first = client.read()
        assert first.kind == HELLO
        client.send(packed(WELCOME, {}))
        self._follow(client, first.table["follow"])
        try:
            while True:
                kind, table, body = client.read()
                if kind == FOLLOW:
                    self._follow(client, table["follow"])
                else:
                    assert kind == CONTROL
                    self.controls.append((table["type"], json.loads(body)))
        finally:
            self._follow(client, False)

    def send(self, *messages: bytes) -> None:
        """Send to all who follow; there has to be one."""
        with self._lock:
            assert self._following, "nobody follows"
            for client in self._following:
                client.send(b"".join(messages))

    def _follow(self, client: Wire, follow: bool) -> None:
        with self._lock:
            if follow:
                self._following.add(client)
            else:
                self._following.discard(client)


def frame_table(stream: str, **fields: object) -> dict[str, object]:
    """The JSON object of a frame of now: a JPEG of 320 x 180, but for what is changed."""
    return {
        "v": 1, "stream": stream, "epoch": EPOCH, "seq": 0, "capture_ns": time.time_ns(),
        "width": 320, "height": 180, "key": True, "fps": 15,
        "content_type": "image/jpeg", "app_id": "fanlight", **fields,
    }  # fmt: skip


class HandMadeStream:
    """Encodes the pictures that are handed in and sends them, a keyframe whenever one was asked for."""

    def __init__(self, out: TcpProducer, stream: str, codec: Codec) -> None:
        self._out = out
        self._stream = stream
        self._codec = codec
        self._coder = encoder(codec, fps=15, gop_s=1)
        self._seq = 0
        self._answered = 0

    def send(self, image: BGR, *, capture_ns: int) -> None:
        if not self._out.watched:
            return
        asked = len(self._out.reasons)
        coded = self._coder.encode(image, key=asked > self._answered)
        self._answered = asked
        table = frame_table(
            self._stream, seq=self._seq, capture_ns=capture_ns, key=coded.key,
            width=image.shape[1], height=image.shape[0], content_type=TYPES[self._codec],
        )  # fmt: skip
        self._seq += 1
        with contextlib.suppress(OSError, AssertionError):  # it left just now
            self._out.send(packed(FRAME, table, coded.body))
