"""Messages on a stream that are not Fanlight's: counted, skipped, and the stream goes on."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import random
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, Protocol

import numpy as np
import pika
import pika.exceptions
import psutil
import pytest
import simplejpeg

from fanlight.common.codec.picture import BGR
from fanlight.common.model.frame import Codec
from fanlight.consumer import Consumer
from fanlight.producer import Producer
from tests.integration.test_pipeline import PATIENT_S, Camera, of_epoch, on_air, read, small
from tests.support.broker import tcp_url
from tests.support.raw_headers import Raw, RawProperties
from tests.support.roles import channel_of
from tests.support.tcp_producer import EPOCH, HandMadeStream, TcpProducer
from tests.support.tcp_wire import FRAME, packed
from tests.support.timing import wait_until
from tests.unit.common.codec.build import psnr

MIB = 1024 * 1024
RANDOM = random.Random(4)
HUGE_SIDE = 65_000


@dataclass(frozen=True)
class Message:
    """What a stranger publishes; a well-formed JPEG frame but for what is changed.

    Attributes:
        headers: changes of the header table; `...` leaves a header out.
    """

    body: bytes
    headers: dict[str, Any] = field(default_factory=dict)
    content_type: str | None = "image/jpeg"
    app_id: str | None = "fanlight"
    bare: bool = False


class Stranger(Protocol):
    """Publishes what it likes on a stream."""

    def publish(self, message: Message, headers: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Scene:
    """A running stream, a consumer that watches it, and a stranger who may publish too."""

    stream: str
    epoch: int
    camera: Camera
    consumer: Consumer
    stranger: Stranger

    def inject(self, *messages: Message, epoch: int | None = None) -> None:
        """Publish as a stranger; the epoch is the running producer's if not given."""
        for message in messages:
            table = {
                "v": 1,
                "stream": self.stream,
                "epoch": self.epoch if epoch is None else epoch,
                "seq": self.consumer.stats().highest_seq + 5,
                "capture_ns": time.time_ns(),
                "width": 320,
                "height": 180,
                "key": True,
                "fps": 15,
            }
            table = {k: v for k, v in (table | message.headers).items() if v is not ...}
            self.stranger.publish(message, {} if message.bare else table)

    def has_refused(self, count: int) -> Callable[[], bool]:
        return lambda: self.consumer.stats().malformed >= count

    def goes_on(self, *, reconnects: int = 0) -> None:
        """Frames of the producer keep coming, and they show what the producer sent."""
        since_ns = time.time_ns()
        is_ours = of_epoch(self.epoch)
        for frame in read(self.consumer, 4, lambda f: is_ours(f) and f.capture_ns > since_ns):
            assert psnr(frame.image, self.camera.sent[frame.capture_ns]) >= 30, frame.seq
        assert self.consumer.stats().reconnects == reconnects


class BrokerStranger:
    """A client of the broker that publishes to the stream's exchange, by a connection each time."""

    def __init__(self, url: str, stream: str) -> None:
        self._url = url
        self._stream = stream

    def publish(self, message: Message, headers: dict[str, Any]) -> None:
        properties = RawProperties(
            None if message.bare else headers, content_type=message.content_type, app_id=message.app_id
        )
        with channel_of(self._url) as channel:
            channel.confirm_delivery()
            channel.basic_publish(f"fanlight.{self._stream}", "", message.body, properties, mandatory=True)


class TcpStranger:
    """A producer that sends more than its stream."""

    def __init__(self, out: TcpProducer) -> None:
        self._out = out

    def publish(self, message: Message, headers: dict[str, Any]) -> None:
        names = {"content_type": message.content_type, "app_id": message.app_id}
        table = headers | {name: value for name, value in names.items() if value is not None}
        self._out.send(packed(FRAME, json.dumps(table, default=float).encode(), message.body))


@contextlib.contextmanager
def scene(stream: str, url: str, codec: str = "h264") -> Iterator[Scene]:
    if not url.startswith("amqp"):
        with tcp_scene(stream, url, codec) as (_, on):
            yield on
        return
    with broker_scene(stream, url, codec) as (_, on):
        yield on


@contextlib.contextmanager
def broker_scene(stream: str, url: str, codec: str = "h264") -> Iterator[tuple[Producer, Scene]]:
    with (
        on_air(stream, url, codec) as (out, camera),
        Consumer(stream, "c1", max_age_s=PATIENT_S, url=url) as consumer,
    ):
        read(consumer, 3)
        yield out, Scene(stream, out.epoch, camera, consumer, BrokerStranger(url, stream))


@contextlib.contextmanager
def tcp_scene(stream: str, url: str, codec: str = "h264") -> Iterator[tuple[TcpProducer, Scene]]:
    """The same with a hand-made producer: whoever is not the producer has no way to its consumers."""
    with TcpProducer(url) as out, Consumer(stream, "c1", max_age_s=PATIENT_S, url=url) as consumer:
        camera = Camera(HandMadeStream(out, stream, Codec(codec)), small(), fps=30)
        camera.start()
        try:
            read(consumer, 3)
            yield out, Scene(stream, EPOCH, camera, consumer, TcpStranger(out))
        finally:
            camera.stop()


def jpeg(picture: BGR | None = None) -> bytes:
    body: bytes = simplejpeg.encode_jpeg(small()[0] if picture is None else picture, 80, "BGR", "420")
    return body


def claims(body: bytes, width: int, height: int) -> bytes:
    """The same JPEG with another size in its frame header (SOF0)."""
    at = body.index(b"\xff\xc0") + 5
    return body[:at] + struct.pack(">HH", height, width) + body[at + 4 :]


GOOD = Message(jpeg())

NO_NUMBERS: Final[tuple[object, ...]] = ("7", True, -1, None, [1], {"a": 1}, b"\x01")
NO_NAMES: Final[tuple[object, ...]] = (7, "", "a b", "x" * 65, None, [])
# As text, which is what it has to be over the broker; over TCP no text is.
NO_METAS: Final[tuple[object, ...]] = (
    7, None, b"\xff", "", "null", "[1]", '{"a":NaN}', '{"a":1,"a":2}', '{"a":"\\ud800"}', '{"a":' * 300,
    "x" * 2049,
)  # fmt: skip

MALFORMED: Final[dict[str, Message]] = {
    "no app_id": replace(GOOD, app_id=None),
    "app_id of another": replace(GOOD, app_id="somebody"),
    "nothing at all": Message(b"", app_id=None, content_type=None, bare=True),
    "no header table": replace(GOOD, bare=True),
    "no content type": replace(GOOD, content_type=None),
    "unknown content type": replace(GOOD, content_type="video/h265"),
    "empty body": replace(GOOD, body=b""),
    "raw of a wrong length": replace(GOOD, content_type="application/x-raw-bgr"),
    "jpeg that is no key": replace(GOOD, headers={"key": False}),
    "15 MiB without headers": Message(RANDOM.randbytes(15 * MIB), bare=True),
    "more pixels than 8K": replace(GOOD, headers={"width": HUGE_SIDE, "height": HUGE_SIDE}),
    "sides allowed, area not": replace(GOOD, headers={"width": 16384, "height": 16384}),
    "another stream": replace(GOOD, headers={"stream": "other"}),
    **{f"version {v!r}": replace(GOOD, headers={"v": v}) for v in (0, 2, "1", True, Decimal("1.5"))},
    **{
        f"no {name}": replace(GOOD, headers={name: ...})
        for name in ("v", "stream", "epoch", "seq", "capture_ns", "width", "height", "key", "fps")
    },
    **{
        f"{name} is {value!r}": replace(GOOD, headers={name: value})
        for name in ("epoch", "seq", "capture_ns", "width", "height", "fps")
        for value in NO_NUMBERS
    },
    **{f"stream is {value!r}": replace(GOOD, headers={"stream": value}) for value in NO_NAMES},
    **{f"meta is {str(value)[:20]}": replace(GOOD, headers={"meta": value}) for value in NO_METAS},
    **{f"key is {value!r}": replace(GOOD, headers={"key": value}) for value in (1, "true", None)},
    **{
        f"{name} is the largest integer": replace(GOOD, headers={name: 2**63 - 1})
        for name in ("v", "width", "height", "fps")
    },
}

AS_JSON: Final = {
    what: message
    for what, message in MALFORMED.items()
    if not any(isinstance(value, bytes) for value in message.headers.values())
}

UNDECODABLE = {
    "truncated": replace(GOOD, body=GOOD.body[: len(GOOD.body) // 2]),
    "no JPEG": replace(GOOD, body=RANDOM.randbytes(5000)),
    "15 MiB of anything": replace(GOOD, body=RANDOM.randbytes(15 * MIB)),
    "65,000 x 65,000": replace(GOOD, body=claims(GOOD.body, HUGE_SIDE, HUGE_SIDE)),
    "another size than announced": replace(GOOD, body=jpeg(np.zeros((90, 160, 3), np.uint8))),
    "no PNG": replace(GOOD, body=RANDOM.randbytes(5000), content_type="image/png"),
    "no H.264": replace(GOOD, body=RANDOM.randbytes(5000), content_type="video/h264"),
}


@pytest.fixture(params=["broker", pytest.param("tcp", marks=pytest.mark.brokerless)])
def url(request: pytest.FixtureRequest) -> str:
    """Consumers do not tell the two designs without a broker from each other: one is enough."""
    if request.param == "broker":
        return str(request.getfixturevalue("broker_url"))
    return tcp_url("threads")


BOTH = pytest.mark.parametrize("codec", ["h264", "jpeg"])


@BOTH
def test_each_malformed_message_is_counted_and_skipped(stream: str, url: str, codec: str) -> None:
    malformed = MALFORMED if url.startswith("amqp") else AS_JSON
    with scene(stream, url, codec) as on:
        for expected, (what, message) in enumerate(malformed.items(), 1):
            on.inject(message)
            wait_until(on.has_refused(expected), 5, what)
            assert on.consumer.stats().malformed == expected, what
        on.goes_on()
        stats = on.consumer.stats()
        assert stats.malformed == len(malformed)
        assert (stats.undecodable, stats.duplicate, stats.epoch) == (0, 0, on.epoch)


@BOTH
def test_a_body_that_cannot_be_decoded_is_counted_and_skipped(stream: str, url: str, codec: str) -> None:
    with scene(stream, url, codec) as on:
        for what, message in UNDECODABLE.items():
            before_bytes = psutil.Process().memory_info().rss
            before = on.consumer.stats().undecodable

            def counted(message: Message = message, before: int = before) -> bool:
                # JPEG and PNG bodies are decoded when they are presented, so the reader has to go on
                # reading; one that is overtaken meanwhile is not decoded at all.
                on.inject(message)
                on.goes_on()
                return on.consumer.stats().undecodable > before

            wait_until(counted, 20, what)
            assert on.consumer.stats().malformed == 0, what
            # A picture of 65,000 x 65,000 would be 12 GB.
            assert psutil.Process().memory_info().rss - before_bytes < 500 * MIB


@BOTH
def test_a_broken_frame_of_a_foreign_epoch_is_got_over(stream: str, url: str, codec: str) -> None:
    with scene(stream, url, codec) as on:
        foreign = itertools.count(1)

        def broken() -> bool:
            # On a busy machine it is overtaken before anybody has looked at it.
            on.inject(UNDECODABLE["truncated"], epoch=next(foreign))
            # By design a new epoch is a restarted producer, until it has been silent for a second.
            on.goes_on()
            stats = on.consumer.stats()
            assert stats.epoch == on.epoch
            return stats.undecodable >= 1 and stats.duplicate >= 1

        wait_until(broken, 30, "it is shown")


@BOTH
def test_a_frame_that_comes_again_is_counted_and_not_shown(stream: str, url: str, codec: str) -> None:
    with scene(stream, url, codec) as on:
        on.inject(replace(GOOD, headers={"seq": 0}), replace(GOOD, headers={"seq": 1}))
        wait_until(lambda: on.consumer.stats().duplicate >= 2, 20, "the repeated frames are counted")
        on.goes_on()
        stats = on.consumer.stats()
        assert (stats.duplicate, stats.lost, stats.undecodable, stats.malformed) == (2, 0, 0, 0)


HOSTILE = {
    "not a number": Raw(b"d" + struct.pack(">d", float("nan"))),
    "infinite": Raw(b"d" + struct.pack(">d", float("inf"))),
    "float that is not a number": Raw(b"f" + struct.pack(">f", float("nan"))),
    "timestamp 2^63": Raw(b"T" + struct.pack(">Q", 2**63)),
    "timestamp 2^64 - 1": Raw(b"T" + struct.pack(">Q", 2**64 - 1)),
    "unsigned 2^63": Raw(b"L" + struct.pack(">Q", 2**63)),
    "smallest integer": Raw(b"l" + struct.pack(">q", -(2**63))),
    "decimal of 255 places": Raw(b"D" + struct.pack(">BI", 255, 0)),
    "text that is no UTF-8": Raw(b"S" + struct.pack(">I", 2) + b"\xff\xfe"),
    "unknown type": Raw(b"?" + b"\x00" * 4),
    "text longer than the table": Raw(b"S" + struct.pack(">I", 2**31)),
}
# pika raises while it parses these: that costs the connection, once.
UNPARSABLE = ("timestamp 2^63", "timestamp 2^64 - 1")


@pytest.mark.parametrize("name", ["fps", "a-header-of-no-interest"])
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_header_table_costs_one_reconnect_at_most(
    stream: str, broker_url: str, what: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with scene(stream, broker_url, "jpeg") as on:
        accepted = False
        # RabbitMQ 4 reads header tables itself, and cuts off who sends one that it cannot read.
        with contextlib.suppress(pika.exceptions.ConnectionClosedByBroker):
            on.inject(replace(GOOD, headers={name: HOSTILE[what]}))
            accepted = True
        costs = accepted and what in UNPARSABLE
        if costs:
            wait_until(lambda: on.consumer.stats().reconnects, 20, "it connects anew")
        on.goes_on(reconnects=int(costs))
        if accepted and (costs or name == "fps"):
            assert on.consumer.stats().malformed == 1
        assert not [
            record
            for record in caplog.records
            if record.name == "fanlight.common.transport.amqp.link" and record.levelno >= logging.WARNING
        ], "told once, by the receiver"
