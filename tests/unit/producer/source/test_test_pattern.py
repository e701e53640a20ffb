from __future__ import annotations

import itertools
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fanlight.producer.source.test_pattern import TestPattern, TestPatternSource, time_of_day
from fanlight.producer.source.text import HEIGHT, WIDTH
from tests.support.timing import scaled
from tests.unit.producer.source.footage import START_NS, SteppedClock, number_of

SECOND = 1_000_000_000


@pytest.mark.parametrize("size", [(1280, 720), (641, 481), (64, 48), (17, 300), (300, 16), (1, 1), (2, 3)])
def test_every_size_can_be_drawn(size: tuple[int, int]) -> None:
    pattern = TestPattern(size, 30)
    for number in range(0, 240, 7):
        image = pattern.draw(number, START_NS)
        assert image.shape == (size[1], size[0], 3)
        assert image.dtype == np.uint8


def test_the_number_and_the_time_are_drawn_in_the_panel() -> None:
    pattern = TestPattern((640, 480), 30)
    images = [pattern.draw(number, START_NS) for number in (1, 7)]
    images.append(pattern.draw(1, START_NS + 9 * 60 * SECOND))
    panel = [image[pattern._panel, 120:520] for image in images]
    # The last digit of the upper line; the minutes of the lower one.
    upper, lower = (np.argwhere((panel[0] != other).any(axis=2)) for other in panel[1:])
    assert upper[:, 0].max() < lower[:, 0].min()
    assert (np.ptp(upper, axis=0) < (HEIGHT * pattern._scale, WIDTH * pattern._scale, 1)[:2]).all()


def test_the_time_of_day_has_milliseconds() -> None:
    assert re.fullmatch(r"\d\d:\d\d:20\.045", time_of_day(START_NS + 45_678_000))


def test_something_moves_in_every_picture() -> None:
    pattern = TestPattern((640, 480), 30)
    bars = slice(0, pattern._panel.start)
    pictures = [pattern.draw(n, START_NS)[bars].tobytes() for n in range(30)]
    assert all(a != b for a, b in itertools.pairwise(pictures))


def opened(fps: float = 25) -> tuple[TestPatternSource, SteppedClock]:
    clock = SteppedClock()
    source = TestPatternSource((64, 48), fps=fps, clock=clock)
    source.open()
    return source, clock


def test_the_rate_is_exact_and_the_number_starts_over_when_opened_again() -> None:
    source, clock = opened()
    captured = [source.read() for _ in range(26)]
    assert [number_of(each) for each in captured] == list(range(26)), "none is drawn over another"
    assert clock.deadlines_ms == [40 * number for number in range(26)]
    assert [c.capture_ns - START_NS for c in captured if c is not None] == [
        (50_000 + 40 * number) * 1_000_000 for number in range(26)
    ]
    source.open()
    assert number_of(source.read()) == 0


def test_a_late_reader_gets_the_present_time() -> None:
    source, clock = opened()
    source.read()
    clock.now_ns += 3 * SECOND
    captured = source.read()
    assert captured is not None
    assert captured.capture_ns == START_NS + 53 * SECOND


def test_an_interrupt_ends_a_read() -> None:
    source = TestPatternSource((64, 48), fps=0.001)
    source.open()
    assert source.read() is not None
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(source.read)
        source.interrupt()
        assert reading.result(timeout=scaled(50)) is None
