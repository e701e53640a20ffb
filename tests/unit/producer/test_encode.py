from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import pytest

from fanlight.common.codec import decoder
from fanlight.common.model.bye import Bye
from fanlight.common.model.errors import BrokerRefused, FanlightError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.runtime.slot import NewestSlot
from fanlight.producer.encode import Encode
from fanlight.producer.frame_encoder import FrameEncoder
from fanlight.producer.intra_encode import Numbered
from fanlight.producer.keyframes import KeyframeGovernor
from fanlight.producer.settings import ProducerSettings
from fanlight.producer.source.base import Captured
from fanlight.producer.stall_log import StallLog
from fanlight.producer.stats import ProducerCounters
from tests.support.timing import scaled

MS = 1_000_000
UNIX_NS = 1_700_000_000_000_000_000
NOW_NS = 5_000_000_000
PICTURE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)


class Pictures(NewestSlot[Captured]):
    """A closed slot that holds several pictures; each is taken as if it were the newest."""

    def __init__(self, *pictures: Captured) -> None:
        super().__init__()
        self.left = [*pictures]
        self.close()

    def take(self, timeout_s: float) -> Captured | None:
        return self.left.pop(0) if self.left else None

    @property
    def drained(self) -> bool:
        return not self.left


@dataclass
class FakePublisher:
    """`wait_ready` gives the answers, one each time; then True."""

    answers: list[bool] = field(default_factory=list)
    watched: bool = True
    failure: FanlightError | None = None
    published: list[EncodedFrame] = field(default_factory=list)
    branch: None = None

    def start(self) -> None: ...

    def wait_ready(self, timeout_s: float) -> bool:
        return self.answers.pop(0) if self.answers else self.failure is None

    def publish(self, frame: EncodedFrame) -> None:
        self.published.append(frame)

    def stop(self, timeout_s: float, bye: Bye | None = None) -> None: ...


class Bench:
    """An encoding thread between pictures and a publisher."""

    def __init__(
        self,
        *pictures: Captured,
        publisher: FakePublisher | None = None,
        now_ns: Callable[[], int] = lambda: NOW_NS,
        pools: Any = None,
        **settings: Any,
    ) -> None:
        self.publisher = publisher or FakePublisher()
        self.keyframes = KeyframeGovernor()
        self.counters = ProducerCounters()
        self.ends: list[FanlightError | None] = []
        self.pictures = Pictures(*pictures)
        self.encode = Encode(
            FrameEncoder(ProducerSettings(**settings), 77, lambda: 30.0, self.keyframes),
            self.pictures,
            self.publisher,
            self.counters,
            StallLog(ProducerSettings(**settings), self.counters),
            max_age_s=0.5,
            on_ended=self.ends.append,
            pools=pools,
            now_ns=now_ns,
        )

    def run(self) -> list[EncodedFrame]:
        self.encode.start()
        assert self.encode.join(scaled(20))
        assert len(self.ends) == 1
        return self.publisher.published


def shot(age_ms: int = 10, picture: Any = PICTURE) -> Captured:
    return Captured(picture, UNIX_NS - age_ms * MS, NOW_NS - age_ms * MS)


@dataclass
class Branch:
    """A publisher's branch, and what is offered to its encoder."""

    alone: bool
    wanted: bool = True
    offered: list[Numbered] = field(default_factory=list)

    def offer(self, picture: Numbered) -> None:
        self.offered.append(picture)


@pytest.mark.parametrize("alone", [False, True])
def test_pools_get_the_frames_of_the_stream_which_is_encoded_only_for_others(alone: bool) -> None:
    branch = Branch(alone)
    bench = Bench(shot(), shot(), pools=branch)
    frames = bench.run()
    assert [each.header.seq for each in branch.offered] == [0, 1]
    assert {each.header.epoch for each in branch.offered} == {77}
    assert all(each.alone is alone for each in branch.offered)
    assert [frame.header for frame in frames] == ([] if alone else [each.header for each in branch.offered])
    assert bench.counters.stats(0).published == (0 if alone else 2), "alone, the pools' encoder counts"


def test_what_was_published_is_counted() -> None:
    bench = Bench(shot(), shot())
    frames = bench.run()
    assert bench.ends == [None]
    stats = bench.counters.stats(0)
    assert (stats.published, stats.published_bytes) == (2, sum(len(frame.body) for frame in frames))


def test_a_request_is_answered_with_the_next_frame() -> None:
    bench = Bench(*[shot() for _ in range(5)])
    publish = bench.publisher.publish

    def asking(frame: EncodedFrame) -> None:
        publish(frame)
        if frame.header.seq == 2:
            bench.keyframes.request()

    bench.publisher.publish = asking  # type: ignore[method-assign]
    assert [frame.header.key for frame in bench.run()] == [True, False, False, True, False]


def test_a_picture_that_became_too_old_is_dropped_and_leaves_no_gap() -> None:
    bench = Bench(shot(), shot(501), shot(500))
    assert [frame.header.seq for frame in bench.run()] == [0, 1]
    assert bench.counters.stats(0).stale == 1


def test_nothing_is_encoded_while_the_publisher_takes_nothing() -> None:
    bench = Bench(shot(), publisher=FakePublisher(answers=[False, False, False, True]))
    assert len(bench.run()) == 1


def test_the_end_of_an_unwatched_source_ends_it() -> None:
    bench = Bench(shot(), publisher=FakePublisher(answers=[False], watched=False))
    assert (bench.run(), bench.ends) == ([], [None])


def test_the_failure_of_the_publisher_ends_it() -> None:
    refused = BrokerRefused("no such vhost")
    bench = Bench(shot(), publisher=FakePublisher(failure=refused))
    assert (bench.run(), bench.ends) == ([], [refused])


def test_a_picture_that_cannot_be_sent_ends_it_with_a_reason() -> None:
    bench = Bench(shot(picture=np.zeros((2160, 3840, 3), np.uint8)), codec=Codec.RAW)
    assert bench.run() == []
    assert "use --codec h264" in str(bench.ends[0])


def test_it_can_be_stopped() -> None:
    bench = Bench(shot(), publisher=FakePublisher(answers=[False] * 10**7))
    bench.encode.start()
    bench.encode.stop(scaled(10))
    assert bench.ends == [None]


UNKNOWN = av.VideoFrame(64, 48, "bgr4")


def test_after_a_picture_that_cannot_be_encoded_comes_a_keyframe(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(shot(), shot(), shot(picture=UNKNOWN), shot(picture=UNKNOWN), shot(), shot())
    frames = bench.run()
    assert bench.ends == [None]
    assert [(f.header.seq, f.header.key) for f in frames] == [(0, True), (1, False), (2, True), (3, False)]
    receiving = decoder(Codec.H264)
    assert all(receiving.decode(frame).pixels().shape == (48, 64, 3) for frame in frames)
    assert bench.counters.stats(0).unencodable == 2
    assert caplog.messages == ["picture dropped: libx264 cannot encode (64, 48): Operation not supported"]


@pytest.mark.parametrize("first", [[], [shot()]])
def test_if_no_picture_can_be_encoded_for_three_seconds_it_ends(first: list[Captured]) -> None:
    seconds = itertools.count(5)
    bench = Bench(
        *first, *[shot(-60_000, UNKNOWN)] * 20, now_ns=lambda: next(seconds) * 1_000_000_000, max_age_s=3600
    )
    bench.run()
    if first:
        assert (bench.pictures.left, bench.ends) == ([], [None])
    else:
        assert "libx264 cannot encode" in str(bench.ends[0])
        assert 15 < len(bench.pictures.left) < 20
