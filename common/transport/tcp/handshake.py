"""What one connection to the producer has said so far, and for how long it may go on like this. Pure."""

from __future__ import annotations

from typing import Final

from fanlight.common.model.control import MAX_CONTROL_BYTES, ControlMessage
from fanlight.common.model.errors import WireFormatError
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.token import Challenge
from fanlight.common.transport.tcp.wire import Hello, Kind, MessageReader

# What a client says is short: a hello, a control message.
MAX_HEADER_BYTES: Final = 1024
# Whoever takes longer to say something, once begun, holds a place for nothing.
SAY_WITHIN_NS: Final = 5_000_000_000
# A client says two or three things a second, and some more at once when it joins or frames are lost.
MESSAGES_PER_S: Final = 20
MESSAGES_AT_ONCE: Final = 100
_KNOWN: Final = "the one of this producer, in FANLIGHT_TOKEN or --token-file FILE"


class Handshake:
    """Bytes and times in; what was asked for, out.

    Args:
        stream: the one that is published here.
        now_ns: monotonic time, here and below.
        challenge: what it is asked for after its hello; None if nobody is asked for a token.

    Attributes:
        welcome: what to greet it with, once it is let in.
        name: as it introduced itself; None until it did.
        follows: whether it wants frames.
    """

    def __init__(self, stream: str, now_ns: int, challenge: Challenge | None = None) -> None:
        self._stream = stream
        self._challenge = challenge
        self._challenged: Hello | None = None
        self.welcome = wire.message(Kind.WELCOME, {})
        self._reader = MessageReader(MAX_HEADER_BYTES, MAX_CONTROL_BYTES)
        self._owes_since_ns: int | None = now_ns
        self._may_say = float(MESSAGES_AT_ONCE)
        self._heard_ns = now_ns
        self.name: str | None = None
        self.follows = False

    def hear(self, data: memoryview, now_ns: int) -> list[Hello | bool | ControlMessage | Challenge]:
        """What it says, in order: a `Hello`, whether it wants frames (when that changes), control messages.
        A `Challenge` in place of the hello is to be sent; the hello follows once it was answered.

        Raises:
            WireFormatError: it does not keep to the contract, and cannot be understood any more; or it does
                not know the token.
        """
        begun = self._reader.partial
        messages = self._reader.feed(data)
        self._count(len(messages), now_ns)
        said = [self._understood(message) for message in messages]
        if not self._reader.partial and self.name is not None:
            self._owes_since_ns = None
        elif said or not begun:
            self._owes_since_ns = self._owes_since_ns if self.name is None else now_ns
        return [one for one in said if one is not None]

    def overdue(self, now_ns: int) -> str | None:
        """Why it has to go, if it has said too little for too long."""
        if self._owes_since_ns is None or now_ns - self._owes_since_ns <= SAY_WITHIN_NS:
            return None
        what = "no hello" if self.name is None else "a message that was not finished"
        return f"{what} within {SAY_WITHIN_NS / 1e9:g} s"

    def _count(self, messages: int, now_ns: int) -> None:
        earned = (now_ns - self._heard_ns) * MESSAGES_PER_S / 1e9
        self._may_say = min(MESSAGES_AT_ONCE, self._may_say + earned) - messages
        self._heard_ns = now_ns
        if self._may_say < 0:
            allowed = f"up to {MESSAGES_PER_S} a second, and {MESSAGES_AT_ONCE} at once"
            raise WireFormatError("messages", f"{messages} more", allowed)

    def _understood(self, message: wire.Message) -> Hello | bool | ControlMessage | Challenge | None:
        if self.name is None:
            if self._challenge is not None and self._challenged is not None:
                return self._answered(self._challenge, self._challenged, message)
            if message.kind is not Kind.HELLO:
                raise WireFormatError("kind", message.kind.name.lower(), "hello, first of all")
            return self._met(wire.read_hello(message))
        if message.kind is Kind.FOLLOW:
            follow = wire.read_follow(message)
            changed, self.follows = follow is not self.follows, follow
            return follow if changed else None
        if message.kind is Kind.CONTROL:
            return self._asked(wire.read_control(message))
        raise WireFormatError("kind", message.kind.name.lower(), "control or follow, from a client")

    def _met(self, hello: Hello) -> Hello | Challenge:
        if self._challenge is not None:
            if not hello.token:
                raise WireFormatError("token", "missing", _KNOWN)
            self._challenged = hello
            return self._challenge
        return self._let_in(hello)

    def _answered(self, challenge: Challenge, hello: Hello, message: wire.Message) -> Hello:
        if message.kind is not Kind.ANSWER:
            raise WireFormatError("kind", message.kind.name.lower(), "answer, to the challenge")
        welcome = challenge.welcome(hello, message)
        if welcome is None:
            raise WireFormatError("token", "another one", _KNOWN)
        self.welcome = welcome
        return self._let_in(hello)

    def _let_in(self, hello: Hello) -> Hello:
        if hello.stream != self._stream:
            raise WireFormatError("stream", hello.stream, f"{self._stream!r}, which is published here")
        self.name, self.follows = hello.name, hello.follow
        return hello

    def _asked(self, message: ControlMessage) -> ControlMessage | None:
        # Under its own name alone: whoever counts by names counts clients.
        return message if (message.stream, message.name) == (self._stream, self.name) else None
