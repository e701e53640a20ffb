from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from fanlight.common.model.errors import ConfigError, FanlightError, SourceError
from fanlight.producer.capture import Capture
from fanlight.producer.source.base import Captured
from fanlight.producer.stats import Drops

PICTURE = np.zeros((4, 4, 3), np.uint8)

Script = list[int | Exception | None]
"""What one opening gives: pictures by their time, an error, or None for the end."""


class ScriptedSource:
    """Each opening plays its script; a script that runs out blocks until it is interrupted."""

    fps = 30.0

    def __init__(self, *openings: Script, live: bool = False) -> None:
        self.live = live
        self.drops = Drops()
        self.opened = 0
        self.closed = 0
        self.waiting = threading.Event()
        self._openings = [*openings]
        self._script: Script = []
        self._interrupted = threading.Event()

    def open(self) -> None:
        self.opened += 1
        self._script = [*self._openings.pop(0)] if self._openings else []
        if self._script and self._script[0] == -1:
            raise SourceError("camera 0 is not there")

    def read(self) -> Captured | None:
        if not self._script:
            self.waiting.set()
            self._interrupted.wait(30)
            return None
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        return None if step is None else Captured(PICTURE, step)

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self.closed += 1

    def __str__(self) -> str:
        return "camera 0"


class Bench:
    def __init__(self, source: ScriptedSource) -> None:
        self.source = source
        self.pictures: list[Captured] = []
        self.ended = threading.Event()
        self.failures: list[FanlightError] = []
        self.capture = Capture(
            source,
            on_picture=self.pictures.append,
            on_failed=self.failures.append,
            on_ended=self.ended.set,
        )

    def run(self) -> Bench:
        """Until the source ends, fails, or waits."""
        self.capture.start()
        for _ in range(3000):
            if self.ended.is_set() or self.source.waiting.wait(0.01):
                break
        self.capture.stop(10)
        return self

    @property
    def times(self) -> list[int]:
        return [captured.capture_ns for captured in self.pictures]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_delay(_: object) -> Iterator[float]:
        return itertools.repeat(0.0)

    monkeypatch.setattr("fanlight.producer.capture.backoff", no_delay)


def test_all_pictures_are_handed_on_until_the_source_ends() -> None:
    bench = Bench(ScriptedSource([1, 2, 3, None])).run()
    assert bench.ended.is_set()
    assert (bench.times, bench.failures) == ([1, 2, 3], [])
    assert bench.source.opened == 1
    assert bench.source.closed >= 1


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("script", [[-1], [SourceError("no picture")]])
def test_a_source_that_never_gave_a_picture_is_reported(live: bool, script: Script) -> None:
    bench = Bench(ScriptedSource(script, live=live)).run()
    assert [type(error) for error in bench.failures] == [SourceError]
    assert bench.ended.is_set()
    assert bench.source.opened == 1


def test_a_file_that_breaks_off_is_reported() -> None:
    bench = Bench(ScriptedSource([1, SourceError("damaged")])).run()
    assert [str(error) for error in bench.failures] == ["damaged"]
    assert bench.times == [1]


def test_a_camera_that_fails_is_opened_again_until_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lost = SourceError("camera 0 is gone")
    bench = Bench(ScriptedSource([1, lost], [-1], [-1], [2, 3], live=True)).run()
    assert (bench.failures, bench.times) == ([], [1, 2, 3])
    assert bench.source.opened == 4
    assert bench.source.closed >= 4
    assert caplog.messages == ["camera 0 is gone; waiting for it to come back", "source camera 0 is back"]


def test_a_source_that_can_never_work_is_reported_even_if_it_is_live() -> None:
    wrong = ConfigError("--source", "x", "allowed is y")
    bench = Bench(ScriptedSource([1, wrong], live=True)).run()
    assert bench.failures == [wrong]


def test_a_blocked_source_is_interrupted() -> None:
    bench = Bench(ScriptedSource([1], live=True)).run()
    assert bench.source.waiting.is_set()
    assert not bench.capture._thread.is_alive()
    assert (bench.failures, bench.ended.is_set()) == ([], True)


def test_a_mistake_of_ours_is_told_to_the_owner(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(ScriptedSource([1, ZeroDivisionError("oops")], live=True)).run()
    assert [str(error) for error in bench.failures] == [
        "capture: internal error: ZeroDivisionError('oops')"
    ]
    assert caplog.messages == ["capture: internal error"]
    assert bench.ended.is_set()
