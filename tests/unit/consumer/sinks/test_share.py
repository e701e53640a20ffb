"""`share`: what it writes, where and when. What viewers get is in tests/integration/test_hub.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fanlight.common.clock import monotonic_ns, wall_ns
from fanlight.common.model.errors import SinkError
from fanlight.common.model.pixels import FULL_BGR
from fanlight.common.shm import private_folder
from fanlight.common.shm.layout import CODECS
from fanlight.common.shm.locks import Leadership, segments
from fanlight.common.shm.names import RingName, source_of
from fanlight.common.shm.private_folder import ring_folder
from fanlight.common.shm.reader import Attachment
from fanlight.consumer.frame import Frame
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.sink_spec import SinkSpec
from fanlight.consumer.sinks.share import ShareSink
from tests.unit.common.shm.build import memory_of
from tests.unit.consumer.sinks.build import FPS, STATS, header

INTERVAL_NS = round(1e9 / FPS)
IMAGE = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)


@pytest.fixture
def settings(stream: str) -> ConsumerSettings:
    return ConsumerSettings(stream=stream, url="tcp+multiplex://127.0.0.1:7999", sinks=(SinkSpec("share"),))


@pytest.fixture
def ring(settings: ConsumerSettings) -> RingName:
    return RingName(settings.stream, settings.picture_format, source_of(settings.address))


@pytest.fixture
def sink(settings: ConsumerSettings) -> Iterator[ShareSink]:
    sink = ShareSink(settings, lambda: STATS)
    yield sink
    sink.close()


def frame(seq: int) -> Frame:
    presented_ns = wall_ns()
    return Frame(IMAGE, header(seq), presented_ns - 1000, presented_ns, 0.25, 0)


def test_a_picture_is_shared_with_what_belongs_to_it(sink: ShareSink, ring: RingName) -> None:
    assert segments(ring) == [], "nothing to look at before the first frame"
    before_ns = monotonic_ns()
    sink.present(frame(0))
    sink.present(frame(1))
    after_ns = monotonic_ns()
    (name,) = segments(ring)
    attachment = Attachment(name, FULL_BGR)
    assert attachment.newest == 2
    assert attachment.header.epoch == header().epoch
    assert before_ns <= attachment.liveness_ns <= after_ns
    slot = attachment.slot(2)
    assert slot is not None
    expected = header(1)
    assert (slot.seq, slot.capture_ns, slot.fps) == (1, expected.capture_ns, expected.fps)
    assert (CODECS[slot.codec_number], slot.keyframe) == (expected.codec, expected.key)
    assert before_ns <= slot.captured_ns + 250_000_000 <= after_ns, "by the clock of this host"
    assert np.array_equal(attachment.picture(2).image, IMAGE)
    sink.close()
    assert not attachment.liveness_ns
    assert not list(ring_folder().glob(f"{ring.stream}.*"))


def test_it_is_alive_as_long_as_its_viewers_are_well_served(
    settings: ConsumerSettings, ring: RingName
) -> None:
    now_ns = 1_000_000_000_000
    stats = STATS
    sink = ShareSink(settings, lambda: stats, lambda: now_ns)
    try:
        sink.present(frame(0))
        attachment = Attachment(segments(ring)[0], FULL_BGR)
        for step_ns, connected, frames_come, is_live in (
            (100_000_000, True, False, True),
            (5_000_000_000, True, False, True),  # nothing to share
            (100_000_000, False, False, False),
            (100_000_000, True, True, True),
            (400_000_000, True, True, False),  # frames come and none is shared
        ):
            now_ns += step_ns
            stats = replace(stats, connected=connected, received=stats.received + frames_come)
            assert sink.tick()
            assert (attachment.liveness_ns == now_ns) == is_live
        sink.present(frame(1))
        sink.tick()
        assert attachment.liveness_ns == now_ns
    finally:
        sink.close()


@pytest.mark.parametrize("damage", ["truncate", "delete", "delete all"])
def test_files_that_somebody_damages_are_replaced(
    sink: ShareSink, settings: ConsumerSettings, ring: RingName, damage: str
) -> None:
    sink.present(frame(0))
    (name,) = segments(ring)
    before = Attachment(name, FULL_BGR)
    if damage == "truncate":
        os.truncate(ring_folder() / name, 0)
    else:
        (ring_folder() / name).unlink()
    if damage == "delete all":
        (ring_folder() / ring.lock).unlink()
    sink.tick()
    sink.present(frame(1))
    (name,) = segments(ring)
    assert Attachment(name, FULL_BGR).newest == 1
    assert (before.liveness_ns, before.alive) == (0, False), "its viewers go on with the new one"
    assert not Leadership(ring).acquire(), "it still leads"


def test_a_folder_that_is_not_ours_is_reported_once_and_used_when_it_is(
    settings: ConsumerSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_ns = 1_000_000_000_000
    monkeypatch.setattr(private_folder, "SHARED_MEMORY", tmp_path)
    ring_folder().mkdir()
    ring_folder().chmod(0o755)
    sink = ShareSink(settings, lambda: STATS, lambda: now_ns)
    for _ in range(3):
        assert sink.tick()
        sink.present(frame(0))
    (line,) = caplog.messages
    assert "remove it; consumers get the stream itself" in line
    ring_folder().chmod(0o700)
    now_ns += 5_000_000_000
    sink.tick()
    sink.present(frame(1))
    assert len(list(ring_folder().iterdir())) == 2
    sink.close()
    assert not ring_folder().exists()


def test_without_shared_memory_there_is_no_sink(
    settings: ConsumerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_folder, "SHARED_MEMORY", tmp_path / "missing")
    with pytest.raises(SinkError, match="share needs Linux and"):
        ShareSink(settings, lambda: STATS)


def test_slots_that_a_burst_needed_are_given_back(settings: ConsumerSettings, ring: RingName) -> None:
    now_ns = 1_000_000_000_000
    sink = ShareSink(settings, lambda: STATS, lambda: now_ns)

    def size() -> int:
        return sum(len(memory_of(ring_folder() / name)) for name in segments(ring))

    def present(step_ns: int, frames: int) -> None:
        nonlocal now_ns
        for seq in range(frames):
            now_ns += step_ns
            sink.present(Frame(IMAGE, header(seq), now_ns, now_ns, 0.01, 0))

    try:
        present(INTERVAL_NS, 60)
        usual = size()
        assert usual > IMAGE.nbytes * FPS // 2
        present(INTERVAL_NS // 5, 200)
        assert size() > 2 * usual
        present(INTERVAL_NS, 60)
        assert size() > 2 * usual, "not at once: it may come again"
        present(INTERVAL_NS, 20 * int(FPS))
        assert size() == usual
        present(INTERVAL_NS // 2, 20 * int(FPS))
        assert size() > usual, "nor while the source is faster than it says"
    finally:
        sink.close()


def test_the_end_is_passed_on_and_withdrawn_when_frames_come_again(
    settings: ConsumerSettings, ring: RingName
) -> None:
    ended = False
    sink = ShareSink(settings, lambda: replace(STATS, connected=True), ended=lambda: ended)
    try:
        sink.present(frame(0))
        attachment = Attachment(segments(ring)[0], FULL_BGR)
        for ended in (False, True, False):
            sink.tick()
            assert attachment.ended is ended
        ended = True
    finally:
        sink.close()
    assert attachment.ended, "of a hub that ends with its stream, too"
