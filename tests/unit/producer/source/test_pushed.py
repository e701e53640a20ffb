from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from common.errors import EncodeError
from producer.source import pushed as module
from producer.source.pushed import PushedSource
from tests.support.timing import scaled


def image(
    level: int, shape: tuple[int, ...] = (48, 64, 3)
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full(shape, level, np.uint8)


def read_level(source: PushedSource) -> int:
    captured = source.read()
    assert captured is not None
    assert isinstance(captured.picture, np.ndarray)
    assert captured.picture.shape == (48, 64, 3)
    return int(captured.picture[0, 0, 0])


def test_hands_on_what_was_pushed() -> None:
    source = PushedSource()
    for level in (1, 2, 3):
        source.push(image(level))
        assert read_level(source) == level
    assert source.skipped == 0


def test_the_newest_wins_and_the_skipped_are_counted() -> None:
    source = PushedSource()
    for level in (1, 2, 3):
        source.push(image(level))
    assert read_level(source) == 3
    assert source.skipped == 2


def test_the_capture_time_travels_with_the_picture() -> None:
    source = PushedSource()
    source.push(image(1), 123_456_789)
    captured = source.read()
    assert captured is not None
    assert captured.capture_ns == 123_456_789


def test_without_a_capture_time_it_is_the_time_of_the_push(monkeypatch: pytest.MonkeyPatch) -> None:
    source = PushedSource()
    monkeypatch.setattr(module, "wall_ns", lambda: 42)
    source.push(image(1))
    monkeypatch.setattr(module, "wall_ns", lambda: 99)
    captured = source.read()
    assert captured is not None
    assert captured.capture_ns == 42


@pytest.mark.parametrize("shape", [(48, 64, 3), (48, 64, 4), (48, 64, 1), (48, 64)])
def test_the_caller_may_draw_into_the_image_again(shape: tuple[int, ...]) -> None:
    source = PushedSource()
    mine = image(7, shape)
    source.push(mine)
    mine[:] = 200
    assert read_level(source) == 7


def test_what_is_no_image_is_refused_at_once() -> None:
    source = PushedSource()
    with pytest.raises(EncodeError, match="float64"):
        source.push(np.zeros((48, 64, 3)))
    with pytest.raises(EncodeError, match="shape"):
        source.push(image(1, (48, 64, 2)))
    source.end()
    assert source.read() is None


def test_after_the_end_the_last_picture_still_comes() -> None:
    source = PushedSource()
    source.push(image(5))
    source.end()
    assert read_level(source) == 5
    assert source.read() is None


def test_a_read_waits_for_a_push() -> None:
    source = PushedSource()
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read_level, source)
        source.push(image(9))
        assert reading.result(timeout=scaled(10)) == 9


@pytest.mark.parametrize("how", ["interrupt", "end"])
def test_a_waiting_read_ends(how: str) -> None:
    source = PushedSource()
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(source.read)
        getattr(source, how)()
        assert reading.result(timeout=scaled(10)) is None
