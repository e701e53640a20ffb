"""Every picture of a producer is counted, once, by its outcome, whatever the source."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fanlight.common.model.errors import EncodeError
from fanlight.common.model.frame import MAX_SIDE, Codec
from fanlight.producer import Producer
from fanlight.producer.pipeline import Pipeline
from fanlight.producer.settings import ProducerSettings
from fanlight.producer.source import make_source
from fanlight.producer.stats import Drop, ProducerStats
from tests.support.broker import tcp_url
from tests.support.media_server import mjpeg_over_http
from tests.support.tcp_wire import RawClient
from tests.support.timing import scaled, wait_until
from tests.unit.producer.source.footage import wipe_packets, write_clip

pytestmark = pytest.mark.brokerless

PICTURE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.fixture(params=["threads", "multiplex"])
def url(request: pytest.FixtureRequest) -> str:
    return tcp_url(request.param)


@contextmanager
def viewer(url: str) -> Iterator[None]:
    """A client that reads stream `cam`."""
    with RawClient(url, "cam") as client:

        def read() -> None:
            with contextlib.suppress(EOFError, OSError):
                while True:
                    client.read()

        thread = threading.Thread(target=read)
        thread.start()
        yield
        client.sock.shutdown(socket.SHUT_RDWR)
        thread.join(scaled(10))


def accounted(stats: ProducerStats) -> int:
    dropped: int = sum(getattr(stats, why) for why in Drop)
    return stats.published + dropped


def played(url: str, source: str, pictures: int | None = None, fps: float | None = 200) -> ProducerStats:
    """What a watched producer counts until its source ends, or has given so many pictures."""
    settings = ProducerSettings(url=url, codec=Codec.JPEG)
    pipeline = Pipeline(settings, make_source(source, loop=False, fps=fps, size=None))
    pipeline.start()
    try:
        with viewer(url):
            if pictures is None:
                assert pipeline.ended.wait(scaled(20))
            else:
                wait_until(lambda: pipeline.stats().captured >= pictures, 20, f"{pictures} pictures")
    finally:
        pipeline.stop()
    return pipeline.stats()


def test_pictures_of_an_unwatched_program_are_all_counted(url: str) -> None:
    with Producer(url=url) as out:
        for _ in range(300):
            out.send(PICTURE)
    stats = out.stats()
    assert (stats.captured, stats.unwatched, stats.published) == (300, 300, 0)


def test_pictures_of_a_watched_program_are_all_counted(url: str) -> None:
    with Producer(url=url, max_age_s=10) as out, viewer(url):
        wait_until(lambda: out.watched, 20, "a viewer")
        for number in range(300):
            out.send(PICTURE, capture_ns=time.time_ns() - 11 * 10**9 if number % 50 == 26 else None)
            if number % 10 == 0:
                wait_until(
                    lambda: out.stats().captured - accounted(out.stats()) == 0, 10, "all are counted"
                )
    stats = out.stats()
    assert stats.captured == accounted(stats) == 300
    assert stats.published >= 20
    assert stats.skipped > 0


def test_a_picture_that_is_refused_at_the_call_is_not_counted(url: str) -> None:
    with Producer(url=url) as out:
        out.send(PICTURE)
        with pytest.raises(EncodeError, match="pixels a side"):
            out.send(np.zeros((2, MAX_SIDE + 2, 3), np.uint8))
    assert out.stats().captured == 1


def test_at_most_two_pictures_are_in_progress_at_any_time(url: str) -> None:
    with Producer(url=url) as out, viewer(url):
        for _ in range(300):
            out.send(PICTURE)
            stats = out.stats()
            assert 0 <= stats.captured - accounted(stats) <= 2


def test_images_that_cannot_be_read_are_counted(url: str, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.pgm").write_bytes(b"P5 64 48 255 " + bytes(64 * 48 if number % 4 else 9))
    stats = played(url, str(tmp_path))
    assert stats.captured == accounted(stats) == 40
    assert stats.unreadable == 10


def test_packets_that_cannot_be_decoded_are_counted(url: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", 40)
    wipe_packets(clip, range(5, 8))
    stats = played(url, str(clip))
    assert stats.captured == accounted(stats) == 40
    assert stats.unreadable == 3


def test_pictures_above_the_wanted_rate_are_counted(url: str) -> None:
    with mjpeg_over_http(fps=30) as server:
        stats = played(url, server.url, pictures=60, fps=5)
    assert stats.captured == accounted(stats)
    assert stats.limited > 0
