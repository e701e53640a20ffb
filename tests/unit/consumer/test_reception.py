"""How a consumer put together ends, with no producer at its URL; what it presents: tests/integration."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fanlight.common.model.errors import BrokerRefused
from fanlight.consumer.reception import Reception
from fanlight.consumer.settings import ConsumerSettings


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
