from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from fanlight.common.clock import monotonic_ns
from fanlight.common.transport.tcp.feed import Feed
from fanlight.common.transport.tcp.ring import Payload, PayloadRing
from fanlight.common.transport.tcp.sender import Sender
from tests.support.ring_stress import hurried_switching
from tests.support.timing import scaled, wait_until

CAPACITY: Final = 4
NEVER_STALE: Final = 2**62
# More than the system takes of a connection that nobody reads.
LARGE: Final = 1 << 20
TITLE: Final = "sender x"


class Rig:
    """A sender, its ring, and the client's end of the connection."""

    def __init__(self, ring: PayloadRing | None = None) -> None:
        self.ours, self.peer = socket.socketpair()
        self.peer.settimeout(scaled(5))
        self.ring = ring or PayloadRing(CAPACITY)
        self.lost: list[int] = []
        self.needs: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.feed = Feed(
            self.ring,
            stale_ns=NEVER_STALE,
            on_lost=self.lost.append,
            on_needs_key=lambda: self.needs.put(threading.current_thread().name),
        )
        self.sender = Sender(self.ours, self.feed, "x")

    def follow(self, wanted: bool) -> None:
        self.feed.follow(wanted)
        self.sender.wake()

    def put(self, data: bytes, *, key: bool = False, frames: int = 1) -> None:
        self.ring.put(data, frames=frames, key=key, captured_ns=monotonic_ns())
        self.sender.wake()

    def send(self, message: Callable[[], bytes]) -> None:
        self.feed.send(message)
        self.sender.wake()

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.peer.recv(count - len(data))
            assert more, f"it ended after {data!r}"
            data += more
        return data

    def silent(self) -> bool:
        """Nothing more comes: a saying, which comes after all that is there, is the next."""
        self.send(lambda: b"?")
        return self.read(1) == b"?"

    @property
    def running(self) -> bool:
        return any(thread.name == TITLE for thread in threading.enumerate())

    def end(self) -> None:
        self.sender.finish()
        self.peer.close()
        with self.ours:
            self.sender.join(scaled(15))
        assert not self.running


@pytest.fixture
def rig() -> Iterator[Rig]:
    one = Rig()
    one.sender.start()
    yield one
    one.end()


def test_a_message_is_made_in_the_senders_thread_when_it_is_due(rig: Rig) -> None:
    """A clock's reply says when it left."""
    made: queue.SimpleQueue[str] = queue.SimpleQueue()
    before = bytes(LARGE)

    def reply() -> bytes:
        made.put(threading.current_thread().name)
        return b"reply"

    rig.send(lambda: before)
    rig.send(reply)
    assert rig.read(1) == b"\0"
    assert made.empty(), "the large one is still on its way"
    rig.read(LARGE - 1)
    assert rig.read(5) == b"reply"
    assert made.get(timeout=scaled(15)) == TITLE


def test_what_is_written_just_before_it_is_to_finish_is_sent() -> None:
    """The sender has just found nothing when the last payload is written and `finish` is called."""

    class LastMoment(PayloadRing):
        found_nothing = False

        def at(self, index: int) -> Payload | None:
            found = super().at(index)
            if found is None and not self.found_nothing:
                self.found_nothing = True
                late.put(b"last", key=True)
                late.sender.finish()
            return found

    late = Rig(LastMoment(CAPACITY))
    late.follow(True)
    late.sender.start()
    try:
        assert late.peer.recv(10) == b"last"
    finally:
        late.end()


@pytest.mark.parametrize("sending", [False, True])
def test_a_client_that_is_gone_ends_it(rig: Rig, sending: bool) -> None:
    rig.follow(True)
    if sending:
        rig.put(bytes(LARGE), key=True)
        rig.read(1)
    rig.peer.close()
    rig.put(b"nobody reads this", key=True)
    wait_until(lambda: not rig.running, 20)
    rig.put(b"nor this", key=True)  # whoever writes is not troubled


def test_a_shutdown_of_the_socket_ends_one_that_is_stuck(rig: Rig) -> None:
    """As the listener does when it sends a client away."""
    rig.follow(True)
    rig.put(bytes(LARGE), key=True)
    assert rig.read(1) == b"\0"
    rig.ours.shutdown(socket.SHUT_RDWR)
    rig.sender.finish()
    rig.sender.join(scaled(15))
    assert not rig.running


def test_waking_neither_waits_nor_fails(rig: Rig) -> None:
    """From two threads at once; nothing that was written is overlooked."""
    rig.follow(True)
    rig.put(b"k", key=True)
    assert rig.read(1) == b"k"
    done = threading.Event()

    def wake() -> None:
        while not done.is_set():
            rig.sender.wake()

    waker = threading.Thread(target=wake)
    with hurried_switching():
        waker.start()
        try:
            for number in range(200):
                rig.put(bytes([number]))
                assert rig.read(1) == bytes([number])
        finally:
            done.set()
            waker.join(scaled(15))
