"""What the users `producer`, `viewer` and `hub` of broker/definitions.json may do, and what they may not."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import pytest
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel

from common.fanout.broker.topology import frame_properties
from common.frame import Codec, FrameHeader
from consumer import Consumer
from scripts.private_node import VHOST, PrivateNode
from tests.integration.test_hub import comes_by, hub
from tests.support.marked_stream import Marking, Watcher
from tests.support.roles import as_user, channel_of, refusal
from tests.support.timing import wait_until

REFUSED, MISSING, LOCKED, WRONG = 403, 404, 405, 406
SHARED: Final = "fanlight.shared.pictures"
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
        header = FrameHeader(
            stream=self.stream, codec=Codec.RAW, epoch=1, seq=1, capture_ns=time.time_ns(),
            width=2, height=1, key=True, fps=30,
        )  # fmt: skip
        return frame_properties(header, user)


@pytest.fixture(scope="module")
def scene(broker_url: str) -> Iterator[Scene]:
    stream = f"test-{secrets.token_hex(4)}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_hex", lambda _size=None: SUFFIX)
        marking = Marking(as_user(broker_url, "producer"), stream)
        watcher = Watcher(
            Consumer(stream, "w", url=as_user(broker_url, "viewer"), trust=["producer"], via="broker")
        )
    with marking, watcher:
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
    "publish a reference": (
        REFUSED,
        lambda c, s: c.basic_publish(SHARED, f"{s.stream}.4f3b00112233", b"x", s.frame("viewer")),
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
    "delete the hubs' exchange": (REFUSED, lambda c, _: c.exchange_delete(SHARED)),
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
    "publish a reference": (
        REFUSED,
        lambda c, s: c.basic_publish(SHARED, f"{s.stream}.4f3b00112233", b"x", s.frame("producer")),
    ),
}
HUB: Final[dict[str, tuple[int, Action]]] = {
    "publish a frame": (REFUSED, lambda c, s: c.basic_publish(s.exchange, "", b"6bytes", s.frame("hub"))),
    "publish into another's queue": (
        REFUSED,
        lambda c, s: c.basic_publish("", s.queue, b"6bytes", s.frame("hub")),
    ),
    "delete the exchange": (REFUSED, lambda c, s: c.exchange_delete(s.exchange)),
    "read the control queue": (REFUSED, lambda c, s: next(c.consume(s.control_queue))),
}
DENIALS: Final = [
    pytest.param(user, code, action, id=f"{user}: {what}")
    for user, table in (("viewer", VIEWER), ("producer", PRODUCER), ("hub", HUB))
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
    with channel_of(as_user(scene.url, "viewer")) as channel:
        queue = scene.own
        channel.queue_declare(queue, exclusive=True)
        channel.queue_bind(queue, scene.exchange)
        with channel_of(as_user(scene.url, "producer")) as sending:
            for _ in range(1200):
                sending.basic_publish(scene.exchange, "", b"not a frame")
            sending.connection.process_data_events()
            wait_until(lambda: _ready(channel, queue) >= 1000, 10, "the queue is full")
            assert _ready(channel, queue) == 1000
    wait_until(lambda: scene.watcher.consumer.stats().malformed == 1200, 10, "the other one refused them")


def _ready(channel: BlockingChannel, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).method.message_count)
