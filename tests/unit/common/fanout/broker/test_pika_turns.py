"""`Turns`: pika's loop, one turn at a time; and acknowledgements past pika's encoder."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pika import SelectConnection, spec
from pika.adapters.select_connection import IOLoop, PollEvents, SelectPoller
from pika.channel import Channel
from pika.frame import Method

from common.fanout.broker.pika_internals import Turns, acknowledge
from tests.support.timing import scaled

LONG_S = scaled(30)


@pytest.fixture
def loop() -> Iterator[IOLoop]:
    made = IOLoop()
    made.activate_poller()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def says(log: list[Any], what: Any, *, more: int = 0) -> Callable[[], bool]:
    """A reader that takes down that it was called, and says so many times that there is more."""
    left = [more]

    def read() -> bool:
        log.append(what)
        left[0] -= 1
        return left[0] >= 0

    return read


def reading(sock: socket.socket) -> SelectConnection:
    """As much of a connection as `read_by` looks at."""
    return cast("SelectConnection", SimpleNamespace(_transport=SimpleNamespace(_sock=sock)))


class Wired:
    """A loop that watches a socket, turns that may go straight to it, and what was called.

    Attributes:
        seen: `by pika` and the events, or `straight`.
    """

    def __init__(self, loop: IOLoop, ours: socket.socket, theirs: socket.socket) -> None:
        self.loop, self.ours = loop, ours
        self.seen: list[Any] = []
        self.turns = Turns(loop)
        theirs.send(b"x")

    def watch(self, events: int = PollEvents.READ, *, more: int = 0) -> Turns:
        """Wait for these events; the straight reader says so many times that there is more."""
        self.loop.add_handler(
            self.ours.fileno(), lambda _fd, event: self.seen.append(("by pika", event)), events
        )
        self.turns.read_by(reading(self.ours), says(self.seen, "straight", more=more))
        return self.turns


@pytest.fixture
def wired(loop: IOLoop, pair: tuple[socket.socket, socket.socket]) -> Iterator[Wired]:
    made = Wired(loop, *pair)
    yield made
    loop.remove_handler(made.ours.fileno())


def test_a_turn_ends_when_its_time_is_over(loop: IOLoop) -> None:
    began_s = time.monotonic()
    loop.call_later(LONG_S, lambda: None)
    Turns(loop).run(0.01)
    assert 0.009 <= time.monotonic() - began_s < LONG_S / 2


def test_a_timer_that_is_due_before_that_is_run(loop: IOLoop) -> None:
    rung: list[str] = []
    loop.call_later(0.01, lambda: rung.append("timer"))
    turns = Turns(loop)
    deadline_s = time.monotonic() + LONG_S
    while not rung and time.monotonic() < deadline_s:
        turns.run(LONG_S)
    assert rung == ["timer"]


def test_what_another_thread_wants_done_is_done_at_once(loop: IOLoop) -> None:
    done: list[str] = []
    loop.add_callback_threadsafe(lambda: done.append("callback"))
    Turns(loop).run(LONG_S)
    assert done == ["callback"]


def test_the_socket_that_matters_goes_straight_to_its_reader(wired: Wired) -> None:
    turns = wired.watch()
    turns.run(LONG_S)
    assert wired.seen == ["straight"]
    turns.forget()
    turns.run(LONG_S)
    assert wired.seen == ["straight", ("by pika", PollEvents.READ)]


def test_a_reader_that_says_there_is_more_is_called_until_it_does_not(wired: Wired) -> None:
    wired.watch(more=3).run(LONG_S)
    assert wired.seen == ["straight"] * 4


def test_a_socket_that_can_also_be_written_is_pikas_business(wired: Wired) -> None:
    wired.watch(PollEvents.READ | PollEvents.WRITE).run(LONG_S)
    assert wired.seen == [("by pika", PollEvents.READ | PollEvents.WRITE)]


def test_two_sockets_at_once_are_both_served(wired: Wired) -> None:
    turns = wired.watch()
    # Its pipe has something to read as well.
    wired.loop.add_callback_threadsafe(lambda: wired.seen.append("callback"))
    turns.run(LONG_S)
    assert wired.seen == [("by pika", PollEvents.READ), "callback"]


def test_where_there_is_only_select_a_turn_is_limited_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def poller(get_wait_seconds: Any, process_timeouts: Any) -> SelectPoller:
        return SelectPoller(get_wait_seconds, process_timeouts)

    monkeypatch.setattr(IOLoop, "_get_poller", staticmethod(poller))
    loop = IOLoop()
    done: list[str] = []
    loop.add_callback_threadsafe(lambda: done.append("callback"))
    turns = Turns(loop)
    began_s = time.monotonic()
    turns.run(0.01)
    turns.run(0.01)
    assert done == ["callback"]
    assert time.monotonic() - began_s < LONG_S / 2
    loop.close()


def test_an_acknowledgement_is_what_pika_would_send() -> None:
    sent: list[bytes] = []
    connection = SimpleNamespace(_output_marshaled_frames=sent.extend)
    channel = SimpleNamespace(channel_number=3, connection=connection)
    acknowledge(cast("Channel", channel), 2**40 + 7)
    assert sent == [Method(3, spec.Basic.Ack(2**40 + 7, multiple=True)).marshal()]
