"""What the users `producer` and `viewer` of broker/definitions.json may do, and may not."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import pytest
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel

from fanlight.common.model.frame import Codec
from fanlight.common.transport.amqp.topology import frame_properties
from fanlight.consumer import Consumer
from tests.support.headers import header
from tests.support.marked_stream import Marking, Watcher
from tests.support.roles import as_user, channel_of, refusal
from tests.support.timing import wait_until

REFUSED, MISSING, LOCKED, WRONG = 403, 404, 405, 406
CONTROL: Final = "fanlight.control"
SUFFIX: Final = "abcdef"


class Scene(NamedTuple):
    """A stream of the user `producer`, watched as `viewer`. Of the queues, the names are known."""

    url: str
    stream: str
    marking: Marking
    watcher: Watcher

    @property
    def exchange(self) -> str:
        return f"fanlight.{self.stream}"

    @property
    def queue(self) -> str:
        return f"fanlight.{self.stream}.w.{SUFFIX}"

    @property
    def control_queue(self) -> str:
        return f"fanlight.control.{self.stream}.{SUFFIX}"

    @property
    def own(self) -> str:
        """The name of a queue that a viewer may declare."""
        return f"fanlight.{self.stream}.spy.{secrets.token_hex(3)}"

    def goes_on(self) -> None:
        """Three more frames, over the same connection, and nothing else."""
        count = len(self.watcher.seen)
        wait_until(lambda: len(self.watcher.seen) >= count + 3, 10, "the stream goes on")
        stats = self.watcher.consumer.stats()
        assert (stats.reconnects, stats.malformed) == (0, 0)
        assert self.marking.producer.failure is None

    def frame(self, user: str) -> BasicProperties:
        made = header(1, Codec.RAW, (2, 1), stream=self.stream, capture_ns=time.time_ns())
        return frame_properties(made, user)


@pytest.fixture(scope="module")
def scene(broker_url: str) -> Iterator[Scene]:
    stream = f"test-{secrets.token_hex(4)}"
    marking = Marking(as_user(broker_url, "producer"), stream)
    watcher = Watcher(
        Consumer(stream, "w", url=as_user(broker_url, "viewer"), trust=["producer"], via="broker")
    )
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(secrets, "token_hex", lambda _size=None: SUFFIX)
            stack.enter_context(marking)
            stack.enter_context(watcher)
            wait_until(lambda: watcher.last, 15, "the stream is on")
            wait_until(lambda: "w" in marking.producer.stats().consumers, 10, "its reports are heard")
        yield Scene(broker_url, stream, marking, watcher)
    assert not watcher.faults()


def watched(channel: BlockingChannel, scene: Scene) -> str:
    """A queue of one's own on the stream; its name."""
    queue = scene.own
    channel.queue_declare(queue, exclusive=True)
    channel.queue_bind(queue, scene.exchange)
    return queue


def by_dead_letter(channel: BlockingChannel, scene: Scene, exchange: str) -> None:
    channel.queue_declare(scene.own, exclusive=True, arguments={"x-dead-letter-exchange": exchange})


Action = Callable[[BlockingChannel, Scene], object]
VIEWER: Final[dict[str, tuple[int, Action]]] = {
    "publish a frame": (
        REFUSED,
        lambda c, s: c.basic_publish(s.exchange, "", b"6bytes", s.frame("viewer")),
    ),
    "publish a frame into another's queue": (
        REFUSED,
        lambda c, s: c.basic_publish("", s.queue, b"6bytes", s.frame("viewer")),
    ),
    "publish by a server's exchange": (
        REFUSED,
        lambda c, s: c.basic_publish("amq.fanout", "", b"x", s.frame("viewer")),
    ),
    "pose as the producer": (
        WRONG,
        lambda c, s: c.basic_publish(CONTROL, s.stream, b"{}", BasicProperties(user_id="producer")),
    ),
    "delete the exchange": (REFUSED, lambda c, s: c.exchange_delete(s.exchange)),
    "delete the control exchange": (REFUSED, lambda c, _: c.exchange_delete(CONTROL)),
    "declare the exchange": (REFUSED, lambda c, s: c.exchange_declare(s.exchange, "fanout", durable=True)),
    "declare the exchange otherwise": (
        REFUSED,
        lambda c, s: c.exchange_declare(
            s.exchange, "topic", arguments={"alternate-exchange": "amq.fanout"}
        ),
    ),
    "declare another stream": (REFUSED, lambda c, _: c.exchange_declare("fanlight.mine", "fanout")),
    "declare the control exchange": (
        REFUSED,
        lambda c, _: c.exchange_declare(CONTROL, "direct", durable=True),
    ),
    "read another's queue": (LOCKED, lambda c, s: next(c.consume(s.queue))),
    "get from another's queue": (LOCKED, lambda c, s: c.basic_get(s.queue)),
    "purge another's queue": (LOCKED, lambda c, s: c.queue_purge(s.queue)),
    "delete another's queue": (LOCKED, lambda c, s: c.queue_delete(s.queue)),
    "bind another's queue": (LOCKED, lambda c, s: c.queue_bind(s.queue, s.exchange)),
    "unbind another's queue": (LOCKED, lambda c, s: c.queue_unbind(s.queue, s.exchange)),
    "read the control queue": (REFUSED, lambda c, s: next(c.consume(s.control_queue))),
    "purge the control queue": (REFUSED, lambda c, s: c.queue_purge(s.control_queue)),
    "delete the control queue": (REFUSED, lambda c, s: c.queue_delete(s.control_queue)),
    "bind the control queue": (REFUSED, lambda c, s: c.queue_bind(s.control_queue, s.exchange)),
    "declare a control queue": (
        REFUSED,
        lambda c, s: c.queue_declare(f"fanlight.control.{s.stream}.000000"),
    ),
    "hear what others ask": (REFUSED, lambda c, s: c.queue_bind(watched(c, s), CONTROL, s.stream)),
    "lead the stream elsewhere": (REFUSED, lambda c, s: c.exchange_bind("amq.fanout", s.exchange)),
    "lead something into the stream": (REFUSED, lambda c, s: c.exchange_bind(s.exchange, "amq.fanout")),
    "lead old frames into the stream": (REFUSED, lambda c, s: by_dead_letter(c, s, s.exchange)),
    "declare a queue of any name": (REFUSED, lambda c, _: c.queue_declare("mine")),
}
PRODUCER: Final[dict[str, tuple[int, Action]]] = {
    "read a viewer's queue": (REFUSED, lambda c, s: next(c.consume(s.queue))),
    "declare a viewer's queue": (REFUSED, lambda c, s: c.queue_declare(s.own, exclusive=True)),
    "bind a control queue to the stream": (
        REFUSED,
        lambda c, s: c.queue_bind(
            c.queue_declare(f"fanlight.control.{s.stream}.000000", exclusive=True).method.queue, s.exchange
        ),
    ),
    "bind a server-named queue": (REFUSED, lambda c, _: c.queue_declare("", exclusive=True)),
    "pose as a viewer": (
        WRONG,
        lambda c, s: c.basic_publish(s.exchange, "", b"x", BasicProperties(user_id="viewer")),
    ),
}
DENIALS: Final = [
    pytest.param(user, code, action, id=f"{user}: {what}")
    for user, table in (("viewer", VIEWER), ("producer", PRODUCER))
    for what, (code, action) in table.items()
]


@pytest.mark.parametrize(("user", "code", "action"), DENIALS)
def test_the_broker_refuses(scene: Scene, user: str, code: int, action: Action) -> None:
    assert refusal(as_user(scene.url, user), lambda channel: action(channel, scene)) == code
    scene.goes_on()


ALLOWED: Final[dict[str, Action]] = {
    "watch, by a queue of its own": watched,
    "watch, by a queue that the server names": lambda c, s: c.queue_bind(
        c.queue_declare("", exclusive=True).method.queue, s.exchange
    ),
    "look whether the exchange is there": lambda c, s: c.exchange_declare(
        s.exchange, "fanout", passive=True
    ),
    "ask for a keyframe": lambda c, s: c.basic_publish(CONTROL, s.stream, b"{}"),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_a_viewer_may(scene: Scene, what: str) -> None:
    assert refusal(as_user(scene.url, "viewer"), lambda channel: ALLOWED[what](channel, scene)) == 0
    scene.goes_on()


def test_every_queue_of_a_viewer_is_capped(scene: Scene) -> None:
    """It asks for no limit, is never read, and holds no more than the operator's policy allows."""
    exchange = f"{scene.exchange}-b"
    with channel_of(as_user(scene.url, "producer")) as sending:
        sending.exchange_declare(exchange, "fanout", durable=True)
        with channel_of(as_user(scene.url, "viewer")) as channel:
            queue = scene.own
            channel.queue_declare(queue, exclusive=True)
            channel.queue_bind(queue, exchange)
            sending.confirm_delivery()
            for _ in range(1050):
                sending.basic_publish(exchange, "", b"not a frame")
            assert channel.queue_declare(queue, passive=True).method.message_count == 1000
        sending.exchange_delete(exchange)
    scene.goes_on()


def lines_of(caplog: pytest.LogCaptureFixture, module: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == module]


def test_a_viewer_waits_for_the_producer_and_for_one_that_comes_back(
    broker_url: str, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    producer, viewer = as_user(broker_url, "producer"), as_user(broker_url, "viewer")
    began_s = time.monotonic()
    with Watcher(Consumer(stream, "w", url=viewer)) as watcher:
        link = "fanlight.common.transport.amqp.link"
        wait_until(lambda: len(lines_of(caplog, link)) >= 2, 10, "it says what it waits for, and again")
        waited_s = time.monotonic() - began_s
        waiting = lines_of(caplog, link)
        assert all(
            f"no exchange 'fanlight.{stream}' yet: waiting for its producer" in line for line in waiting
        )
        assert len(waiting) <= 2 + waited_s, "one a second"
        with Marking(producer, stream):
            wait_until(lambda: watcher.last, 5, "its first frame")
            with channel_of(broker_url) as operator:
                operator.exchange_delete(f"fanlight.{stream}")
            watcher.wait_captured(time.monotonic(), timeout_s=5)
        with channel_of(broker_url) as operator:  # nobody is there now to declare it again
            operator.exchange_delete(f"fanlight.{stream}")
        said = len(lines_of(caplog, link))
        wait_until(lambda: len(lines_of(caplog, link)) > said, 10, "it says what it waits for")
        with Marking(producer, stream):
            came = len(watcher.seen)
            wait_until(lambda: len(watcher.seen) > came, 5, "frames of the next producer")
    assert not watcher.faults()
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


def test_frames_of_a_user_who_is_not_trusted_are_refused(
    broker_url: str, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    producer, viewer = as_user(broker_url, "producer"), as_user(broker_url, "viewer")
    with (
        Marking(producer, stream) as marking,
        Watcher(Consumer(stream, "w", url=viewer, trust=["producer"])) as watcher,
        Watcher(Consumer(stream, "v", url=viewer), exact=False) as trusting,
        channel_of(broker_url) as forging,
    ):
        wait_until(lambda: watcher.last and trusting.last, 15, "the stream is on")
        forging.confirm_delivery()
        for seq in range(30):
            forged = header(seq, Codec.RAW, stream=stream, epoch=2**60, capture_ns=time.time_ns())
            properties = frame_properties(forged, "fanlight")
            forging.basic_publish(f"fanlight.{stream}", "", bytes(64 * 48 * 3), properties)
        count = len(watcher.seen)
        wait_until(lambda: len(watcher.seen) > count + 3, 10, "the stream goes on")
        wait_until(
            lambda: any(seen.epoch == 2**60 for seen in trusting.seen), 10, "the other one trusts all"
        )
        assert 1 <= watcher.consumer.stats().malformed <= 30
        assert {seen.epoch for seen in watcher.seen} == {marking.producer.epoch}
    assert not watcher.faults()
    told = [line for line in lines_of(caplog, "fanlight.consumer.receiver") if "user_id" in line]
    assert told
    assert "user_id is 'fanlight': allowed is --trust, which is producer" in told[0]
    assert len(told) <= 3, "one a second"
