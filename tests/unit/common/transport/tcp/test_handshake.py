from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from fanlight.common.model.control import MAX_CONTROL_BYTES
from fanlight.common.model.errors import WireFormatError
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.handshake import (
    MAX_HEADER_BYTES,
    MESSAGE_TIMEOUT_NS,
    MESSAGES_AT_ONCE,
    MESSAGES_PER_S,
    Handshake,
)
from fanlight.common.transport.tcp.token import Answer, Challenge
from fanlight.common.transport.tcp.wire import Hello, MessageKind
from tests.unit.common.transport.tcp.build import (
    CLOCK_REQUEST,
    HELLO,
    KEYFRAME_REQUEST,
    NAME,
    STREAM,
    WELCOME,
    follow,
    read_one,
)

CAME: Final = 1_000_000_000
SECOND: Final = 1_000_000_000
REQUEST: Final = wire.control_message(CLOCK_REQUEST)
NO_HELLO: Final = "no hello within 5 s"
NOT_FINISHED: Final = "a message that was not finished within 5 s"


@pytest.fixture
def peer() -> Handshake:
    return Handshake(STREAM, CAME)


@pytest.fixture
def client(peer: Handshake) -> Handshake:
    hear(peer, HELLO)
    return peer


def hear(handshake: Handshake, data: bytes, now_ns: int = CAME) -> list[object]:
    return list(handshake.receive(memoryview(data), now_ns))


def refusal(handshake: Handshake, data: bytes) -> str:
    with pytest.raises(WireFormatError) as caught:
        hear(handshake, data)
    return str(caught.value)


# The token ----------------------------------------------------------------------------------------------

TOKEN: Final = "0123456789abcdef"
KNOWING: Final = Hello(STREAM, NAME, follow=True, token=True)


def answer(challenge: Challenge, token: str = TOKEN, hello: Hello = KNOWING) -> bytes:
    return Answer(token, "1" * 32, hello).to(read_one(challenge.message))


@pytest.fixture
def challenge() -> Challenge:
    return Challenge(TOKEN, "0" * 32)


@pytest.fixture
def asked(challenge: Challenge) -> Handshake:
    return Handshake(STREAM, CAME, challenge)


def test_a_client_with_the_token_is_challenged_and_admitted(asked: Handshake, challenge: Challenge) -> None:
    assert hear(asked, wire.hello_message(KNOWING)) == [challenge]
    assert (asked.name, asked.follows) == (None, False)
    assert hear(asked, answer(challenge)) == [KNOWING]
    assert (asked.name, asked.follows) == (NAME, True)
    assert wire.read_proof(read_one(asked.welcome))


def test_a_client_without_the_token_learns_why_and_no_more(asked: Handshake, challenge: Challenge) -> None:
    allowed = "allowed is the one of this producer"
    assert refusal(asked, HELLO).startswith(f"token is 'missing': {allowed}, in FANLIGHT_TOKEN")
    hear(asked, wire.hello_message(KNOWING))
    why = refusal(asked, answer(challenge, "another token...."))
    assert why.startswith(f"token is 'another one': {allowed}")
    assert TOKEN not in why
    assert asked.name is None


def test_a_hello_alone_does_not_buy_time(asked: Handshake) -> None:
    hear(asked, wire.hello_message(KNOWING), CAME + 4 * SECOND)
    assert asked.overdue(CAME + MESSAGE_TIMEOUT_NS + 1) == NO_HELLO


def test_without_a_token_nothing_is_revealed_of_another_stream(
    asked: Handshake, challenge: Challenge
) -> None:
    assert "token is 'missing'" in refusal(asked, wire.hello_message(Hello("listener", NAME, True)))
    hello = Hello("listener", NAME, follow=True, token=True)
    assert hear(asked, wire.hello_message(hello)) == [challenge]
    assert "stream is 'listener'" in refusal(asked, answer(challenge, hello=hello))


# The directory -------------------------------------------------------------------------------------------

ASKING: Final = Hello("streams", NAME, follow=True, directory=True)


def test_a_client_of_the_directory_need_not_know_the_stream_and_gets_no_frames(peer: Handshake) -> None:
    assert hear(peer, wire.hello_message(ASKING)) == [ASKING]
    assert (peer.name, peer.directory, peer.follows) == (NAME, True, False)
    for data in (follow(True), REQUEST, wire.hello_message(ASKING)):
        assert refusal(peer, data).endswith("allowed is none, after a hello with directory")
    assert not peer.follows


def test_the_directory_needs_the_token_too(asked: Handshake, challenge: Challenge) -> None:
    assert "token is 'missing'" in refusal(asked, wire.hello_message(ASKING))
    asking = replace(ASKING, token=True)
    assert hear(asked, wire.hello_message(asking)) == [challenge]
    assert "token is 'another one'" in refusal(asked, answer(challenge, "another token....", asking))
    assert (asked.name, asked.directory) == (None, False)
    assert hear(asked, answer(challenge, hello=asking)) == [asking]


# Messages ------------------------------------------------------------------------------------------------


def test_only_the_message_that_is_due_is_taken(
    asked: Handshake, peer: Handshake, client: Handshake
) -> None:
    hear(asked, wire.hello_message(KNOWING))
    for data in (REQUEST, follow(True), wire.hello_message(KNOWING)):
        assert refusal(asked, data).endswith("allowed is answer, to the challenge")
    for data in (REQUEST, follow(True), WELCOME):
        assert refusal(Handshake(STREAM, CAME), data).endswith("allowed is hello, first of all")
    for data in (HELLO, WELCOME, wire.message(MessageKind.REFUSAL, {"reason": "no"})):
        assert refusal(client, data).endswith("allowed is control or follow, from a client")
    assert asked.name is None


@pytest.mark.parametrize("wanted", [True, False])
def test_a_hello_makes_it_known(peer: Handshake, wanted: bool) -> None:
    hello = Hello(STREAM, NAME, wanted)
    assert hear(peer, wire.hello_message(hello)) == [hello]
    assert (peer.name, peer.follows) == (NAME, wanted)


def test_another_stream_is_not_to_be_had_here(peer: Handshake) -> None:
    why = refusal(peer, wire.hello_message(Hello("listener", NAME, True)))
    assert why == "stream is 'listener': allowed is 'cam', which is published here"
    assert peer.name is None


def test_following_is_reported_when_it_changes(client: Handshake) -> None:
    said = hear(client, follow(True) + follow(False) + follow(False) + follow(True))
    assert said == [False, True]
    assert client.follows
    assert hear(client, follow(False)) == [False]
    assert not client.follows


def test_control_messages_of_its_own_are_handed_on_in_order(client: Handshake) -> None:
    for other in (replace(CLOCK_REQUEST, stream="other"), replace(KEYFRAME_REQUEST, name="other")):
        assert hear(client, wire.control_message(other)) == []
    said = hear(client, REQUEST + wire.control_message(KEYFRAME_REQUEST) + follow(False) + REQUEST)
    assert said == [CLOCK_REQUEST, KEYFRAME_REQUEST, False, CLOCK_REQUEST]


@pytest.mark.parametrize(
    ("header", "body"), [(MAX_HEADER_BYTES + 1, 0), (2, MAX_CONTROL_BYTES + 1), (2**32 - 1, 2**32 - 1)]
)
def test_messages_of_a_client_are_short(peer: Handshake, header: int, body: int) -> None:
    announced = b"FL\x01\x01" + header.to_bytes(4, "big") + body.to_bytes(4, "big")
    assert "size is " in refusal(peer, announced)


# How long it may take ------------------------------------------------------------------------------------


def test_a_slow_hello_does_not_extend_the_time(peer: Handshake) -> None:
    for n in range(len(HELLO) - 1):
        assert hear(peer, HELLO[n : n + 1], CAME + n * SECOND) == []
    assert peer.overdue(CAME + 5 * SECOND) is None
    assert peer.overdue(CAME + 5 * SECOND + 1) == NO_HELLO


def test_a_slow_message_does_not_extend_the_time(client: Handshake) -> None:
    assert client.overdue(CAME + 1_000_000 * SECOND) is None, "it may be silent"
    begun = CAME + 100 * SECOND
    for n in range(6):
        hear(client, REQUEST[n : n + 1], begun + n * SECOND)
    assert client.overdue(begun + 5 * SECOND) is None
    assert client.overdue(begun + 5 * SECOND + 1) == NOT_FINISHED


def test_each_message_has_its_own_time(client: Handshake) -> None:
    """Whoever says something all the time may always be in the middle of a message."""
    hear(client, REQUEST[:5])
    for n in range(1, 10):
        now_ns = CAME + n * 4 * SECOND
        assert client.overdue(now_ns) is None
        assert hear(client, REQUEST[5:] + REQUEST[:5], now_ns) == [CLOCK_REQUEST]
    assert client.overdue(now_ns + MESSAGE_TIMEOUT_NS) is None
    assert client.overdue(now_ns + MESSAGE_TIMEOUT_NS + 1) == NOT_FINISHED
    again = follow(True)  # nothing new, and a message too
    assert hear(client, REQUEST[5:] + again + REQUEST[:5], now_ns + 4 * SECOND) == [CLOCK_REQUEST]
    assert client.overdue(now_ns + 8 * SECOND) is None


def test_what_comes_behind_the_hello_has_its_own_time(peer: Handshake) -> None:
    hear(peer, HELLO + REQUEST[:3], CAME + 4 * SECOND)
    assert peer.overdue(CAME + 9 * SECOND) is None
    assert peer.overdue(CAME + 9 * SECOND + 1) == NOT_FINISHED


def test_so_many_messages_are_read_at_once_and_a_second_and_no_more(client: Handshake) -> None:
    hear(client, REQUEST * (MESSAGES_AT_ONCE - 1))
    for second in range(1, 10):
        hear(client, REQUEST * MESSAGES_PER_S, CAME + second * SECOND)
    with pytest.raises(WireFormatError, match=r"messages is '2 more': allowed is up to 20 a second"):
        hear(client, REQUEST * 2, CAME + 9 * SECOND)
    silent = Handshake(STREAM, CAME)
    hear(silent, HELLO)
    with pytest.raises(WireFormatError, match="messages"):  # silence earns no more
        hear(silent, REQUEST * (MESSAGES_AT_ONCE + 1), CAME + 1000 * SECOND)
