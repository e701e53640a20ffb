"""Results ride on their frames: what real detectors found is compared with what follows from the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fanlight.consumer import Consumer, Frame
from fanlight.consumer.results import Results
from tests.support.detecting import Detecting, misplaced
from tests.support.marked_stream import Marking
from tests.support.timing import scaled

# Long enough that a loaded machine answers within it nearly always; what it does not is accounted for.
DELAY_S = 1.0
MAX_AGE_S = 2.0


@contextmanager
def detector(url: str, stream: str, name: str = "faces", **options: object) -> Iterator[Detecting]:
    consumer = Consumer(stream, f"{name}-in", url=url, via="broker")
    with Detecting(consumer, Results(stream, name, url=url)) as detecting:
        yield detecting


def read(consumer: Consumer, frames: int) -> list[Frame]:
    """Read until so many frames have come with results; all of them, in order."""
    read: list[Frame] = []
    found = 0
    while found < frames:
        frame = consumer.read(timeout_s=scaled(15))
        assert frame is not None, f"{found} of {frames} frames have results"
        read.append(frame)
        found += bool(frame.results)
    return read


def check(frames: list[Frame], max_age_s: float = MAX_AGE_S) -> None:
    assert [fault for frame in frames for fault in misplaced(frame)] == []
    keys = [(frame.epoch, frame.seq) for frame in frames]
    assert keys == sorted(set(keys))
    assert all(frame.age_s <= max_age_s for frame in frames)


@pytest.mark.parametrize("codec", ["raw", "h264"])
def test_under_sync_what_was_found_in_time_is_on_its_frame(
    broker_url: str, stream: str, codec: str
) -> None:
    with (
        Marking(broker_url, stream, codec=codec),
        Consumer(
            stream, "w", url=broker_url, via="broker", results=["faces"],
            playout="sync", delay_s=DELAY_S, max_age_s=MAX_AGE_S,
        ) as consumer,
        detector(broker_url, stream) as detecting,
    ):  # fmt: skip
        frames = read(consumer, 20)
        check(frames)
        first = next(at for at, frame in enumerate(frames) if frame.results)
        sent = set(detecting.sent)
        missing = [f.seq for f in frames[first:] if (f.epoch, f.seq) in sent and not f.results]
        counts = consumer.stats().results
        assert counts.presented == sum(len(frame.results) for frame in frames)
        assert len(missing) <= counts.late + detecting.out.stats().unsent
        assert not counts.duplicate + counts.overflow + counts.refused + counts.excess
