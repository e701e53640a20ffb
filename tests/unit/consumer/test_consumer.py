from __future__ import annotations

import gc
import math
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fanlight import ConfigError, Consumer, FanlightError
from tests.support.broker import tcp_url
from tests.support.life_cycles import check_every_order, entered
from tests.support.timing import scaled, wait_until
from tests.support.usage import usage

URL = tcp_url("multiplex")
NOBODY = "amqp://u:p@127.0.0.1:1/v"
CALLS: dict[str, Callable[[Consumer], object]] = {
    "start": Consumer.start,
    "read": lambda consumer: consumer.read(timeout_s=0),
    "iterate": iter,
    "with": entered,
    "stats": Consumer.stats,
    "close": Consumer.close,
}


@usage("Consumer", "end", "`StreamEnded`, but `close`, `stats`")
@pytest.mark.parametrize(("url", "most"), [(URL, 4), (NOBODY, 3)])
def test_every_order_of_calls_works_or_says_that_it_was_closed(url: str, most: int) -> None:
    check_every_order(lambda: Consumer(url=url), CALLS, most)


BAD_TIMES: list[Any] = [-1, -0.001, math.nan, math.inf, "1", "1s", True, (1,), 10**400, object()]


@pytest.mark.parametrize("timeout_s", BAD_TIMES)
def test_a_timeout_that_cannot_be_used_is_refused(timeout_s: Any) -> None:
    with Consumer(url=URL) as consumer, pytest.raises(ConfigError, match=r"^timeout_s .*number of seconds"):
        consumer.read(timeout_s=timeout_s)


@pytest.mark.parametrize("timeout_s", [0, 0.0, np.float32(0.001), np.int64(0)])
def test_a_timeout_may_be_any_number(timeout_s: float) -> None:
    with Consumer(url=URL) as consumer:
        assert consumer.read(timeout_s=timeout_s) is None


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        *(("trust", wrong) for wrong in (None, 5, ["a", 5], [""], [b"a"])),
        *((name, wrong) for name in ("share", "zero_copy") for wrong in (None, 2, "maybe", [], object())),
        *((name, wrong) for name in ("delay_s", "max_age_s") for wrong in (None, 0, -1, math.nan, True)),
        *(("max_pixels", wrong) for wrong in (0, 1.5, True, None)),
        *((name, wrong) for name in ("playout", "via", "format") for wrong in (None, 5, "", "nothing")),
    ],
)
def test_an_argument_that_cannot_be_used_is_one_line(argument: str, wrong: Any) -> None:
    arguments: dict[str, Any] = {"url": URL, argument: wrong}
    with pytest.raises(ConfigError) as caught:
        Consumer(**arguments)
    assert argument.removesuffix("_s").replace("_", "-") in str(caught.value).replace("_", "-")
    assert "\n" not in str(caught.value)


def test_a_read_that_waits_ends_as_soon_as_another_thread_closes() -> None:
    consumer = Consumer(url=URL).start()
    told: list[str] = []

    def read() -> None:
        try:
            consumer.read()
        except FanlightError as error:
            told.append(type(error).__name__)

    readers = [threading.Thread(target=read, daemon=True) for _ in range(4)]
    for reader in readers:
        reader.start()
    consumer.close()
    for reader in readers:
        reader.join(scaled(20))
    assert told == ["StreamEnded"] * 4


def test_a_consumer_that_nobody_keeps_ends() -> None:
    before = threading.active_count()
    consumer = Consumer(url=URL).start()
    gone = weakref.ref(consumer)
    del consumer
    gc.collect()
    assert gone() is None
    wait_until(lambda: threading.active_count() <= before, 20, "its thread has ended")
