"""A consumer's end of one connection to a producer."""

from __future__ import annotations

import errno
import secrets
import socket
from dataclasses import replace
from typing import Final

from fanlight.common.model.errors import TokenRefused, WireFormatError
from fanlight.common.model.frame import LARGEST, Limits
from fanlight.common.model.reasons import reason
from fanlight.common.transport.liveness import network_is_out
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.peer_user import ONLY_OURS, other_user
from fanlight.common.transport.tcp.token import Answer
from fanlight.common.transport.tcp.wire import Hello, Message, MessageKind, MessageReader

_READ_BYTES: Final = 256 * 1024
_NONCE_BYTES: Final = 16
# Control messages that the other side does not take.
_MOST_UNSENT: Final = 64 * 1024


class ConnectionLost(Exception):
    """The connection has ended, or could not be made. `str()` says why, for people.

    Attributes:
        network_is_out: it is not the other side that ended it.
    """

    def __init__(self, why: str, cause: OSError | None = None) -> None:
        super().__init__(why)
        self.network_is_out = cause is not None and network_is_out(cause)


class Connection:
    """Owned by one thread.

    Args:
        sock: connected; is made non-blocking.
        token: that the other side has to know too; None: it must not ask for one.

    Attributes:
        welcomed: whether the handshake is complete.
    """

    def __init__(
        self, sock: socket.socket, hello: Hello, token: str | None = None, limits: Limits = LARGEST
    ) -> None:
        self.sock = sock
        hello = replace(hello, token=token is not None)
        self._directory = hello.directory
        self._answer = None if token is None else Answer(token, secrets.token_hex(_NONCE_BYTES), hello)
        self._answered = False
        self.welcomed = False
        self._reader = MessageReader(max_body=limits.max_body_bytes)
        self._buffer = bytearray(_READ_BYTES)
        self._view = memoryview(self._buffer)
        self._unsent = bytearray()
        sock.setblocking(False)
        self.send(wire.hello_message(hello))

    @property
    def waits_to_send(self) -> bool:
        return bool(self._unsent)

    def send(self, data: bytes) -> None:
        """Send a message, or drop it if the other side has not taken those before for long."""
        if len(self._unsent) + len(data) <= _MOST_UNSENT:
            self._unsent += data
            self.flush()

    def flush(self) -> None:
        """Send what the operating system takes. What goes wrong is noticed by `receive`."""
        try:
            while self._unsent:
                del self._unsent[: self.sock.send(self._unsent)]
        except OSError:
            return

    def receive(self) -> tuple[list[Message], bool]:
        """The messages that have come, and whether more may be there.

        Raises:
            ConnectionLost: none will come any more.
            WireFormatError: what comes cannot be read.
            TokenRefused: one side does not know the other's token.
        """
        try:
            count = self.sock.recv_into(self._buffer)
        except BlockingIOError:
            return [], False
        except OSError as error:
            silent = error.errno == errno.ETIMEDOUT
            why = "the network is silent: nothing is acknowledged" if silent else reason(error)
            raise ConnectionLost(why, error) from None
        if not count:
            raise ConnectionLost("the other side ended the connection")
        messages = self._reader.feed(self._view[:count])
        if messages and not self.welcomed:
            messages = self._admit(messages)
        return messages, count == _READ_BYTES

    def _admit(self, messages: list[Message]) -> list[Message]:
        first = messages[0]
        if first.kind is MessageKind.CHALLENGE and not self._answered:
            if self._answer is None:
                raise WireFormatError("kind", "challenge", "none: no token was announced")
            self._answered = True
            self.send(self._answer.to(first))
            return self._admit(messages[1:]) if messages[1:] else []
        if first.kind is MessageKind.REFUSAL:
            field = wire.read_wrong_field(first)
            if field == "token":
                raise TokenRefused(f"the producer refused us: {wire.read_reason(first)}")
            if field == "stream" and self._directory:
                raise ConnectionLost("the producer there is of an earlier version, which lists no streams")
            raise ConnectionLost(f"refused: {wire.read_reason(first)}")
        if first.kind is not MessageKind.WELCOME:
            raise WireFormatError("kind", first.kind.name.lower(), "welcome or refusal, first of all")
        if self._answer is not None and not self._answer.accepts(first):
            raise TokenRefused(
                "the producer there does not know our token: start it with the same one (FANLIGHT_TOKEN or "
                "--token-file FILE), or leave ours out"
            )
        if self._answer is None:
            self._check_user()
        self.welcomed = True
        return messages[1:]

    def _check_user(self) -> None:
        """Without a token. Whoever has sent a welcome has accepted the connection: it is somebody's."""
        try:
            user = other_user(self.sock)
        except OSError as error:
            raise ConnectionLost(reason(error), error) from None
        if user is not None:
            raise ConnectionLost(f"the producer there is of user {user}: {ONLY_OURS}")
