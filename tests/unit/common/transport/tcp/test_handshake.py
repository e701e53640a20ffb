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


def test_a_client_without_a_token_learns_why(asked: Handshake) -> None:
    why = refusal(asked, HELLO)
    assert why.startswith("token is 'missing': allowed is the one of this producer, in FANLIGHT_TOKEN")
    assert asked.name is None


def test_a_client_with_another_token_learns_that_and_no_more(
    asked: Handshake, challenge: Challenge
) -> None:
    hear(asked, wire.hello_message(KNOWING))
    why = refusal(asked, answer(challenge, "another token...."))
    assert why.startswith("token is 'another one': allowed is the one of this producer")
    assert TOKEN not in why
    assert asked.name is None


@pytest.mark.parametrize("data", [REQUEST, follow(True), wire.hello_message(KNOWING)])
def test_nothing_but_an_answer_follows_a_challenge(asked: Handshake, data: bytes) -> None:
    hear(asked, wire.hello_message(KNOWING))
    assert refusal(asked, data).endswith("allowed is answer, to the challenge")
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


# What it says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [True, False])
def test_a_hello_makes_it_known(peer: Handshake, wanted: bool) -> None:
    hello = Hello(STREAM, NAME, wanted)
    assert hear(peer, wire.hello_message(hello)) == [hello]
    assert (peer.name, peer.follows) == (NAME, wanted)


def test_another_stream_is_not_to_be_had_here(peer: Handshake) -> None:
    why = refusal(peer, wire.hello_message(Hello("listener", NAME, True)))
    assert why == "stream is 'listener': allowed is 'cam', which is published here"
    assert peer.name is None


@pytest.mark.parametrize("data", [REQUEST, follow(True), WELCOME])
def test_a_hello_comes_first(peer: Handshake, data: bytes) -> None:
    assert refusal(peer, data).endswith("allowed is hello, first of all")


@pytest.mark.parametrize("data", [HELLO, WELCOME, wire.message(MessageKind.REFUSAL, {"reason": "no"})])
def test_what_is_not_for_clients_to_say_is_refused(client: Handshake, data: bytes) -> None:
    assert refusal(client, data).endswith("allowed is control or follow, from a client")


def test_following_is_reported_when_it_changes(client: Handshake) -> None:
    said = hear(client, follow(True) + follow(False) + follow(False) + follow(True))
    assert said == [False, True]
    assert client.follows
    assert hear(client, follow(False)) == [False]
    assert not client.follows


def test_control_messages_are_handed_on_in_order(client: Handshake) -> None:
    said = hear(client, REQUEST + wire.control_message(KEYFRAME_REQUEST) + follow(False) + REQUEST)
    assert said == [CLOCK_REQUEST, KEYFRAME_REQUEST, False, CLOCK_REQUEST]


def test_control_messages_of_another_stream_are_not(client: Handshake) -> None:
    other = wire.control_message(type(CLOCK_REQUEST)(stream="listener", name=NAME, asked_ns=1))
    assert hear(client, other + REQUEST) == [CLOCK_REQUEST]


def test_control_messages_under_another_name_are_not(client: Handshake) -> None:
    assert hear(client, wire.control_message(replace(KEYFRAME_REQUEST, name="other"))) == []


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


def test_a_client_that_is_silent_may_stay(client: Handshake) -> None:
    assert client.overdue(CAME + 1_000_000 * SECOND) is None


def test_a_client_that_does_not_finish_a_message_has_to_go(client: Handshake) -> None:
    begun = CAME + 100 * SECOND
    hear(client, REQUEST[:1], begun)
    assert client.overdue(begun + MESSAGE_TIMEOUT_NS) is None
    assert client.overdue(begun + MESSAGE_TIMEOUT_NS + 1) == NOT_FINISHED


def test_a_slow_message_does_not_extend_the_time(client: Handshake) -> None:
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
    assert client.overdue(now_ns + MESSAGE_TIMEOUT_NS + 1) == NOT_FINISHED


def test_messages_that_mean_nothing_new_count_too(client: Handshake) -> None:
    again = follow(True)
    hear(client, again[:5])
    assert hear(client, again[5:] + again[:5], CAME + 4 * SECOND) == []
    assert client.overdue(CAME + 8 * SECOND) is None


def test_what_comes_behind_the_hello_has_its_own_time(peer: Handshake) -> None:
    hear(peer, HELLO + REQUEST[:3], CAME + 4 * SECOND)
    assert peer.overdue(CAME + 9 * SECOND) is None
    assert peer.overdue(CAME + 9 * SECOND + 1) == NOT_FINISHED


def test_so_much_is_heard_at_once_and_a_second_and_no_more(client: Handshake) -> None:
    hear(client, REQUEST * (MESSAGES_AT_ONCE - 1))
    for second in range(1, 10):
        hear(client, REQUEST * MESSAGES_PER_S, CAME + second * SECOND)
    with pytest.raises(WireFormatError, match=r"messages is '2 more': allowed is up to 20 a second"):
        hear(client, REQUEST * 2, CAME + 9 * SECOND)


def test_a_second_of_silence_earns_no_more_than_is_heard_at_once(client: Handshake) -> None:
    with pytest.raises(WireFormatError, match="messages"):
        hear(client, REQUEST * (MESSAGES_AT_ONCE + 1), CAME + 1000 * SECOND)
