"""The messages by which both sides show that they know the token."""

from __future__ import annotations

import pytest

from fanlight.common.model.errors import WireFormatError
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.wire import Hello, Message, MessageKind
from tests.unit.common.transport.tcp.build import read_one

NONCE = "00112233445566778899aabbccddeeff"


def said(kind: MessageKind, **table: object) -> Message:
    return read_one(wire.message(kind, table))


def test_a_refusal_names_the_wrong_field() -> None:
    told = read_one(wire.refusal_message("no", "token"))
    assert (wire.read_reason(told), wire.read_wrong_field(told)) == ("no", "token")
    assert wire.read_wrong_field(read_one(wire.refusal_message("no"))) is None


def test_a_hello_announces_a_token() -> None:
    hello = Hello("cam", "desk", follow=True, token=True)
    assert wire.read_hello(read_one(wire.hello_message(hello))) == hello
    with pytest.raises(WireFormatError, match=r"^token is 1: allowed is true or false$"):
        wire.read_hello(said(MessageKind.HELLO, stream="cam", name="desk", token=1))


@pytest.mark.parametrize(
    "value", [None, 5, "", "ab", "A" * 32, "g" * 32, "a" * 31, "a" * 129, "a" * 32 + "\n"]
)
def test_numbers_and_proofs_are_hex(value: object) -> None:
    for read in (wire.read_nonce, wire.read_answer):
        with pytest.raises(WireFormatError, match=r"^nonce is .* lower case$"):
            read(said(MessageKind.ANSWER, nonce=value, proof=NONCE))
    for kind, read_it in ((MessageKind.ANSWER, wire.read_answer), (MessageKind.WELCOME, wire.read_proof)):
        with pytest.raises(WireFormatError, match=r"^proof is .* lower case$"):
            read_it(said(kind, nonce=NONCE, proof=value))
    assert wire.read_proof(said(MessageKind.WELCOME)) == ""
