"""The handshake of one client, and the limits on what it sends afterwards. Pure."""

from __future__ import annotations

from typing import Final

from fanlight.common.model.control import MAX_CONTROL_BYTES, ControlMessage
from fanlight.common.model.errors import WireFormatError
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.token import Challenge
from fanlight.common.transport.tcp.wire import Hello, MessageKind, MessageReader

# Messages of a client are short: a hello, a control message.
MAX_HEADER_BYTES: Final = 1024
# A message, and the hello, has to be complete within this time.
MESSAGE_TIMEOUT_NS: Final = 5_000_000_000
# A client sends two or three messages a second, and some more at once when it joins or frames are lost.
MESSAGES_PER_S: Final = 20
MESSAGES_AT_ONCE: Final = 100
_KNOWN: Final = "the one of this producer, in FANLIGHT_TOKEN or --token-file FILE"


class Handshake:
    """Bytes and times in, requests out.

    Args:
        stream: the one that is published here.
        now_ns: monotonic time, here and below.
        challenge: sent after the hello; None if no token is required.

    Attributes:
        welcome: the message to send once it is admitted.
        name: of the client; None before its hello.
        follows: whether it wants frames.
        directory: whether it wants announcements instead.
        bye: whether it wants to be told when the stream ends.
    """

    def __init__(self, stream: str, now_ns: int, challenge: Challenge | None = None) -> None:
        self._stream = stream
        self._challenge = challenge
        self._challenged: Hello | None = None
        self.welcome = wire.message(MessageKind.WELCOME, {})
        self._reader = MessageReader(MAX_HEADER_BYTES, MAX_CONTROL_BYTES)
        self._waiting_since_ns: int | None = now_ns
        self._allowance = float(MESSAGES_AT_ONCE)
        self._counted_ns = now_ns
        self.name: str | None = None
        self.follows = self.directory = self.bye = False

    def receive(self, data: memoryview, now_ns: int) -> list[Hello | bool | ControlMessage | Challenge]:
        """Its requests, in order: a `Hello`, whether it wants frames (when that changes), control messages.

        A `Challenge` in place of the hello is to be sent; the hello follows once it was answered.

        Raises:
            WireFormatError: it breaks the contract, or does not know the token.
        """
        begun = self._reader.partial
        messages = self._reader.feed(data)
        self._count(len(messages), now_ns)
        requests = [self._parse(message) for message in messages]
        if not self._reader.partial and self.name is not None:
            self._waiting_since_ns = None
        elif requests or not begun:
            self._waiting_since_ns = self._waiting_since_ns if self.name is None else now_ns
        return [request for request in requests if request is not None]

    def overdue(self, now_ns: int) -> str | None:
        """Why it has to be disconnected, if it has sent too little for too long."""
        if self._waiting_since_ns is None or now_ns - self._waiting_since_ns <= MESSAGE_TIMEOUT_NS:
            return None
        what = "no hello" if self.name is None else "a message that was not finished"
        return f"{what} within {MESSAGE_TIMEOUT_NS / 1e9:g} s"

    def _count(self, messages: int, now_ns: int) -> None:
        earned = (now_ns - self._counted_ns) * MESSAGES_PER_S / 1e9
        self._allowance = min(MESSAGES_AT_ONCE, self._allowance + earned) - messages
        self._counted_ns = now_ns
        if self._allowance < 0:
            allowed = f"up to {MESSAGES_PER_S} a second, and {MESSAGES_AT_ONCE} at once"
            raise WireFormatError("messages", f"{messages} more", allowed)

    def _parse(self, message: wire.Message) -> Hello | bool | ControlMessage | Challenge | None:
        if self.name is None:
            if self._challenge is not None and self._challenged is not None:
                return self._answered(self._challenge, self._challenged, message)
            if message.kind is not MessageKind.HELLO:
                raise WireFormatError("kind", message.kind.name.lower(), "hello, first of all")
            return self._greet(wire.read_hello(message))
        if self.directory:
            raise WireFormatError("kind", message.kind.name.lower(), "none, after a hello with directory")
        if message.kind is MessageKind.FOLLOW:
            follow = wire.read_follow(message)
            changed, self.follows = follow is not self.follows, follow
            return follow if changed else None
        if message.kind is MessageKind.CONTROL:
            return self._own(wire.read_control(message))
        raise WireFormatError("kind", message.kind.name.lower(), "control or follow, from a client")

    def _greet(self, hello: Hello) -> Hello | Challenge:
        if self._challenge is not None:
            if not hello.token:
                raise WireFormatError("token", "missing", _KNOWN)
            self._challenged = hello
            return self._challenge
        return self._admit(hello)

    def _answered(self, challenge: Challenge, hello: Hello, message: wire.Message) -> Hello:
        if message.kind is not MessageKind.ANSWER:
            raise WireFormatError("kind", message.kind.name.lower(), "answer, to the challenge")
        welcome = challenge.welcome(hello, message)
        if welcome is None:
            raise WireFormatError("token", "another one", _KNOWN)
        self.welcome = welcome
        return self._admit(hello)

    def _admit(self, hello: Hello) -> Hello:
        if hello.stream != self._stream and not hello.directory:
            raise WireFormatError("stream", hello.stream, f"{self._stream!r}, which is published here")
        self.name, self.directory, self.bye = hello.name, hello.directory, hello.bye
        self.follows = hello.follow and not hello.directory
        return hello

    def _own(self, message: ControlMessage) -> ControlMessage | None:
        # Under its own name alone: names count clients.
        return message if (message.stream, message.name) == (self._stream, self.name) else None
