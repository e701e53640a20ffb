from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import pytest

from fanlight.common.codec import decoder
from fanlight.common.model.errors import BrokerRefused, FanlightError
from fanlight.common.model.frame import MAX_SIDE, Codec, EncodedFrame
from fanlight.common.runtime.slot import Slot
from fanlight.producer.encode import Encode
from fanlight.producer.keyframes import KeyframeGovernor
from fanlight.producer.settings import ProducerSettings
from fanlight.producer.source.base import Captured
from fanlight.producer.stats import Meters

MS = 1_000_000
NOW = 1_700_000_000_000_000_000
PICTURE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)


class Queue(Slot[Captured]):
    """Holds all its pictures, so that one thread after the other can be looked at."""

    def __init__(self, *pictures: Captured) -> None:
        super().__init__()
        self._pictures = [*pictures]
        self.close()

    def take(self, timeout_s: float) -> Captured | None:
        return self._pictures.pop(0) if self._pictures else None

    @property
    def drained(self) -> bool:
        return not self._pictures


@dataclass
class FakePublisher:
    """Ready as told, one answer for each time it is asked; then ready."""

    answers: list[bool] = field(default_factory=list)
    watched: bool = True
    failure: FanlightError | None = None
    published: list[EncodedFrame] = field(default_factory=list)

    def start(self) -> None: ...

    def wait_ready(self, timeout_s: float) -> bool:
        return self.answers.pop(0) if self.answers else self.failure is None

    def publish(self, frame: EncodedFrame) -> None:
        self.published.append(frame)

    def stop(self, timeout_s: float) -> None: ...


class Bench:
    def __init__(
        self, *pictures: Captured, publisher: FakePublisher | None = None, **settings: Any
    ) -> None:
        self.publisher = publisher or FakePublisher()
        self.keyframes = KeyframeGovernor()
        self.meters = Meters()
        self.ends: list[FanlightError | None] = []
        self.slot = Queue(*pictures)
        self.encode = Encode(
            ProducerSettings(**settings),
            epoch=77,
            fps=lambda: 30.0,
            slot=self.slot,
            publisher=self.publisher,
            keyframes=self.keyframes,
            meters=self.meters,
            on_ended=self.ends.append,
        )

    def run(self) -> list[EncodedFrame]:
        self.encode.start()
        self.encode._thread.join(20)
        self.encode.stop(10)
        assert len(self.ends) == 1
        return self.publisher.published


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "fanlight.producer.source.base.monotonic_of", lambda unix_ns: 5_000_000_000 - (NOW - unix_ns)
    )
    monkeypatch.setattr("fanlight.producer.encode.monotonic_ns", lambda: 5_000_000_000)


def shot(age_ms: int = 10, picture: Any = PICTURE) -> Captured:
    return Captured(picture, NOW - age_ms * MS)


@pytest.mark.parametrize("codec", Codec)
def test_frames_carry_what_a_receiver_needs(codec: Codec) -> None:
    bench = Bench(shot(30), shot(20), shot(10), codec=codec, stream="door")
    frames = bench.run()
    assert bench.ends == [None]
    headers = [frame.header for frame in frames]
    assert [header.seq for header in headers] == [0, 1, 2]
    assert [header.capture_ns for header in headers] == [NOW - n * MS for n in (30, 20, 10)]
    assert {(h.stream, h.codec, h.epoch, h.width, h.height, h.fps) for h in headers} == {
        ("door", codec, 77, 64, 48, 30.0)
    }
    assert [h.key for h in headers] == [True, codec.intra_only, codec.intra_only]
    receiving = decoder(codec)
    assert all(receiving.decode(frame).pixels().shape == (48, 64, 3) for frame in frames)
    stats = bench.meters.snapshot(0)
    assert (stats.published, stats.published_bytes) == (3, sum(len(frame.body) for frame in frames))


def test_a_request_is_answered_with_the_next_frame() -> None:
    bench = Bench(*[shot() for _ in range(5)])
    publish = bench.publisher.publish

    def asking(frame: EncodedFrame) -> None:
        publish(frame)
        if frame.header.seq == 2:
            bench.keyframes.request()

    bench.publisher.publish = asking  # type: ignore[method-assign]
    assert [frame.header.key for frame in bench.run()] == [True, False, False, True, False]


def test_what_grew_too_old_is_not_encoded_and_leaves_no_gap() -> None:
    bench = Bench(shot(), shot(501), shot(500))
    assert [frame.header.seq for frame in bench.run()] == [0, 1]
    assert bench.meters.snapshot(0).stale == 1


def test_nothing_is_encoded_while_the_publisher_takes_nothing() -> None:
    bench = Bench(shot(), publisher=FakePublisher(answers=[False, False, False, True]))
    assert len(bench.run()) == 1


def test_an_ended_source_that_nobody_watches_ends_it() -> None:
    bench = Bench(shot(), publisher=FakePublisher(answers=[False], watched=False))
    assert (bench.run(), bench.ends) == ([], [None])


def test_a_publisher_that_gave_up_ends_it() -> None:
    refused = BrokerRefused("no such vhost")
    bench = Bench(shot(), publisher=FakePublisher(failure=refused))
    assert (bench.run(), bench.ends) == ([], [refused])


def test_pictures_are_scaled() -> None:
    frame = av.VideoFrame.from_ndarray(PICTURE, format="bgr24").reformat(format="yuv420p")
    bench = Bench(shot(), shot(picture=frame), size=(32, 20), codec=Codec.RAW)
    assert [(f.header.width, f.header.height, len(f.body)) for f in bench.run()] == [(32, 20, 1920)] * 2


def test_a_picture_that_cannot_be_sent_ends_it_with_a_reason() -> None:
    bench = Bench(shot(picture=np.zeros((2160, 3840, 3), np.uint8)), codec=Codec.RAW)
    assert bench.run() == []
    assert "use --codec h264" in str(bench.ends[0])


def test_a_mistake_of_ours_is_told_to_the_owner(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(shot(picture="not a picture"))
    bench.run()
    assert str(bench.ends[0]).startswith("encode: internal error: AttributeError(")
    assert caplog.messages == ["encode: internal error"]


def test_it_can_be_stopped() -> None:
    bench = Bench(shot(), publisher=FakePublisher(answers=[False] * 10**7))
    bench.encode.start()
    bench.encode.stop(10)
    assert not bench.encode._thread.is_alive()
    assert bench.ends == [None]


def test_a_picture_that_cannot_be_encoded_is_left_out_and_the_next_one_is_a_keyframe(
    caplog: pytest.LogCaptureFixture,
) -> None:
    huge = np.zeros((16, MAX_SIDE + 2, 3), np.uint8)
    bench = Bench(shot(), shot(), shot(picture=huge), shot(picture=huge), shot(), shot())
    with caplog.at_level("INFO", logger="fanlight.producer.encode"):
        frames = bench.run()
    assert bench.ends == [None]
    assert [(f.header.seq, f.header.key) for f in frames] == [(0, True), (1, False), (2, True), (3, False)]
    receiving = decoder(Codec.H264)
    assert all(receiving.decode(frame).pixels().shape == (48, 64, 3) for frame in frames)
    assert bench.meters.snapshot(0).unencodable == 2
    assert caplog.messages == [
        f"picture left out: a picture of {MAX_SIDE + 2}x16: allowed are {MAX_SIDE} pixels a side",
        "pictures can be encoded again, 2 were left out",
    ]


def test_what_cannot_be_encoded_for_three_seconds_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(5_000_000_000, 60_000_000_000, 1_000_000_000))
    monkeypatch.setattr("fanlight.producer.encode.monotonic_ns", lambda: next(times))
    huge = np.zeros((2, MAX_SIDE + 2, 3), np.uint8)
    bench = Bench(*[shot(-60_000, picture=huge)] * 20)
    assert bench.run() == []
    assert "allowed are" in str(bench.ends[0])
    assert 0 < len(bench.slot._pictures) < 19
