"""A consumer refuses what is larger than it was told to take, says so and counts it; on every way."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest

from fanlight.consumer import Consumer
from fanlight.producer import Producer
from tests.support.broker import tcp_url
from tests.support.timing import scaled, wait_until

SMALL, LARGE = np.zeros((48, 64, 3), np.uint8), np.zeros((480, 640, 3), np.uint8)


@pytest.fixture(params=["broker", "threads", "multiplex"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "broker":
        return str(request.getfixturevalue("broker_url"))
    return tcp_url(request.param)


@pytest.mark.parametrize(
    ("limits", "said"),
    [({"max_pixels": 64 * 48}, "up to 3072 pixels"), ({"max_body_bytes": 10_000}, "10000 bytes")],
)
def test_what_is_too_large_is_refused_and_counted_and_the_rest_comes(
    url: str, stream: str, limits: dict[str, int], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    picture, ended = [LARGE], threading.Event()
    with (
        caplog.at_level(logging.WARNING),
        Producer(stream=stream, codec="raw", url=url, max_age_s=5) as producer,
        Consumer(stream=stream, url=url, via="broker", max_age_s=5, **limits) as consumer,  # type: ignore[arg-type]
    ):

        def send() -> None:
            while not ended.wait(0.05):
                producer.send(picture[0])

        sending = threading.Thread(target=send)
        sending.start()
        try:
            wait_until(lambda: consumer.read(0.1) is None and consumer.stats().malformed, 20)
            assert consumer.stats().presented == 0
            assert said in caplog.text
            picture[0] = SMALL
            frame = consumer.read(scaled(20))
            assert frame is not None
            assert frame.image.shape == SMALL.shape
        finally:
            ended.set()
            sending.join()
