"""Something else listens where the producer should, without a broker: said in a line, and outlasted."""

from __future__ import annotations

import itertools
import logging
import random
from contextlib import ExitStack
from typing import Final

import pytest

from fanlight.consumer import Consumer
from tests.integration.test_pipeline import of_epoch, on_air, read
from tests.support.broker import tcp_url
from tests.support.tcp_producer import Impostor, frame_table
from tests.support.tcp_wire import FRAME, PREFIX, REFUSAL, WELCOME, packed
from tests.support.timing import wait_until

pytestmark = pytest.mark.brokerless

SUBSCRIBER = "fanlight.common.transport.tcp.subscriber"
NO_PRODUCER = "is not a producer of Fanlight"
HUGE: Final = 2**32 - 1
DESIGNS = itertools.cycle(["threads", "multiplex"])

# What it answers, and what the consumer says about it.
ANSWERS: Final = {
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", f"{NO_PRODUCER}: magic is b'HT"),
    "random bytes": (random.Random(4).randbytes(5000), f"{NO_PRODUCER}: magic is"),
    "a body of 4 GiB": (
        packed(WELCOME, {}) + PREFIX.pack(b"FL", 1, FRAME, 300, HUGE),
        f"body size is {HUGE}",
    ),
    "a JSON object of 4 GiB": (PREFIX.pack(b"FL", 1, WELCOME, HUGE, 0), f"header size is {HUGE}"),
    "a later version": (PREFIX.pack(b"FL", 2, WELCOME, 0, 0), "version is 2"),
    "a kind that there is not": (PREFIX.pack(b"FL", 1, 99, 0, 0), "kind is 99"),
    "a frame instead of a welcome": (packed(FRAME, frame_table("s"), b"x"), "kind is 'frame'"),
    "a refusal": (packed(REFUSAL, {"reason": "nobody home"}), "refused: nobody home"),
    "half a welcome": (packed(WELCOME, {})[:7], "the other side ended the connection"),
    "a goodbye": (b"", "the other side ended the connection"),
    "silence": (None, "no welcome"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_what_is_no_producer_is_told_and_outlasted(
    stream: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    caplog.set_level(logging.INFO)
    answer, said = ANSWERS[what]
    if answer is None:
        monkeypatch.setattr(f"{SUBSCRIBER}._WELCOME_TIMEOUT_S", 0.4)
    url = tcp_url(next(DESIGNS))
    with ExitStack() as stack:
        with Impostor(url, answer) as impostor:
            consumer = stack.enter_context(Consumer(stream, "c1", url=url))
            wait_until(lambda: impostor.visits >= 3, 20, "it tries again")
            stats = consumer.stats()
        assert stats.received == 0
        with on_air(stream, url, "jpeg") as (out, _):
            read(consumer, 2, of_epoch(out.epoch))
        assert consumer.stats().malformed == 0  # it is no message of the stream
    lines = [record.getMessage() for record in caplog.records if record.name == SUBSCRIBER]
    assert any(said in line and url in line and "attempt" in line for line in lines), lines
    assert all(line.isprintable() for line in lines)
