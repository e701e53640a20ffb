"""What docs/reliability.md promises of freshness, under every design: hand-made streams, what is shown."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from fanlight.common.codec import encoder
from fanlight.common.model.frame import Codec
from fanlight.common.model.freshness import ANSWERED_INTERVAL_NS
from fanlight.consumer import Consumer, Frame
from fanlight.producer import Producer
from tests.integration.test_pipeline import Camera, on_air, small
from tests.support.broker import with_broker_and
from tests.support.commands import running
from tests.support.marked_stream import Marking
from tests.support.roles import channel_of
from tests.support.tcp_producer import TcpProducer
from tests.support.tcp_wire import FRAME, packed
from tests.support.timing import scaled, wait_until

pytestmark = with_broker_and("multiplex")

EPOCH = 77
HOUR_NS = 3600 * 1_000_000_000


class Outlet(Protocol):
    """Where hand-made frames go out, and what comes back."""

    def send(self, headers: dict[str, object], body: bytes) -> None:
        """Send an H.264 frame; there has to be a consumer for it."""
        ...

    def reasons(self) -> list[str]:
        """The reasons of the keyframe requests so far."""
        ...


class BrokerOutlet:
    """A client that knows nothing of Fanlight."""

    def __init__(self, channel: BlockingChannel, stream: str) -> None:
        self._channel = channel
        self._stream = stream
        self._reasons: list[str] = []
        channel.confirm_delivery()
        channel.exchange_declare("fanlight.control", "direct", durable=True)
        self._queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(self._queue, "fanlight.control", stream)

    def send(self, headers: dict[str, object], body: bytes) -> None:
        properties = pika.BasicProperties(content_type="video/h264", app_id="fanlight", headers=headers)
        self._channel.basic_publish(f"fanlight.{self._stream}", "", body, properties, mandatory=True)

    def reasons(self) -> list[str]:
        while (message := self._channel.basic_get(self._queue, auto_ack=True))[0] is not None:
            assert message[2] is not None
            self._reasons.append(json.loads(message[2]).get("reason"))
        return self._reasons


class TcpOutlet:
    """A producer that knows nothing of Fanlight."""

    def __init__(self, server: TcpProducer) -> None:
        self._server = server

    def send(self, headers: dict[str, object], body: bytes) -> None:
        table = headers | {"content_type": "video/h264", "app_id": "fanlight"}
        self._server.send(packed(FRAME, table, body))

    def reasons(self) -> list[str]:
        return self._server.reasons


@contextmanager
def outlet(url: str, stream: str) -> Iterator[Outlet]:
    if url.startswith("amqp"):
        with channel_of(url) as channel:
            yield BrokerOutlet(channel, stream)
    else:
        with TcpProducer(url) as server:
            yield TcpOutlet(server)


class Stream:
    """A producer in slow motion: publishes the given frames with the given time stamps."""

    def __init__(self, out: Outlet, stream: str) -> None:
        self._out = out
        self._stream = stream
        coder = encoder(Codec.H264, fps=1000, gop_s=10)
        pictures = itertools.cycle(small())
        # A keyframe every 10 frames.
        self.frames = [coder.encode(next(pictures), key=seq % 10 == 0) for seq in range(60)]

    def publish(self, seq: int, *, age_s: float = 0.0, epoch: int = EPOCH) -> None:
        headers: dict[str, object] = {
            "v": 1, "stream": self._stream, "epoch": epoch, "seq": seq, "width": 320, "height": 180,
            "capture_ns": time.time_ns() - int(age_s * 1e9), "key": self.frames[seq].key, "fps": 30,
        }  # fmt: skip
        self._out.send(headers, self.frames[seq].body)

    def receives_keyframe_request(self, reason: str) -> None:
        wait_until(lambda: reason in self._out.reasons(), 20, "a keyframe is requested")


class Viewer:
    """Reads a consumer in a thread of its own, so that every frame that may be shown is."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.shown: list[Frame] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        self.shown.extend(self.consumer)

    def join(self) -> None:
        self.consumer.close()
        self._thread.join()

    @property
    def seqs(self) -> list[int]:
        return [frame.seq for frame in self.shown]

    def has_received(self, received: int) -> None:
        wait_until(lambda: self.consumer.stats().received >= received, 20, f"{received} frames arrived")

    def has_received_or_refused(self, count: int) -> None:
        def arrived() -> int:
            stats = self.consumer.stats()
            return stats.received + stats.duplicate

        wait_until(lambda: arrived() >= count, 20, f"{count} frames arrived")


@contextmanager
def hand_made(stream: str, url: str, *, max_age_s: float = 0.5) -> Iterator[tuple[Stream, Viewer]]:
    with outlet(url, stream) as out:
        viewer = Viewer(Consumer(stream, "c1", max_age_s=max_age_s, url=url).start())
        try:
            wait_until(lambda: viewer.consumer.stats().connected, 20, "the consumer is connected")
            yield Stream(out, stream), viewer
        finally:
            viewer.join()


def test_a_frame_older_than_max_age_is_never_presented(stream: str, url: str) -> None:
    with hand_made(stream, url, max_age_s=10.0) as (out, viewer):
        for seq in range(10):
            out.publish(seq, age_s=10.1)
        viewer.has_received(10)
        out.publish(10)
        wait_until(lambda: viewer.seqs == [10], 20, "the fresh one is shown, and nothing else")
        assert viewer.consumer.stats().late == 10


def test_frames_are_presented_in_order_whatever_arrives(stream: str, url: str) -> None:
    with hand_made(stream, url, max_age_s=10.0) as (out, viewer):
        for arrived, seq in enumerate((0, 1, 2, 1, 3, 0, 2, 4, 5), 1):
            out.publish(seq)
            viewer.has_received_or_refused(arrived)
        wait_until(lambda: 5 in viewer.seqs, 20, "the last one is shown")
        assert viewer.seqs == sorted(set(viewer.seqs))
        assert viewer.consumer.stats().duplicate == 3


def test_after_a_gap_nothing_is_presented_before_the_next_keyframe(stream: str, url: str) -> None:
    with hand_made(stream, url, max_age_s=10.0) as (out, viewer):
        out.publish(0)
        viewer.has_received(1)
        # So soon after the request of its join it would ask with one of the next frames only.
        joined_ns = time.monotonic_ns()
        wait_until(lambda: time.monotonic_ns() > joined_ns + ANSWERED_INTERVAL_NS, 2)
        for count, seq in enumerate((1, 3, 4, 5), 2):  # 2 is lost
            out.publish(seq)
            viewer.has_received(count)
        out.receives_keyframe_request("gap")
        out.publish(10)
        wait_until(lambda: 10 in viewer.seqs, 20, "the keyframe is shown")
        assert not {3, 4, 5} & set(viewer.seqs)
        stats = viewer.consumer.stats()
        assert (stats.awaiting_key, stats.lost) == (3, 5)


@pytest.mark.parametrize(
    ("playout", "offset_ns"), [("latest", -HOUR_NS), ("sync", HOUR_NS), ("sync", 80_000_000)]
)
def test_a_consumer_with_a_wrong_clock_uses_the_producers(
    stream: str, url: str, tmp_path: Path, playout: str, offset_ns: int
) -> None:
    """By its own clock every frame would be an hour old, or due in an hour."""
    trace = tmp_path / "trace.csv"
    arguments = [
        str(offset_ns), "consumer", "--url", url, "--stream", stream, "--name", "c1", "--max-age", "2s",
        "--playout", playout, "--delay", "300ms", "--sink", f"trace:{trace}", "--frames", "25",
    ]  # fmt: skip
    with (
        on_air(stream, url) as (out, camera),
        running("scripts.lib.fault_control", *arguments) as consumer,
    ):
        assert consumer.wait(60) == 0
        assert camera_and_trace_agree(out, camera, trace, offset_ns, playout)


def camera_and_trace_agree(
    out: Producer, camera: Camera, trace: Path, offset_ns: int, playout: str
) -> bool:
    rows = [line.split(",") for line in trace.read_text().splitlines()[1:]]
    shown = [(int(row[1]), int(row[3]) - offset_ns) for row in rows if row[4] == "presented"]
    assert len(shown) == 25
    assert all(capture_ns in camera.sent for capture_ns, _ in shown)
    ages_s = [(presented_ns - capture_ns) / 1e9 for capture_ns, presented_ns in shown]
    assert max(ages_s) <= 2.0
    if playout == "sync":
        # Before the first answer the consumer goes by its own clock; half of the frames are long after it.
        # How closely they keep to their time is the benchmark's business: `bench.py viewers clocks`.
        later = sorted(ages_s[12:])
        assert later[len(later) // 2] >= 0.25
    return out.failure is None


def test_a_slow_program_with_large_frames_still_gets_the_newest(url: str, stream: str) -> None:
    """They lie in the socket, and at the broker, while it works: all are read before one is shown."""
    with (
        Marking(url, stream, size=(640, 360)),
        Consumer(stream=stream, name="w", url=url, via="broker") as consumer,
    ):
        work = threading.Event()  # never set: it stands for a computation
        for _ in range(200):
            newest = consumer.stats().highest_seq
            frame = consumer.read(scaled(15))
            assert frame is not None
            assert frame.seq >= newest, "what had come by then is not older"
            if consumer.stats().superseded >= 20:
                break
            work.wait(0.1)
        else:
            raise AssertionError(f"nothing is skipped: {consumer.stats()}")
