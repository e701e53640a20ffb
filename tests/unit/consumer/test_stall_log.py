from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from fanlight.common.model.errors import DecodeError, WireFormatError
from fanlight.consumer.settings import ConsumerSettings, Via
from fanlight.consumer.stall_log import ENDED, NO_HUB, NOTHING_ARRIVES, StallLog
from fanlight.consumer.stats import ConsumerCounters, Outcome, Presented
from tests.support.headers import header
from tests.unit.consumer.build import SECOND

YEAR_2026 = 1_780_000_000 * SECOND


class Bench:
    """One second after the other, with its log."""

    def __init__(self, caplog: pytest.LogCaptureFixture, via: Via = Via.AUTO) -> None:
        self._caplog = caplog
        self.counters = ConsumerCounters()
        self.counters.connection(up=True)
        self.stall_log = StallLog(ConsumerSettings(via=via), self.counters)
        self.now_ns = 0
        self.stall_log.restart(0)

    def present(self, fps: float = 30.0) -> None:
        shown = header()._replace(fps=fps)
        self.counters.presented.append(Presented(shown, 0, 0, 0, None, self.now_ns, False))

    def lines(self, seconds: int, what: object = None) -> list[str]:
        """What is logged in so many seconds, in each of which that happens."""
        self._caplog.clear()
        for _ in range(seconds):
            if callable(what):
                what()
            self.now_ns += SECOND
            self.stall_log.observe(self.counters.stats(self.now_ns), self.now_ns)
        return [record.getMessage() for record in self._caplog.records]

    @property
    def no_frame(self) -> str:
        return self.counters.stats(self.now_ns).no_frame

    def late(self, captured_ns: int) -> None:
        self.counters.dropped(header()._replace(capture_ns=captured_ns), YEAR_2026, Outcome.LATE)

    def malformed(self) -> None:
        self.counters.last_error = WireFormatError("user_id", "eve", "--trust, which is producer")
        self.counters.count("malformed")

    def undecodable(self) -> None:
        self.counters.last_error = DecodeError("h264: {broken}")
        self.counters.dropped(header(), 0, Outcome.UNDECODABLE)


@pytest.fixture
def bench(caplog: pytest.LogCaptureFixture) -> Bench:
    caplog.set_level(logging.INFO)
    return Bench(caplog)


def test_that_nothing_arrives_is_said_within_five_seconds_and_its_end_too(bench: Bench) -> None:
    assert bench.lines(4) == [f"no frame of stream cam for 4 s: {NOTHING_ARRIVES}"]
    assert bench.no_frame == NOTHING_ARRIVES
    assert len(bench.lines(20)) == 4
    assert bench.lines(3, bench.present) == ["frames of stream cam are presented again, after 25 s"]
    assert bench.no_frame == ""


def test_without_a_hub_it_is_not_only_the_producer_that_is_asked_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(caplog, Via.HOST)
    assert bench.lines(4) == [f"no frame of stream cam for 4 s: {NO_HUB}"]
    assert bench.no_frame == NO_HUB


REASONS: dict[str, tuple[str, Callable[[Bench], None]]] = {
    "late": ("too old: captured 56 years ago by its capture_ns, --max-age is 500ms", lambda b: b.late(0)),
    "future": (
        "captured in the future: 2 hours ahead of this host's clock",
        lambda b: b.late(YEAR_2026 + 7300 * SECOND),
    ),
    "sync": ("past its playout time", lambda b: b.late(YEAR_2026)),
    "key": (
        "awaiting a keyframe",
        lambda b: b.counters.dropped(header(), 0, Outcome.AWAITING_KEY),
    ),
    "undecodable": ("cannot be decoded: h264: {broken}", lambda b: b.undecodable()),
    "untrusted": (
        "refused: user_id is 'eve': allowed is --trust, which is producer",
        lambda b: b.malformed(),
    ),
    "second producer": ("from a second producer", lambda b: b.counters.duplicate(header(), 0)),
}


@pytest.mark.parametrize("what", REASONS)
def test_why_everything_is_dropped_is_said(bench: Bench, what: str) -> None:
    words, happens = REASONS[what]
    (line,) = bench.lines(4, lambda: happens(bench))
    assert line.startswith("no frame of stream cam for 4 s: ")
    assert words in line
    assert words in bench.no_frame
    bench.lines(6)
    assert bench.no_frame == NOTHING_ARRIVES, "not any more"


def test_a_program_that_takes_no_frame_is_not_told(bench: Bench) -> None:
    assert bench.lines(60, lambda: bench.counters.dropped(header(), 0, Outcome.SUPERSEDED)) == []


def test_a_slow_camera_is_not_silent(bench: Bench) -> None:
    bench.counters.received(header()._replace(fps=1 / 60), 0, 0)
    bench.present(fps=1 / 60)
    assert bench.lines(170) == []
    assert len(bench.lines(30)) >= 1, "but two pictures of it are missing"


def test_the_time_without_a_connection_does_not_count(bench: Bench) -> None:
    bench.lines(3)
    bench.now_ns += 60 * SECOND
    bench.stall_log.restart(bench.now_ns)
    assert bench.lines(3) == []
    assert bench.lines(1) == [f"no frame of stream cam for 4 s: {NOTHING_ARRIVES}"]


def test_the_end_of_the_stream_is_why_nothing_comes_and_no_warning(bench: Bench) -> None:
    bench.lines(10, bench.present)
    bench.counters.presence.sign(bench.now_ns)
    bench.counters.ended(bench.now_ns)
    assert bench.lines(30) == []
    assert bench.no_frame == ENDED
    bench.counters.presence.sign(bench.now_ns)
    bench.lines(1)
    assert bench.no_frame == NOTHING_ARRIVES
