from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

import pytest

from fanlight.common.model.address import Design, TcpAddress
from fanlight.common.model.control import ClockReply
from fanlight.common.model.errors import FanlightError, TokenRefused, WireFormatError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.transport import SubscriberEvents
from fanlight.common.transport.tcp import subscriber as subscribers
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.subscriber import TcpSubscriber
from fanlight.common.transport.tcp.wire import Hello, MessageKind
from scripts.lib.ports import LOOPBACK, free_ports
from tests.support.commands import at_most_one_a_second
from tests.support.timing import scaled, wait_until
from tests.unit.common.transport.tcp.build import (
    CLOCK_REQUEST,
    KEYFRAME_REQUEST,
    NAME,
    STREAM,
    WELCOME,
    Peer,
    Recorder,
    follow,
    frame_of,
    read_one,
)

TITLE: Final = f"fanlight consumer {STREAM} {NAME}"
FRAME: Final = frame_of(Codec.JPEG)
REFUSAL: Final = wire.refusal_message("token is missing", "token")
REPLY: Final = ClockReply(stream=STREAM, name=NAME, asked_ns=5, received_ns=6, replied_ns=7)


class Owner(Recorder, SubscriberEvents):
    def __init__(self) -> None:
        super().__init__()
        self.when_following: Callable[[], None] = lambda: None

    def on_frame(self, frame: EncodedFrame, received_ns: int) -> None:
        self.note("frame", frame)

    def on_malformed(self, error: WireFormatError) -> None:
        self.note("malformed", error)

    def on_connected(self) -> None:
        self.note("connected")

    def on_following(self) -> None:
        self.note("following")
        self.when_following()

    def on_disconnected(self) -> None:
        self.note("disconnected")

    def on_blocked(self, blocked: bool) -> None:
        self.note("blocked", blocked)

    def on_clock(self, reply: ClockReply) -> None:
        self.note("clock", reply)

    def on_tick(self) -> None:
        """It would come in between."""

    def on_failed(self, error: FanlightError) -> None:
        self.note("failed", error)


class Producer:
    """Listens at a port of its own; a test says what it answers."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._open = ExitStack()
        self._listening: socket.socket | None = None

    def listen(self) -> None:
        self._listening = self._open.enter_context(socket.create_server((LOOPBACK, self.port)))
        self._listening.settimeout(scaled(5))

    def accept(self) -> Peer:
        """Who connects next."""
        assert self._listening is not None
        sock, _ = self._listening.accept()
        return Peer(self._open.enter_context(sock))

    def welcome(self, *, following: bool = True) -> Peer:
        """Likewise, once it has said the hello that is expected, and was greeted."""
        peer = self.accept()
        hello = peer.message()
        assert hello is not None
        assert wire.read_hello(hello) == Hello(STREAM, NAME, follow=following, bye=True)
        peer.send(WELCOME)
        return peer

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def producer() -> Iterator[Producer]:
    one = Producer()
    one.listen()
    yield one
    one.close()


Make = Callable[..., TcpSubscriber]


@pytest.fixture
def make(owner: Owner, producer: Producer) -> Iterator[Make]:
    """Makes a subscriber of that producer; it is stopped, and ends at once, after the test."""
    made: list[TcpSubscriber] = []

    def subscriber(*, events: Owner = owner, following: bool = True) -> TcpSubscriber:
        address = TcpAddress(Design.THREADS, LOOPBACK, producer.port)
        made.append(TcpSubscriber(address, stream=STREAM, name=NAME, events=events, follow=following))
        made[-1].start()
        return made[-1]

    yield subscriber
    for one in made:
        one.stop(scaled(5))
        one.stop(0)
    assert TITLE not in [thread.name for thread in threading.enumerate()]


def lost(peer: Peer) -> None:
    peer.sock.shutdown(socket.SHUT_RDWR)


# Receiving -----------------------------------------------------------------------------------------------


def test_frames_are_given_to_the_owner_in_the_subscribers_thread(
    make: Make, owner: Owner, producer: Producer
) -> None:
    make()
    peer = producer.welcome()
    owner.expect("connected")
    peer.send(wire.frame_message(FRAME) * 2)
    assert [owner.expect("frame"), owner.expect("frame")] == [FRAME, FRAME]
    assert owner.threads == {TITLE}


def test_a_foreign_message_is_reported_and_the_connection_kept(
    make: Make, owner: Owner, producer: Producer
) -> None:
    make()
    peer = producer.welcome()
    owner.expect("connected")
    other = EncodedFrame(FRAME.header._replace(stream="other"), FRAME.body)
    peer.send(wire.frame_message(other) + WELCOME + wire.message(MessageKind.FRAME, {}))
    texts = [str(owner.expect("malformed")) for _ in range(3)]
    assert texts[0].startswith("stream is 'other'")
    assert texts[1] == "kind is 'welcome': allowed is frame or control"
    peer.send(wire.frame_message(FRAME))
    owner.expect("frame")


def test_what_cannot_be_read_ends_the_connection(
    make: Make, owner: Owner, producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    make()
    peer = producer.welcome()
    owner.expect("connected")
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    owner.expect("malformed")
    owner.expect("disconnected")
    assert peer.ended
    producer.welcome()
    owner.expect("connected")
    (line,) = [record.getMessage() for record in caplog.records]
    assert "what answers there is not a producer of Fanlight: magic is b'HT'" in line
    assert "attempt 2 in 0." in line


def test_an_error_of_the_owner_ends_it_and_is_reported(make: Make, producer: Producer) -> None:
    class Clumsy(Owner):
        def on_frame(self, frame: EncodedFrame, received_ns: int) -> None:
            raise OSError("disk full")

    clumsy = Clumsy()
    make(events=clumsy)
    peer = producer.welcome()
    clumsy.expect("connected")
    peer.send(wire.frame_message(FRAME))
    clumsy.expect("disconnected")
    assert "internal error: OSError('disk full')" in str(clumsy.expect("failed"))
    assert peer.ended


# Following -----------------------------------------------------------------------------------------------


def test_without_the_stream_the_connection_stands(make: Make, owner: Owner, producer: Producer) -> None:
    subscriber = make(following=False)
    peer = producer.welcome(following=False)
    owner.expect("connected")
    owner.when_following = lambda: subscriber.send(KEYFRAME_REQUEST)
    subscriber.follow_stream(True)
    owner.expect("following")
    assert peer.message() == read_one(follow(True))
    assert peer.message() == read_one(wire.control_message(KEYFRAME_REQUEST)), "asked for after that"
    subscriber.follow_stream(True)
    subscriber.follow_stream(False)
    assert peer.message() == read_one(follow(False)), "what is known is not said again"
    lost(peer)
    owner.expect("disconnected")
    producer.welcome(following=False)


# Sending -------------------------------------------------------------------------------------------------


def test_messages_go_both_ways(make: Make, owner: Owner, producer: Producer) -> None:
    subscriber = make()
    peer = producer.welcome()
    owner.expect("connected")
    subscriber.send(CLOCK_REQUEST)
    assert peer.message() == read_one(wire.control_message(CLOCK_REQUEST))
    peer.send(wire.control_message(replace(REPLY, stream="other")) + wire.control_message(REPLY))
    assert owner.expect("clock") == REPLY


def test_messages_without_a_connection_are_dropped(make: Make, owner: Owner, producer: Producer) -> None:
    subscriber = make()
    peer = producer.accept()
    for _ in range(1000):
        subscriber.send(CLOCK_REQUEST)
    peer.send(WELCOME)
    owner.expect("connected")
    subscriber.send(KEYFRAME_REQUEST)
    peer.message()
    assert peer.message() == read_one(wire.control_message(KEYFRAME_REQUEST))


def test_reports_are_due_while_the_subscription_stands(
    make: Make, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ticking(Owner):
        def on_tick(self) -> None:
            self.note("tick")

    monkeypatch.setattr(subscribers, "report_every_s", lambda _follow: 0.02)
    ticking = Ticking()
    make(events=ticking)
    peer = producer.welcome()
    ticking.expect("connected")
    for _ in range(3):
        ticking.expect("tick")
    lost(peer)
    while ticking.events.get(timeout=scaled(15))[0] != "disconnected":
        pass
    producer.accept()
    assert ticking.quiet


# Connecting ----------------------------------------------------------------------------------------------


def test_it_waits_for_its_producer_and_comes_back_to_it(
    make: Make, owner: Owner, producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    producer.close()
    make()
    assert "nothing answers (connection refused)" in said(caplog, "attempt 2")
    producer.listen()
    for _ in range(3):
        peer = producer.welcome()
        owner.expect("connected")
        lost(peer)
        owner.expect("disconnected")
    told = [one for one in caplog.records if one.name == subscribers.__name__]
    lost_s = [one.created for one in told if "; attempt " in one.getMessage()]
    assert at_most_one_a_second(lost_s), "not every loss, and a return after one that was told only"
    assert len(told) <= 2 * len(lost_s)


def said(caplog: pytest.LogCaptureFixture, what: str) -> str:
    """The line that says so, which may be still to come."""
    lines: list[str] = []

    def found() -> bool:
        lines[:] = [one.getMessage() for one in caplog.records if what in one.getMessage()]
        return bool(lines)

    wait_until(found, 20, f"{what!r} is said")
    return lines[0]


def test_a_refusal_of_the_token_is_final(make: Make, owner: Owner, producer: Producer) -> None:
    make()
    producer.accept().send(REFUSAL)
    failed = owner.expect("failed")
    assert isinstance(failed, TokenRefused)
    assert str(failed).startswith(f"tcp+threads://{LOOPBACK}:{producer.port}: the producer refused us")


def test_one_that_ever_stood_tries_again_after_it(make: Make, owner: Owner, producer: Producer) -> None:
    make()
    lost(producer.welcome())
    owner.expect("connected")
    owner.expect("disconnected")
    producer.accept().send(REFUSAL)
    producer.welcome()
    owner.expect("connected")


def test_one_that_was_never_started_can_be_stopped(owner: Owner) -> None:
    TcpSubscriber(TcpAddress(Design.THREADS, LOOPBACK, 1), stream=STREAM, name=NAME, events=owner).stop(1)
    assert owner.quiet
