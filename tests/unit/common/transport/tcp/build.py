"""Messages and connections that the tests of this folder have in common."""

from __future__ import annotations

import queue
import socket
import threading
from typing import Final

from fanlight.common.model.announcement import Announcement
from fanlight.common.model.control import ClockRequest, KeyframeRequest, Reason
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.wire import Hello, Message, MessageKind, MessageReader
from tests.support.timing import scaled

STREAM: Final = "cam"
NAME: Final = "desk"
HEADER: Final = FrameHeader(
    stream=STREAM,
    codec=Codec.H264,
    epoch=0x1122334455667788,
    seq=7,
    capture_ns=1_700_000_000_123_456_789,
    width=1280,
    height=720,
    key=True,
    fps=29.97,
)
ANNOUNCEMENT: Final = Announcement(
    stream=STREAM,
    codec=Codec.JPEG,
    width=None,
    height=None,
    fps=30.0,
    epoch=7,
    since_ns=1_700_000_000_123_456_789,
    watched=False,
)
HELLO: Final = wire.hello_message(Hello(STREAM, NAME, follow=True))
WELCOME: Final = wire.message(MessageKind.WELCOME, {})
CLOCK_REQUEST: Final = ClockRequest(stream=STREAM, name=NAME, asked_ns=5)
KEYFRAME_REQUEST: Final = KeyframeRequest(stream=STREAM, name=NAME, reason=Reason.GAP)


def follow(wanted: bool) -> bytes:
    return wire.message(MessageKind.FOLLOW, {"follow": wanted})


def frame_of(codec: Codec, *, fps: float = 29.97) -> EncodedFrame:
    """A small one, as that codec's have to be."""
    body = bytes(range(24)) if codec is Codec.RAW else b"picture"
    return EncodedFrame(HEADER._replace(codec=codec, width=4, height=2, fps=fps), body)


def read_all(data: bytes) -> list[Message]:
    return MessageReader().feed(memoryview(data))


def read_one(data: bytes) -> Message:
    (message,) = read_all(data)
    return message


class Recorder:
    """Records events in the order in which they happen, and the threads that they happen in."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self.threads: set[str] = set()

    def expect(self, what: str) -> object:
        """The next thing that happens has to be this; returns what it is about."""
        try:
            happened, about = self.events.get(timeout=scaled(15))
        except queue.Empty:
            raise AssertionError(f"waited for {what}: nothing happened") from None
        assert happened == what, about
        return about

    @property
    def quiet(self) -> bool:
        """Nothing has happened that was not expected."""
        return self.events.empty()

    def note(self, what: str, about: object = None) -> None:
        self.threads.add(threading.current_thread().name)
        self.events.put((what, about))


class Peer:
    """The other end of a connection: reads whole messages, with a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._reader = MessageReader()
        self._read: list[Message] = []
        sock.settimeout(scaled(15))

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def message(self) -> Message | None:
        """The next one; None if there will be no more."""
        while not self._read:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._read = self._reader.feed(memoryview(data))
        return self._read.pop(0)

    def refusal(self) -> str:
        message = self.message()
        assert message is not None, "it ended the connection without a word"
        assert message.kind is MessageKind.REFUSAL
        return wire.read_reason(message)

    @property
    def ended(self) -> bool:
        """Waits for the end."""
        return self.message() is None
