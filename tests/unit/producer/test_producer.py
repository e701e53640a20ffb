from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from fanlight import producer
from fanlight.common.model.errors import EncodeError
from fanlight.producer import Producer
from tests.support.broker import tcp_url

Image = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def image(level: int, shape: tuple[int, ...] = (48, 64, 3)) -> Image:
    return np.full(shape, level, np.uint8)


@pytest.fixture
def out() -> Iterator[Producer]:
    """Nobody watches."""
    with Producer(url=tcp_url("multiplex")) as started:
        yield started


@pytest.mark.parametrize("name", producer.__all__)
def test_what_the_package_offers_is_there(name: str) -> None:
    assert getattr(producer, name).__name__ == name


def test_what_it_does_not_offer_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'fanlight\.producer' has no attribute 'Nobody'"):
        getattr(producer, "Nobody")  # noqa: B009 - a checker would see it


def test_importing_the_package_loads_no_codec_and_no_client() -> None:
    code = "import sys, producer; sys.exit(bool({'av', 'cv2', 'numpy', 'pika'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_picture_that_was_sent_is_counted(out: Producer) -> None:
    for level in range(5):
        out.send(image(level))
    stats = out.stats()
    assert (stats.captured, stats.unwatched) == (5, 4)


@pytest.mark.parametrize("wrong", [np.zeros((48, 64, 3)), image(1, (48, 64, 2))])
def test_what_is_no_image_is_refused_at_once_and_not_counted(out: Producer, wrong: Image) -> None:
    with pytest.raises(EncodeError, match=r"float64|shape"):
        out.send(wrong)
    assert out.stats().captured == 0
