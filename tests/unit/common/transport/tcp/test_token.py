from __future__ import annotations

import hashlib
import hmac

import pytest

from fanlight.common.model.errors import WireFormatError
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.token import Answer, Challenge
from fanlight.common.transport.tcp.wire import Hello, MessageKind
from tests.unit.common.transport.tcp.build import read_one

TOKEN = "correct horse battery"
HELLO = Hello("cam", "desk", follow=True, token=True)
THEIRS, OURS = "0" * 32, "f" * 32


def spoken(token: str, text: str) -> str:
    """As docs/wire.md describes it."""
    return hmac.new(token.encode(), text.encode(), hashlib.sha256).hexdigest()


def test_both_proofs_are_those_of_the_contract_and_hide_the_token() -> None:
    challenge = Challenge(TOKEN, THEIRS)
    answer = Answer(TOKEN, OURS, HELLO).to(read_one(challenge.message))
    proof = spoken(TOKEN, f"fanlight 1 client {THEIRS} {OURS} cam desk")
    assert wire.read_answer(read_one(answer)) == (OURS, proof)
    welcome = challenge.welcome(HELLO, read_one(answer))
    assert welcome is not None
    assert TOKEN.encode() not in challenge.message + answer + welcome, "it is never sent itself"
    assert wire.read_proof(read_one(welcome)) == spoken(
        TOKEN, f"fanlight 1 producer {THEIRS} {OURS} cam desk"
    )


def test_neither_our_own_answer_nor_one_before_a_challenge_is_a_welcome() -> None:
    ours, early = (Answer(TOKEN, OURS, HELLO) for _ in range(2))
    _, proof = wire.read_answer(read_one(ours.to(read_one(Challenge(TOKEN, THEIRS).message))))
    assert not ours.accepts(read_one(wire.message(MessageKind.WELCOME, {"proof": proof})))
    for table in ({}, {"proof": "0" * 64}):
        assert not early.accepts(read_one(wire.message(MessageKind.WELCOME, dict(table))))


@pytest.mark.parametrize("changed", ["token", "nonce", "name", "stream"])
def test_an_answer_to_another_challenge_is_worth_nothing(changed: str) -> None:
    hello = Hello(
        "listener" if changed == "stream" else "cam", "x" if changed == "name" else "desk", True, True
    )
    token = TOKEN + "!" if changed == "token" else TOKEN
    heard = Challenge(TOKEN, "1" * 32 if changed == "nonce" else THEIRS)
    answer = Answer(token, OURS, hello).to(read_one(heard.message))
    assert Challenge(TOKEN, THEIRS).welcome(HELLO, read_one(answer)) is None


def test_what_is_no_challenge_and_no_answer_is_refused() -> None:
    broken = read_one(wire.message(MessageKind.CHALLENGE, {"nonce": 1}))
    with pytest.raises(WireFormatError, match="nonce"):
        Answer(TOKEN, OURS, HELLO).to(broken)
    with pytest.raises(WireFormatError, match="nonce"):
        Challenge(TOKEN, THEIRS).welcome(HELLO, broken)
