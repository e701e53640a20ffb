"""A consumer put together, with a hub of its own and no producer at its URL."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.errors import BrokerRefused
from fanlight.common.shm.names import RingName, source_of
from fanlight.consumer.reception import Reception
from fanlight.consumer.settings import ConsumerSettings, PlayoutMode, Via
from tests.support.timing import scaled
from tests.unit.consumer.build import Hub, sharing

DELAY_S = 0.15


@pytest.fixture
def url() -> Iterator[str]:
    """That of a port which is taken, but not listened at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"tcp+multiplex://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def viewer(url: str, **more: Any) -> Iterator[Reception]:
    reception = Reception(ConsumerSettings(url=url, **more))
    reception.start()
    try:
        yield reception
    finally:
        reception.stop()


def ring(url: str) -> RingName:
    settings = ConsumerSettings(url=url)
    return RingName(settings.stream, settings.picture_format, source_of(settings.address))


@pytest.fixture
def hub(url: str) -> Iterator[Hub]:
    with sharing(ring(url)) as hub:
        hub.share(1)
        yield hub


def test_frames_of_a_hub_are_presented_and_counted(url: str, hub: Hub) -> None:
    with viewer(url, via=Via.HOST) as reception:
        frame = reception.take(scaled(10))
        assert frame is not None
        assert (frame.seq, frame.epoch, frame.lost, frame.valid) == (1, 1, 0, True)
        assert np.all(frame.image == 1)
        assert 0.005 <= frame.age_s < 0.5
        hub.share(4)
        frame = reception.take(scaled(10))
        assert frame is not None
        assert (frame.seq, frame.lost) == (4, 2)
        hub.share(5)
        frame = reception.take(scaled(10))
        assert frame is not None
        assert frame.lost == 0, "since the frame before"
        stats = reception.stats()
        assert (stats.presented, stats.received, stats.received_bytes, stats.lost) == (3, 3, 0, 2)
        assert (stats.shared, stats.skew_p50_s) == (True, None)
        assert (reception.ended, reception.failure, reception.queued) == (False, None, 0)


def test_under_sync_a_picture_is_presented_at_its_time(url: str, hub: Hub) -> None:
    with viewer(url, playout=PlayoutMode.SYNC, delay_s=DELAY_S, max_age_s=5.0) as reception:
        captured_ns = monotonic_ns()
        hub.share(2, age_ms=0, now_ns=captured_ns)
        seqs = []
        while 2 not in seqs:
            frame = reception.take(scaled(10))
            assert frame is not None
            seqs.append(frame.seq)
        assert monotonic_ns() - captured_ns >= DELAY_S * 1e9
        assert reception.stats().skew_p50_s is not None


def test_stopping_ends_the_wait_for_a_frame(url: str) -> None:
    with viewer(url) as reception:
        reception.stop()
        assert reception.ended
        assert reception.take() is None
        assert reception.failure is None


def test_a_refusal_for_good_ends_it_with_the_error(url: str) -> None:
    with viewer(url) as reception:
        error = BrokerRefused("no")
        reception._receiver.on_failed(error)
        assert reception.take() is None
        assert (reception.ended, reception.failure) == (True, error)
