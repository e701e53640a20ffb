"""How both sides of a connection prove that they know the token, without sending it. Pure.

The producer challenges with a number that is never used again, the client answers with one of its own and
with an HMAC-SHA-256 over both (RFC 2104), and the welcome has another such. An eavesdropper can neither
replay it nor take the token from it (but try likely ones: hence its length). The frames that follow are
neither encrypted nor signed.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.wire import Hello, Message, MessageKind

# Apart, so that an answer can never be sent back as a welcome.
_CLIENT: Final = "fanlight 1 client"
_PRODUCER: Final = "fanlight 1 producer"


class Challenge:
    """The producer's half, for one connection.

    Args:
        nonce: fresh and random, at least 16 bytes as hex.

    Attributes:
        message: to be sent once the hello has come.
    """

    def __init__(self, token: str, nonce: str) -> None:
        self._token = token
        self._nonce = nonce
        self.message = wire.message(MessageKind.CHALLENGE, {"nonce": nonce})

    def welcome(self, hello: Hello, answer: Message) -> bytes | None:
        """The welcome for the client with this hello and answer; None if it does not know the token.

        Raises:
            WireFormatError: it is no answer.
        """
        nonce, proof = wire.read_answer(answer)
        if not hmac.compare_digest(_proof(self._token, _CLIENT, self._nonce, nonce, hello), proof):
            return None
        ours = _proof(self._token, _PRODUCER, self._nonce, nonce, hello)
        return wire.message(MessageKind.WELCOME, {"proof": ours})


class Answer:
    """The client's half, for one connection.

    Args:
        nonce: likewise, the client's own.
        hello: as it was sent.
    """

    def __init__(self, token: str, nonce: str, hello: Hello) -> None:
        self._token = token
        self._nonce = nonce
        self._hello = hello
        self._expected = ""

    def to(self, challenge: Message) -> bytes:
        """The answer to a challenge. Raises WireFormatError: it is none."""
        theirs = wire.read_nonce(challenge)
        self._expected = _proof(self._token, _PRODUCER, theirs, self._nonce, self._hello)
        proof = _proof(self._token, _CLIENT, theirs, self._nonce, self._hello)
        return wire.message(MessageKind.ANSWER, {"nonce": self._nonce, "proof": proof})

    def accepts(self, welcome: Message) -> bool:
        """Whether the producer that sent this welcome knows the token. Raises WireFormatError."""
        proof = wire.read_proof(welcome)
        return bool(self._expected) and hmac.compare_digest(self._expected, proof)


def _proof(token: str, who: str, producer_nonce: str, client_nonce: str, hello: Hello) -> str:
    # Names hold no spaces, and nonces are hex.
    text = f"{who} {producer_nonce} {client_nonce} {hello.stream} {hello.name}"
    return hmac.new(token.encode(), text.encode(), hashlib.sha256).hexdigest()
