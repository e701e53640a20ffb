"""What the users `producer`, `viewer` and `detector` of broker/definitions.json may do, and may not."""

from __future__ import annotations

import contextlib
import math
import random
import secrets
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

import pytest
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ConnectionClosedByBroker

from fanlight.common.model.frame import Codec
from fanlight.common.transport.amqp.topology import frame_properties
from fanlight.consumer import Consumer
from tests.support.headers import header
from tests.support.marked_stream import Marking, Watcher
from tests.support.raw_headers import Raw, RawProperties
from tests.support.roles import as_user, channel_of, refusal
from tests.support.timing import wait_until

OK, REFUSED, MISSING, LOCKED, WRONG = 0, 403, 404, 405, 406
CONTROL: Final = "fanlight.control"
STREAMS: Final = "fanlight.streams"
SUFFIX: Final = "abcdef"


class Scene(NamedTuple):
    """A stream of the user `producer`, watched as `viewer`.

    Attributes:
        queue: another viewer's, which receives the stream.
    """

    url: str
    stream: str
    marking: Marking
    watcher: Watcher
    queue: str

    @property
    def exchange(self) -> str:
        return f"fanlight.{self.stream}"

    @property
    def spare(self) -> str:
        """The exchange of another stream, where nobody is disturbed."""
        return f"{self.exchange}-b"

    @property
    def results(self) -> str:
        return f"{self.exchange}.results"

    @property
    def control_queue(self) -> str:
        return f"{CONTROL}.{self.stream}.{SUFFIX}"

    @property
    def names(self) -> dict[str, str]:
        """What the tables below call by another name."""
        return {
            "the stream": self.exchange,
            "another stream": self.spare,
            "results": self.results,
            "the intra-only branch": f"{self.exchange}.intra",
            "a pool": f"{self.exchange}.pool.p",
            "a control queue of the stream pool": f"{CONTROL}.pool.{SUFFIX}",
            "a name of one's choice": f"{self.exchange}.spy.{SUFFIX}",
            "another viewer's": self.queue,
            "the producer's": self.control_queue,
            "a control queue": f"{CONTROL}.{self.stream}.000000",
        }

    def goes_on(self) -> None:
        """Three more frames, over the same connection, and nothing else."""
        count = len(self.watcher.seen)
        wait_until(lambda: len(self.watcher.seen) >= count + 3, 20, "the stream goes on")
        stats = self.watcher.consumer.stats()
        assert (stats.reconnects, stats.malformed) == (0, 0)
        assert self.marking.producer.failure is None

    def frame(self, user: str) -> BasicProperties:
        made = header(1, Codec.RAW, (2, 1), stream=self.stream, capture_ns=time.time_ns())
        return frame_properties(made, user)


@pytest.fixture(scope="module")
def scene(broker_url: str) -> Iterator[Scene]:
    stream = f"test-{secrets.token_hex(4)}"
    viewer, producer = as_user(broker_url, "viewer"), as_user(broker_url, "producer")
    marking = Marking(producer, stream)
    watcher = Watcher(Consumer(stream, "w", url=viewer, trust=["producer"], via="broker"))
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(secrets, "token_hex", lambda _size=None: SUFFIX)
            stack.enter_context(marking)
            stack.enter_context(watcher)
            wait_until(lambda: watcher.last, 15, "the stream is on")
            wait_until(lambda: "w" in marking.producer.stats().consumers, 20, "its reports are heard")
        another = stack.enter_context(channel_of(viewer))
        queue = own(another, {"x-max-length": 1})
        another.queue_bind(queue, f"fanlight.{stream}")
        operator = stack.enter_context(channel_of(broker_url))
        others = [f"fanlight.{stream}-b", f"fanlight.{stream}.results", f"fanlight.{stream}.intra"]
        for other in others:
            operator.exchange_declare(other, "fanout", durable=True)
        yield Scene(broker_url, stream, marking, watcher, queue)
        for other in others:
            operator.exchange_delete(other)
    assert not watcher.faults()


def own(channel: BlockingChannel, arguments: dict[str, object] | None = None) -> str:
    """A queue of one's own, which the server names; its name."""
    return str(channel.queue_declare("", exclusive=True, arguments=arguments).method.queue)


Verb = Callable[[BlockingChannel, str, Scene], object]
EXCHANGE_VERBS: Final[dict[str, Verb]] = {
    "declare": lambda c, x, _: c.exchange_declare(x, "fanout", durable=True),
    "declare otherwise": lambda c, x, _: c.exchange_declare(
        x, "topic", arguments={"alternate-exchange": CONTROL}
    ),
    "look for": lambda c, x, _: c.exchange_declare(x, passive=True),
    "lead there": lambda c, x, _: c.exchange_bind(x, "amq.fanout"),
    "lead from there": lambda c, x, _: c.exchange_bind("amq.fanout", x),
    "lead in a circle": lambda c, x, _: c.exchange_bind(x, x),
    "lead there no longer": lambda c, x, _: c.exchange_unbind(x, "amq.fanout"),
    "lead from there no longer": lambda c, x, _: c.exchange_unbind("amq.fanout", x),
    "bind a queue": lambda c, x, _: c.queue_bind(own(c), x, "key"),
    "dead-letter to": lambda c, x, _: own(c, {"x-dead-letter-exchange": x}),
    "publish": lambda c, x, _: c.basic_publish(x, "key", b"6bytes"),
    "delete": lambda c, x, _: c.exchange_delete(x),
}
QUEUE_VERBS: Final[dict[str, Verb]] = {
    "declare": lambda c, q, _: c.queue_declare(q, exclusive=True),
    "declare durable": lambda c, q, _: c.queue_declare(q, durable=True),
    "look for": lambda c, q, _: c.queue_declare(q, passive=True),
    "bind": lambda c, q, s: c.queue_bind(q, s.exchange),
    "unbind": lambda c, q, s: c.queue_unbind(q, s.exchange),
    "get": lambda c, q, _: c.basic_get(q),
    "consume": lambda c, q, _: c.basic_consume(q, lambda *_delivery: None),
    "publish": lambda c, q, _: c.basic_publish("", q, b"6bytes"),
    "purge": lambda c, q, _: c.queue_purge(q),
    "delete": lambda c, q, _: c.queue_delete(q),
}
SEEN: Final = {"look for": OK}
ABSENT: Final = {"look for": MISSING}
DECLARED: Final = SEEN | {"declare": OK, "declare otherwise": WRONG, "publish": OK}
USED: Final = dict.fromkeys(("get", "consume", "purge"), MISSING)
# Exclusive queues are closed to every other connection, whatever its permissions.
EXCLUSIVE: Final = dict.fromkeys(
    ("look for", "bind", "unbind", "get", "consume", "purge", "delete"), LOCKED
)

# All verbs are refused with 403 but for these.
EXCHANGES: Final[dict[tuple[str, str], dict[str, int]]] = {
    ("viewer", "the stream"): SEEN | {"bind a queue": OK},
    ("viewer", CONTROL): SEEN | {"publish": OK, "dead-letter to": OK},
    ("viewer", STREAMS): SEEN | {"bind a queue": OK},
    ("viewer", "results"): SEEN | {"bind a queue": OK},
    ("viewer", "the intra-only branch"): SEEN,
    ("viewer", "a name of one's choice"): ABSENT,
    ("viewer", "amq.gen-x"): {
        **dict.fromkeys(("look for", "lead in a circle", "bind a queue", "publish"), MISSING),
        "dead-letter to": OK,  # nowhere: no exchange can have such a name
    },
    ("viewer", "amq.fanout"): SEEN,
    ("viewer", ""): {},
    ("producer", "another stream"): SEEN | {"declare": OK, "declare otherwise": WRONG, "publish": OK},
    ("producer", "results"): SEEN,
    ("producer", "the intra-only branch"): DECLARED,
    ("producer", STREAMS): SEEN | {"declare": OK, "declare otherwise": WRONG, "publish": OK},
    ("producer", "a name of one's choice"): ABSENT,
    ("producer", "amq.gen-x"): ABSENT,
    ("producer", "amq.fanout"): SEEN,
    ("producer", ""): {"publish": OK},
    ("detector", "the stream"): SEEN | {"bind a queue": OK},
    ("detector", "the intra-only branch"): SEEN | {"bind a queue": OK},
    ("detector", "results"): DECLARED | {"bind a queue": OK, "lead in a circle": OK, "dead-letter to": OK},
    ("detector", CONTROL): SEEN | {"publish": OK, "dead-letter to": OK},
    ("detector", STREAMS): SEEN | {"bind a queue": OK},
    ("detector", "a name of one's choice"): ABSENT,
    ("detector", "amq.fanout"): SEEN,
    ("detector", ""): {},
}
QUEUES: Final[dict[tuple[str, str], dict[str, int]]] = {
    ("viewer", "another viewer's"): EXCLUSIVE,
    ("viewer", "the producer's"): {"look for": LOCKED},
    ("viewer", "a control queue"): ABSENT,
    ("viewer", "a name of one's choice"): ABSENT,
    ("viewer", "amq.gen-x"): ABSENT | USED | {"bind": MISSING, "unbind": OK, "delete": OK},
    ("detector", "another viewer's"): EXCLUSIVE,
    ("detector", "the producer's"): {"look for": LOCKED},
    ("detector", "a control queue"): ABSENT,
    ("detector", "a control queue of the stream pool"): ABSENT,
    ("detector", "a name of one's choice"): ABSENT,
    ("viewer", "a pool"): ABSENT,
    ("producer", "a pool"): ABSENT | {"publish": OK},
    ("producer", "another viewer's"): {"look for": LOCKED, "publish": OK},
    ("producer", "a name of one's choice"): ABSENT | {"publish": OK},
    ("producer", "amq.gen-x"): ABSENT | {"publish": OK},
}
TABLES: Final = [
    pytest.param(verbs, user, what, expected, id=f"{user}: {kind} {what!r}")
    for kind, verbs, table in (("exchange", EXCHANGE_VERBS, EXCHANGES), ("queue", QUEUE_VERBS, QUEUES))
    for (user, what), expected in table.items()
]


@pytest.mark.parametrize(("verbs", "user", "what", "expected"), TABLES)
def test_every_verb_on_every_kind_of_name(
    scene: Scene, verbs: dict[str, Verb], user: str, what: str, expected: dict[str, int]
) -> None:
    url, name = as_user(scene.url, user), scene.names.get(what, what)
    found = {
        verb: refusal(url, partial(_act, action, name, scene))
        for verb, action in verbs.items()
        # It may.
        if not (verb == "delete" and expected.get("declare") == OK)
    }
    assert found == {verb: expected.get(verb, REFUSED) for verb in found}
    scene.goes_on()


def _act(action: Verb, name: str, scene: Scene, channel: BlockingChannel) -> None:
    action(channel, name, scene)


Action = Callable[[BlockingChannel, Scene], object]
FURTHER: Final[dict[tuple[str, str], tuple[int, Action]]] = {
    ("viewer", "publish a frame"): (
        REFUSED,
        lambda c, s: c.basic_publish(s.exchange, "", b"6bytes", s.frame("viewer")),
    ),
    ("viewer", "pose as the producer"): (
        WRONG,
        lambda c, s: c.basic_publish(CONTROL, s.stream, b"{}", BasicProperties(user_id="producer")),
    ),
    ("viewer", "publish a result"): (REFUSED, lambda c, s: c.basic_publish(s.results, "", b"{}")),
    ("detector", "publish a frame"): (
        REFUSED,
        lambda c, s: c.basic_publish(s.exchange, "", b"6bytes", s.frame("detector")),
    ),
    ("detector", "publish a result"): (OK, lambda c, s: c.basic_publish(s.results, "", b"{}")),
    ("detector", "publish in another's name"): (
        WRONG,
        lambda c, s: c.basic_publish(s.results, "", b"{}", BasicProperties(user_id="viewer")),
    ),
    ("detector", "announce a stream"): (REFUSED, lambda c, _: c.basic_publish(STREAMS, "", b"{}")),
    ("detector", "hear what others ask"): (REFUSED, lambda c, s: c.queue_bind(own(c), CONTROL, s.stream)),
    ("detector", "watch, and let it be"): (OK, lambda c, s: _use(c, own(c), s.exchange)),
    ("detector", "read results"): (OK, lambda c, s: _use(c, own(c), s.results)),
    ("detector", "work in a pool"): (OK, lambda c, s: _work(c, f"{s.exchange}.pool.p", s.exchange)),
    ("detector", "work in a pool of intra-only frames"): (
        OK,
        lambda c, s: _work(c, f"{s.exchange}.pool.p", f"{s.exchange}.intra"),
    ),
    ("viewer", "work in a pool"): (
        REFUSED,
        lambda c, s: _work(c, f"{s.exchange}.pool.p", s.exchange),
    ),
    ("viewer", "read results"): (OK, lambda c, s: _use(c, own(c), s.results)),
    ("producer", "read results"): (
        REFUSED,
        lambda c, s: c.queue_bind(
            c.queue_declare(f"{CONTROL}.{s.stream}.000000", exclusive=True).method.queue, s.results
        ),
    ),
    ("viewer", "announce a stream"): (REFUSED, lambda c, _: c.basic_publish(STREAMS, "", b"{}")),
    ("producer", "list the streams"): (
        REFUSED,
        lambda c, s: c.queue_bind(
            c.queue_declare(f"{CONTROL}.{s.stream}.000000", exclusive=True).method.queue, STREAMS
        ),
    ),
    ("producer", "announce in another's name"): (
        WRONG,
        lambda c, _: c.basic_publish(STREAMS, "", b"{}", BasicProperties(user_id="fanlight")),
    ),
    ("viewer", "hear what others ask"): (REFUSED, lambda c, s: c.queue_bind(own(c), CONTROL, s.stream)),
    ("viewer", "hear it by way of the stream"): (
        REFUSED,
        lambda c, s: c.exchange_bind(s.exchange, CONTROL),
    ),
    ("viewer", "have old frames sent to the stream"): (
        REFUSED,
        lambda c, s: own(c, {"x-dead-letter-exchange": s.exchange}),
    ),
    ("viewer", "have old frames sent to a queue"): (
        REFUSED,
        lambda c, _: own(c, {"x-dead-letter-exchange": ""}),
    ),
    ("viewer", "declare a stream queue"): (WRONG, lambda c, _: own(c, {"x-queue-type": "stream"})),
    ("viewer", "declare a quorum queue"): (WRONG, lambda c, _: own(c, {"x-queue-type": "quorum"})),
    ("producer", "read its stream"): (
        REFUSED,
        lambda c, s: c.queue_bind(
            c.queue_declare(f"{CONTROL}.{s.stream}.000000", exclusive=True).method.queue, s.exchange
        ),
    ),
    ("producer", "pose as a viewer"): (
        WRONG,
        lambda c, s: c.basic_publish(s.exchange, "", b"x", BasicProperties(user_id="viewer")),
    ),
    ("viewer", "watch, and let it be"): (OK, lambda c, s: _use(c, own(c), s.exchange)),
    ("viewer", "ask for a keyframe"): (OK, lambda c, s: c.basic_publish(CONTROL, s.stream, b"{}")),
    ("producer", "hear what is asked"): (
        OK,
        lambda c, s: _use(
            c, c.queue_declare(f"{CONTROL}.{s.stream}.000000", exclusive=True).method.queue, CONTROL
        ),
    ),
}


def _work(channel: BlockingChannel, queue: str, source: str) -> None:
    """All that a worker does with the queue of its pool."""
    channel.queue_declare(queue, durable=True, auto_delete=True, arguments={"x-max-length": 1})
    _use(channel, queue, source)


def _use(channel: BlockingChannel, queue: str, source: str) -> None:
    """All that one does with a queue of one's own."""
    channel.queue_bind(queue, source, "key")
    channel.queue_declare(queue, passive=True)
    channel.basic_get(queue)
    tag = channel.basic_consume(queue, lambda *_delivery: None)
    channel.queue_purge(queue)
    channel.queue_unbind(queue, source, "key")
    channel.basic_cancel(tag)
    channel.queue_delete(queue)


@pytest.mark.parametrize(("user", "what"), FURTHER)
def test_roles_may_do_their_work_and_no_more(scene: Scene, user: str, what: str) -> None:
    code, action = FURTHER[user, what]
    assert refusal(as_user(scene.url, user), lambda channel: action(channel, scene)) == code
    scene.goes_on()


def test_every_queue_of_a_viewer_is_capped(scene: Scene) -> None:
    """It asks for no limit, or for high ones, and holds no more than the operator's policy allows."""
    producer, viewer = as_user(scene.url, "producer"), as_user(scene.url, "viewer")
    with channel_of(producer) as sending, channel_of(viewer) as channel:
        queues = [own(channel), own(channel, {"x-max-length": 10**9, "x-message-ttl": 10**9})]
        for queue in queues:
            channel.queue_bind(queue, scene.spare)
        # Sooner than they expire: the confirmation of the last is one of all.
        for _ in range(1049):
            sending.basic_publish(scene.spare, "", b"not a frame")
        sending.confirm_delivery()
        sending.basic_publish(scene.spare, "", b"not a frame")
        for queue in queues:
            assert channel.queue_declare(queue, passive=True).method.message_count == 1000
    scene.goes_on()


def test_what_one_viewer_declares_and_opens_is_limited(scene: Scene) -> None:
    """Each queue on a stream costs the broker time per frame, whoever reads it."""
    url = as_user(scene.url, "viewer")

    def declare_many(channel: BlockingChannel) -> None:
        for _ in range(501):
            own(channel)

    def open_many(channel: BlockingChannel) -> None:
        for _ in range(1001):
            channel.connection.channel()

    assert refusal(url, declare_many) == WRONG
    with pytest.raises(ConnectionClosedByBroker, match="number of channels"):
        refusal(url, open_many)
    scene.goes_on()


def test_a_message_that_crashes_a_process_of_the_broker_costs_its_sender_only(scene: Scene) -> None:
    """A double that is not a number; without broker/rabbitmq-env.conf, 15 MiB end a broker of 2 GiB."""
    url, body = as_user(scene.url, "viewer"), random.Random(1).randbytes(15 * 1024 * 1024)
    headers = {"fps": Raw(b"d" + struct.pack(">d", math.nan)), "x": "y" * 100_000}
    for _ in range(3):
        with pytest.raises(ConnectionClosedByBroker, match="INTERNAL_ERROR"):
            refusal(url, lambda c: c.basic_publish(CONTROL, scene.stream, body, RawProperties(headers)))
        scene.goes_on()
