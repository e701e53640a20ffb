from __future__ import annotations

import itertools
import logging
import re
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from fanlight.common.model.errors import ConfigError, FanlightError, SourceError
from fanlight.producer.capture import Capture
from fanlight.producer.source.base import Captured
from fanlight.producer.stats import Drops
from tests.support.timing import scaled

PICTURE = np.zeros((4, 4, 3), np.uint8)

Script = list[int | Exception | None]
"""What one opening gives: pictures by their time, an error, or None for the end."""


class ScriptedSource:
    """Each opening plays its script; a script that runs out blocks until it is interrupted."""

    fps = 30.0
    wait_s: float | None = 0.0

    def __init__(self, *openings: Script, live: bool = False) -> None:
        self.live = live
        self.drops = Drops()
        self.opened = 0
        self.closed = 0
        self.idle = threading.Event()
        self._openings = [*openings]
        self._script: Script = []
        self._interrupted = threading.Event()

    def open(self) -> None:
        self.opened += 1
        self._script = [*self._openings.pop(0)] if self._openings else []
        if self._script and self._script[0] == -1:
            raise SourceError("camera 0 is not there")
        if self._script == [-2]:  # does not answer
            self.idle.set()
            self._interrupted.wait(scaled(30))

    def read(self) -> Captured | None:
        if not self._script:
            self.idle.set()
            self._interrupted.wait(scaled(30))
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
    def __init__(self, source: ScriptedSource, wait_s: float | None = None) -> None:
        self.source = source
        self.pictures: list[Captured] = []
        self.ends: list[FanlightError | None] = []
        self.capture = Capture(
            source,
            on_picture=self.pictures.append,
            on_ended=self._on_ended,
            wait_s=wait_s,
            delays=lambda: itertools.repeat(0.0),
        )

    def _on_ended(self, error: FanlightError | None) -> None:
        self.ends.append(error)
        self.source.idle.set()

    def run(self) -> Bench:
        """Until the source ends, fails, or blocks."""
        self.capture.start()
        assert self.source.idle.wait(scaled(30))
        self.capture.stop(scaled(10))
        assert len(self.ends) == 1
        return self

    @property
    def times(self) -> list[int]:
        return [captured.capture_ns for captured in self.pictures]


def test_all_pictures_are_passed_on_until_the_source_ends() -> None:
    bench = Bench(ScriptedSource([1, 2, 3, None])).run()
    assert (bench.times, bench.ends) == ([1, 2, 3], [None])
    assert bench.source.opened == 1
    assert bench.source.closed >= 1


GONE = SourceError("camera 0 is gone")


@pytest.mark.parametrize(
    ("script", "live"),
    [([-1], False), ([-1], True), ([GONE], False), ([GONE], True), ([1, GONE], False)],
    ids=["cannot open", "live, cannot open", "no picture", "live, no picture", "a file that breaks off"],
)
def test_a_failure_that_will_not_pass_is_reported(script: Script, live: bool) -> None:
    bench = Bench(ScriptedSource(script, live=live)).run()
    assert [type(error) for error in bench.ends] == [SourceError]
    assert bench.source.opened == 1
    assert bench.times == script[:-1]


def test_a_camera_that_fails_is_opened_again_until_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench(ScriptedSource([1, GONE], [-1], [-1], [2, 3], live=True)).run()
    assert (bench.ends, bench.times) == ([None], [1, 2, 3])
    assert bench.source.opened == 4
    assert bench.source.closed >= 4
    assert said(caplog) == [
        "source: camera 0 is gone; attempt 2 in 0.0 s",
        "source: connected to camera 0, after a while and 4 attempts",
    ]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged, but for how long a busy machine took."""
    return [re.sub(r"after \d+\.\d s", "after a while", message) for message in caplog.messages]


@pytest.mark.parametrize(("own_s", "wait_s"), [(None, None), (0.0, 3600.0)])
def test_a_source_that_is_not_there_yet_is_waited_for(
    own_s: float | None, wait_s: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source = ScriptedSource([-1], [-1], [1, 2], live=True)
    source.wait_s = own_s
    bench = Bench(source, wait_s).run()
    assert (bench.ends, bench.times) == ([None], [1, 2])
    assert said(caplog) == [
        "source: camera 0 is not there; attempt 2 (--wait) in 0.0 s",
        "source: connected to camera 0, after a while and 3 attempts",
    ]


def test_no_longer_than_it_is_told_to(caplog: pytest.LogCaptureFixture) -> None:
    source = ScriptedSource([-1], [1, GONE], [2], live=True)
    source.wait_s = None
    assert [str(error) for error in Bench(source, wait_s=0.0).run().ends] == ["camera 0 is not there"]
    assert source.opened == 1


def test_one_that_is_interrupted_while_it_opens_is_not_said_to_be_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    source = ScriptedSource([-1], [-2], live=True)
    source.wait_s = None
    Bench(source).run()
    assert caplog.messages == ["source: camera 0 is not there; attempt 2 (--wait) in 0.0 s"]


def test_one_that_ends_as_soon_as_it_is_opened_is_asked_ever_more_seldom() -> None:
    asked = []

    def delays() -> Iterator[float]:
        for number in itertools.count():
            asked.append(number)
            yield 0.0

    openings: list[Script] = [[number, GONE] for number in range(5)]
    source = ScriptedSource(*openings, live=True)
    bench = Bench(source)
    bench.capture = Capture(
        source, on_picture=bench.pictures.append, on_ended=bench._on_ended, delays=delays
    )
    bench.run()
    assert asked == [0, 1, 2, 3, 4]


def test_a_source_that_can_never_work_is_reported_even_if_it_is_live() -> None:
    wrong = ConfigError("--source", "x", "allowed is y")
    assert Bench(ScriptedSource([1, wrong], live=True)).run().ends == [wrong]


def test_a_blocked_source_is_interrupted() -> None:
    bench = Bench(ScriptedSource([1], live=True)).run()
    assert (bench.times, bench.ends) == ([1], [None])


def test_an_internal_error_closes_the_source_and_is_reported() -> None:
    bench = Bench(ScriptedSource([1, ZeroDivisionError("oops")], live=True)).run()
    assert [str(error) for error in bench.ends] == ["capture: internal error: ZeroDivisionError('oops')"]
    assert bench.source.closed == 1
