from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fanlight.common.model.address import DEFAULT_URL
from fanlight.common.model.errors import EncodeError, StreamEnded
from fanlight.producer import Producer
from tests.support.broker import tcp_url

Image = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def image(level: int, shape: tuple[int, ...] = (48, 64, 3)) -> Image:
    return np.full(shape, level, np.uint8)


@pytest.fixture
def out() -> Iterator[Producer]:
    """Without consumers."""
    with Producer(url=tcp_url("multiplex")) as started:
        yield started


@pytest.mark.parametrize("wrong", [np.zeros((48, 64, 3)), image(1, (48, 64, 2))])
def test_other_arrays_are_refused_at_once_and_not_counted(out: Producer, wrong: Image) -> None:
    with pytest.raises(EncodeError, match=r"float64|shape"):
        out.send(wrong)
    assert out.stats().captured == 0


@pytest.mark.parametrize("url", [DEFAULT_URL, tcp_url("multiplex"), tcp_url("threads")])
def test_close_before_start_is_final_and_joins_no_thread(url: str) -> None:
    unstarted = Producer(url=url)
    unstarted.close()
    unstarted.close()
    with pytest.raises(StreamEnded, match="cannot be started"):
        unstarted.start()
    with pytest.raises(StreamEnded, match="was closed"):
        unstarted.send(image(1))
    assert unstarted.failure is None


def test_a_second_start_does_nothing(out: Producer) -> None:
    assert out.start() is out


def test_close_ends_it_and_the_old_name_warns(out: Producer) -> None:
    out.close()
    with pytest.raises(StreamEnded, match="was closed"):
        out.send(image(1))
    with pytest.deprecated_call(match=r"now called close\(\)"):
        out.stop()
