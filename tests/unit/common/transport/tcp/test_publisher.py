"""Both designs without a broker, with clients of a few lines."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Final

import pytest

from fanlight.common.clock import wall_ns
from fanlight.common.model.address import Design, TcpAddress
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.control import ClockReply, ControlMessage, KeyframeRequest, Reason
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.transport import PublisherEvents
from fanlight.common.transport.base import Publisher
from fanlight.common.transport.tcp import publisher, ring, sockets, wire
from fanlight.common.transport.tcp.multiplex import MultiplexPublisher
from fanlight.common.transport.tcp.ring import PayloadRing
from fanlight.common.transport.tcp.threads import ThreadsPublisher
from fanlight.common.transport.tcp.wire import Hello, MessageKind
from scripts.lib.ports import LOOPBACK, free_ports
from tests.support.timing import scaled, wait_until
from tests.unit.common.transport.tcp.build import (
    ANNOUNCEMENT,
    CLOCK_REQUEST,
    HEADER,
    HELLO,
    NAME,
    STREAM,
    Peer,
    follow,
)

DESIGNS: Final = {Design.THREADS: ThreadsPublisher, Design.MULTIPLEX: MultiplexPublisher}
ASKING: Final = Hello("streams", NAME, follow=False, directory=True)
# Far more than the system takes of a connection that nobody reads.
LARGE: Final = 8 << 20


class Owner(PublisherEvents):
    """Takes its events down."""

    def __init__(self) -> None:
        self.listening = threading.Event()
        self.controls: queue.SimpleQueue[ControlMessage] = queue.SimpleQueue()
        self.keyframes_needed = self.refused = self.unsent = 0
        self.announced: Announcement | None = None

    def announcement(self) -> Announcement | None:
        return self.announced

    def on_control(self, message: ControlMessage) -> None:
        self.controls.put(message)

    def on_keyframe_needed(self) -> None:
        self.keyframes_needed += 1

    def on_stale(self) -> None:
        raise AssertionError

    def on_unsent(self, frames: int) -> None:
        self.unsent += frames

    def on_refused(self) -> None:
        self.refused += 1

    def on_connected(self) -> None:
        self.listening.set()

    def on_disconnected(self) -> None:
        raise AssertionError

    def on_blocked(self, blocked: bool) -> None:
        raise AssertionError


class Rig:
    """A publisher that listens, its owner, and clients."""

    def __init__(self, design: Design) -> None:
        (port,) = free_ports(1)
        address = TcpAddress(design, LOOPBACK, port)
        self.owner = Owner()
        self.publisher: Publisher = DESIGNS[design](address, stream=STREAM, max_age_s=60, events=self.owner)
        self.publisher.start()
        assert self.owner.listening.wait(scaled(15))
        self._port = port
        self._seq = count()
        self._open = ExitStack()

    def publish(self, *, key: bool = True, size: int = 10) -> int:
        """Once it may; the number of the frame."""
        assert self.publisher.wait_ready(scaled(5))
        header = HEADER._replace(seq=next(self._seq), key=key, capture_ns=wall_ns())
        self.publisher.publish(EncodedFrame(header, bytes([header.seq]) * size))
        return header.seq

    def client(self, said: bytes = HELLO) -> Peer:
        """One that was greeted."""
        sock = socket.create_connection((LOOPBACK, self._port), scaled(5))
        peer = Peer(self._open.enter_context(sock))
        peer.send(said)
        welcome = peer.message()
        assert welcome is not None
        assert welcome.kind is MessageKind.WELCOME
        return peer

    def close(self) -> None:
        self._open.close()
        self.publisher.stop(scaled(5))


@pytest.fixture(params=DESIGNS)
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(sockets, "CLIENT_TIMEOUT_MS", 120_000)  # a slow client waits for a slow machine
    monkeypatch.setattr(publisher, "PayloadRing", partial(PayloadRing, max_bytes=2 * LARGE))
    one = Rig(request.param)
    yield one
    one.close()


def announced_to(peer: Peer) -> Announcement:
    """The next message, which is an announcement."""
    message = peer.message()
    assert message is not None
    assert message.kind is MessageKind.ANNOUNCEMENT
    return Announcement.from_json(message.body)


def seq_of(peer: Peer) -> int:
    """Of the next frame, which is whole."""
    message = peer.message()
    assert message is not None
    frame = wire.read_frame(message)
    assert set(frame.body) == {frame.header.seq}
    return frame.header.seq


def test_frames_are_wanted_while_a_client_follows(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "_HISTORY_NS", 60 * 10**9)  # however slow the machine is
    assert not rig.publisher.wait_ready(0)
    peer = rig.client()
    assert [rig.publish(), rig.publish(key=False)] == [seq_of(peer), seq_of(peer)]
    assert rig.owner.keyframes_needed == 1
    peer.send(follow(False))
    wait_until(lambda: not rig.publisher.watched, 20)
    peer.send(follow(True))
    assert seq_of(peer) == 0, "what came since the last keyframe is sent at once"
    assert rig.publisher.watched


def test_who_asks_for_the_directory_is_told_of_the_stream_and_its_changes(rig: Rig) -> None:
    rig.owner.announced = ANNOUNCEMENT
    watching, asking = rig.client(), rig.client(wire.hello_message(ASKING))
    assert announced_to(asking) == ANNOUNCEMENT
    rig.owner.announced = replace(ANNOUNCEMENT, watched=True)
    watching.send(follow(False))
    wait_until(lambda: not rig.publisher.watched, 20, "the directory watches no stream")
    told = [announced_to(asking) for _ in range(3)]
    assert told[-2:] == [rig.owner.announced] * 2, "of the change, and again"
    watching.send(follow(True))
    assert rig.publish() == seq_of(watching), "who watches is told nothing else"


def test_a_publisher_without_announcement_tells_nothing(rig: Rig) -> None:
    asking, watching = rig.client(wire.hello_message(ASKING)), rig.client()
    assert rig.publish() == seq_of(watching)
    rig.publisher.stop(scaled(5))
    assert asking.message() is None


def test_frames_reach_a_slow_client_whole_and_what_it_lost_is_counted(rig: Rig) -> None:
    slow, quick = rig.client(), rig.client()
    for _ in range(6):
        assert rig.publish(size=LARGE) == seq_of(quick)
    seen = [seq_of(slow)]
    while seen[-1] != 5:
        seen.append(seq_of(slow))
    assert seen == sorted(set(seen))
    assert rig.owner.unsent == 6 - len(seen) > 0


def test_a_keyframe_is_requested_for_a_client_that_cannot_go_on(rig: Rig) -> None:
    slow, quick = rig.client(), rig.client()
    rig.publish(size=LARGE)
    for _ in range(150):  # more than the ring holds
        rig.publish(key=False, size=100)
        while seq_of(quick) == 0:
            pass
    assert seq_of(slow) == 0
    asked = rig.owner.controls.get(timeout=scaled(15))
    assert asked == KeyframeRequest(stream=STREAM, name=NAME, reason=Reason.GAP)
    assert rig.publish() == seq_of(slow)


def test_it_answers_clock_requests(rig: Rig) -> None:
    peer = rig.client()
    peer.send(wire.control_message(CLOCK_REQUEST))
    message = peer.message()
    assert message is not None
    reply = wire.read_control(message)
    assert isinstance(reply, ClockReply)
    assert CLOCK_REQUEST.asked_ns == reply.asked_ns
    assert reply.received_ns <= reply.replied_ns


def test_stopping_sends_what_is_there_and_shuts_down(rig: Rig) -> None:
    peer = rig.client()
    rig.publish(size=LARGE)
    stopping = threading.Thread(target=rig.publisher.stop, args=(scaled(5),))
    stopping.start()
    assert seq_of(peer) == 0
    assert peer.ended
    peer.sock.close()
    stopping.join(scaled(15))
    assert not rig.publisher.wait_ready(scaled(5)), "at once"


def test_a_client_for_which_there_is_no_thread_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(Design.THREADS)
    with suppress(AssertionError, OSError), monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", _no_more_threads)
        rig.client()
    wait_until(lambda: rig.owner.refused == 1, 20)
    rig.client()
    rig.close()


def _no_more_threads(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
