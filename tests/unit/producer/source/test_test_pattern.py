from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest

from fanlight.producer.source import test_pattern as module
from fanlight.producer.source.digits import Digits
from fanlight.producer.source.test_pattern import TestPattern, TestPatternSource, read_frame_number
from tests.support.timing import scaled
from tests.unit.producer.source.footage import START_NS

SECOND = 1_000_000_000


@pytest.mark.parametrize("size", [(1280, 720), (641, 481), (64, 48), (17, 300), (300, 16), (1, 1), (2, 3)])
def test_every_size_can_be_drawn(size: tuple[int, int]) -> None:
    pattern = TestPattern(size, 30)
    for number in range(0, 240, 7):
        image = pattern.draw(number, START_NS)
        assert image.shape == (size[1], size[0], 3)
        assert image.dtype == np.uint8


def test_pictures_are_independent_of_each_other() -> None:
    pattern = TestPattern((320, 240), 30)
    first = pattern.draw(1, START_NS)
    kept = first.copy()
    pattern.draw(2, START_NS)
    assert (first == kept).all()


def test_the_number_is_readable_for_people() -> None:
    pattern = TestPattern((640, 480), 30)
    one, other = pattern.draw(1, START_NS), pattern.draw(7, START_NS)
    # The last digit of the upper line is all that changes within the panel.
    changed = np.argwhere((one != other).any(axis=2)[pattern._panel_top : pattern._panel_end, 120:520])
    rows, columns = np.ptp(changed, axis=0) + 1
    assert 0 < rows <= pattern._digits.height
    assert 0 < columns <= pattern._digits.advance


def test_the_time_is_burnt_in_to_the_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        lines = []
        monkeypatch.setattr(Digits, "draw", lambda _, __, text, *___: lines.append(text))
        TestPattern((640, 480), 30).draw(12, START_NS + 45_678_000)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert lines == ["#000012", "22:13:20.045"]


def test_something_moves_in_every_picture() -> None:
    pattern = TestPattern((640, 480), 30)
    bars = slice(0, pattern._panel_top)
    pictures = [pattern.draw(n, START_NS)[bars].tobytes() for n in range(30)]
    assert all(a != b for a, b in itertools.pairwise(pictures))


class TestSource:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Stepped time: waiting sets it to the deadline."""
        now = [50 * SECOND]

        def wait_until(deadline_ns: int, interrupted: threading.Event) -> bool:
            now[0] = max(now[0], deadline_ns)
            return not interrupted.is_set()

        monkeypatch.setattr(module, "monotonic_ns", lambda: now[0])
        monkeypatch.setattr(module, "wall_ns", lambda: START_NS + now[0])
        monkeypatch.setattr(module, "wait_until", wait_until)
        return now

    def test_keeps_its_rate_exactly(self, clock: list[int]) -> None:
        source = TestPatternSource((64, 48), fps=25)
        source.open()
        captured = [source.read() for _ in range(26)]
        assert clock[0] == 51 * SECOND
        times = [c.capture_ns for c in captured if c is not None]
        assert np.diff(times).tolist() == [40_000_000] * 25
        assert times[0] == START_NS + 50 * SECOND

    def test_a_late_reader_gets_the_time_it_is_now(self, clock: list[int]) -> None:
        source = TestPatternSource((64, 48), fps=25)
        source.open()
        source.read()
        clock[0] += 3 * SECOND
        captured = source.read()
        assert captured is not None
        assert captured.capture_ns == START_NS + 53 * SECOND

    def test_interrupt_ends_a_read(self) -> None:
        source = TestPatternSource((64, 48), fps=0.01)
        source.open()
        assert source.read() is not None
        timer = threading.Timer(0.02, source.interrupt)
        timer.start()
        started = time.monotonic()
        assert source.read() is None
        assert time.monotonic() - started < scaled(50)
        timer.join()

    def test_starts_over_when_opened_again(self, clock: list[int]) -> None:
        source = TestPatternSource((64, 48))
        for _ in range(2):
            source.open()
            captured = source.read()
            assert captured is not None
            assert isinstance(captured.picture, np.ndarray)
            assert read_frame_number(captured.picture) == 0
            source.close()
