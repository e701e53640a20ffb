from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from producer.source.digits import Digits
from producer.source.test_pattern import TestPattern
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
