from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from fanlight import ConfigError, Consumer, EncodeError, Producer, StreamEnded
from fanlight.common.model.address import DEFAULT_URL
from tests.support.broker import tcp_url
from tests.support.life_cycles import check_every_order, entered
from tests.support.timing import scaled, wait_until
from tests.support.usage import usage

Image = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
URL = tcp_url("multiplex")
NOBODY = "amqp://u:p@127.0.0.1:1/v"
CALLS: dict[str, Callable[[Producer], object]] = {
    "start": Producer.start,
    "send": lambda out: out.send(image(1)),
    "with": entered,
    "with start": lambda out: out.start().__enter__(),
    "stats": Producer.stats,
    "close": Producer.close,
}


def image(level: int, shape: tuple[int, ...] = (48, 64, 3)) -> Image:
    return np.full(shape, level, np.uint8)


@pytest.fixture
def out() -> Iterator[Producer]:
    """Without consumers."""
    with Producer(url=tcp_url("multiplex")) as started:
        yield started


class NoArray:
    """Like a PIL image."""

    size = (64, 48)


@pytest.mark.parametrize(
    "wrong",
    [
        *(None, 5, "x", b"x", [[1, 2], [3, 4]], NoArray(), memoryview(b"x"), np.uint8(5)),
        *(np.zeros((48, 64, 3), kind) for kind in (float, bool, np.int8, np.uint16, object)),
        *(image(1, shape) for shape in ((), (5,), (0, 5), (5, 0, 3), (48, 64, 2), (4, 4, 3, 1))),
        image(1, (20_000, 2, 3)),
        np.broadcast_to(np.uint8(1), (6000, 6000)),  # more pixels than a receiver accepts
        np.broadcast_to(np.uint8(1), (100_000, 100_000)),  # 10 GB, 28 as BGR
    ],
)
def test_what_is_no_picture_is_refused_in_one_line_and_not_counted(out: Producer, wrong: Any) -> None:
    with pytest.raises(EncodeError, match=r"^image (is|has) .*allowed") as caught:
        out.send(wrong)
    assert "\n" not in str(caught.value)
    assert out.stats().captured == 0


def test_a_picture_that_is_scaled_is_refused_only_where_no_converter_takes_it() -> None:
    with Producer(url=tcp_url("multiplex"), size=(64, 48)) as out:
        out.send(np.broadcast_to(np.uint8(1), (6000, 6000)))
        with pytest.raises(EncodeError, match=r"^image is 100000x100000: allowed"):
            out.send(np.broadcast_to(np.uint8(1), (100_000, 100_000, 3)))
    assert out.stats().captured == 1


@usage("Producer", "break", "without `close`: ends by itself")
def test_a_producer_left_without_close_frees_its_address() -> None:
    url = tcp_url("multiplex")
    address = ("127.0.0.1", urlsplit(url).port)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(address) == 0

    out = Producer(url=url)
    out.send(image(1))
    wait_until(listens, 20, "it listens")
    del out
    wait_until(lambda: not listens(), 20, "its address is free")


@pytest.mark.parametrize(
    "right",
    [
        image(1, (48, 64)),
        image(1, (48, 64, 4)),
        image(1)[::-1, ::2],
        np.ma.zeros((4, 4, 3), np.uint8),
    ],
)
def test_arrays_of_any_layout_are_taken(out: Producer, right: Image) -> None:
    out.send(right)
    assert out.stats().captured == 1


@pytest.mark.parametrize("wrong", [time.time(), time.time() * 1e9, time.monotonic_ns(), "now"])
def test_a_capture_time_that_is_none_is_refused(out: Producer, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"^capture_ns"):
        out.send(image(1), capture_ns=wrong)
    assert out.stats().captured == 0


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        *(("fps", wrong) for wrong in (0, -1, math.nan, math.inf, True, "x", (1,), 10**400, object())),
        *(("size", wrong) for wrong in ((0, 0), (-1, 5), (640,), (1, 2, 3), (640, 480.0), (True, True))),
        *(("size", wrong) for wrong in ({640, 480}, {640: 1, 480: 2}, "640", "0x0", b"640x480", 5)),
        *(("size", wrong) for wrong in ((100_000, 100_000), np.zeros(5), np.array([64.0, 48.0]))),
        *(("gop_s", wrong) for wrong in (None, 0, -1, math.nan, math.inf, True, "x")),
        *(("max_age_s", wrong) for wrong in (None, 0, -1, math.nan, math.inf, True, "x", 3601)),
        *(("quality", wrong) for wrong in (-1, 52, 1.5, True, "x")),
        *(("payload_frames", wrong) for wrong in (0, 2, 1.5, True, None)),
        *(("stream", wrong) for wrong in (None, "", "a b", "S.results", "a" * 65, b"cam", 5, "é")),
        *(("codec", wrong) for wrong in (None, "", "vp9", 5)),
        *(("url", wrong) for wrong in ("", "x", 5, b"tcp+multiplex://127.0.0.1:1", True)),
        *((name, wrong) for name in ("password", "token") for wrong in ("", 5, b"x", ["a" * 20])),
        *((name, wrong) for name in ("ca", "cert", "key") for wrong in ("", 5, b"x", "\0")),
    ],
)
def test_an_argument_that_cannot_be_used_is_one_line(argument: str, wrong: Any) -> None:
    arguments: dict[str, Any] = {"url": URL, argument: wrong}
    with pytest.raises(ConfigError) as caught:
        Producer(**arguments)
    said = str(caught.value)
    assert argument.removesuffix("_s").replace("_", "-") in said.lower().replace("_", "-")
    assert "\n" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        {"size": "640x480"},
        {"size": [640, 480]},
        {"size": np.array([640, 480])},
        {"size": (np.int64(640), np.int32(480)), "fps": np.float32(15), "quality": np.int8(30)},
        {"fps": Fraction(30000, 1001), "gop_s": "500ms", "max_age_s": np.float64(1)},
    ],
)
def test_numbers_of_any_kind_and_texts_of_the_command_line_are_taken(arguments: dict[str, Any]) -> None:
    with Producer(url=URL, **arguments) as out:
        out.send(image(1))
        assert out.stats().captured == 1


def test_the_stream_may_come_first_as_for_the_other_classes() -> None:
    with pytest.raises(ConfigError, match="--stream 'a b' cannot be used"):
        Producer("a b")


@pytest.mark.parametrize("stream", ["control", "streams"])
@pytest.mark.parametrize("kind", [Producer, Consumer])
def test_a_name_of_an_exchange_with_another_use_is_refused_at_a_broker(
    stream: str, kind: type[Producer | Consumer]
) -> None:
    with pytest.raises(ConfigError, match=f"^--stream '{stream}' .* fanlight.{stream} has another use"):
        kind(stream=stream, url=NOBODY)
    kind(stream=stream, url=URL).close()


@usage("Producer", "end", "`StreamEnded`, but `close`, `stats`")
@pytest.mark.parametrize("url", [tcp_url("threads"), URL, NOBODY])
def test_every_pair_of_calls_works_or_says_that_it_was_closed(url: str) -> None:
    check_every_order(lambda: Producer(url=url), CALLS, 2)


def test_every_longer_order_of_calls_works_or_says_that_it_was_closed() -> None:
    calls = {name: CALLS[name] for name in ("start", "send", "with", "close")}
    check_every_order(lambda: Producer(url=URL), calls, 3)


def test_send_starts_it() -> None:
    url = tcp_url("multiplex")
    out = Producer(url=url)
    with Consumer(url=url, via="broker") as consumer:
        deadline_s = time.monotonic() + scaled(10)
        while (frame := consumer.read(timeout_s=0.05)) is None and time.monotonic() < deadline_s:
            out.send(image(1))
        assert frame is not None
    out.close()


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
