from __future__ import annotations

import itertools
import logging
from collections.abc import Callable

import pytest

from fanlight.producer.settings import ProducerSettings
from fanlight.producer.stall_log import StallLog
from fanlight.producer.stats import Drop, ProducerCounters

SECOND = 1_000_000_000


class Bench:
    """One second after the other at 30 pictures a second, with its log."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.counters = ProducerCounters()
        self.counters.connection(up=True, now_ns=0)
        self.stall_log = StallLog(ProducerSettings(), self.counters)
        self.now_ns = 0

    def lines(self, seconds: int, outcome: Callable[[], None] | None, *, watched: bool = True) -> list[str]:
        """What is logged in so many seconds, if that is the outcome of each picture; None: no pictures."""
        self._caplog.clear()
        for _ in range(seconds * 30):
            if outcome is not None:
                self.counters.captured(self.now_ns)
                outcome()
            self.now_ns += SECOND // 30 + 1
            self.stall_log.tick(self.now_ns, watched=watched)
        return [record.getMessage() for record in self._caplog.records]

    def publish(self, encode_s: float = 0.01) -> None:
        self.counters.published(1, key=True, encode_s=encode_s, now_ns=self.now_ns)

    def drop(self, why: Drop) -> Callable[[], None]:
        return lambda: self.counters.dropped(why)

    def publish_one_in_five(self, encode_s: float) -> Callable[[], None]:
        turns = itertools.count()
        return lambda: self.counters.dropped(Drop.SKIPPED) if next(turns) % 5 else self.publish(encode_s)


@pytest.fixture
def bench(caplog: pytest.LogCaptureFixture) -> Bench:
    caplog.set_level(logging.INFO)
    return Bench(caplog)


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (Drop.STALE, "all are stale: captured 56 years ago by their capture_ns, --max-age is 500ms"),
        (Drop.UNENCODABLE, "none could be encoded"),
        (Drop.SKIPPED, "all are skipped"),
    ],
)
def test_why_everything_is_dropped_is_said_within_5_s_and_its_end_too(
    bench: Bench, why: Drop, words: str
) -> None:
    bench.counters.last_stale_s = 56 * 365.25 * 86400
    (line,) = bench.lines(6, bench.drop(why))
    assert line.startswith("no picture of stream cam was published for 4 s: ")
    assert words in line
    (over,) = bench.lines(2, bench.publish)
    assert over.startswith("pictures of stream cam are published again, after ")


def test_nobody_watching_is_said_once_and_is_no_fault(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    lines = bench.lines(60, bench.drop(Drop.UNWATCHED), watched=False)
    assert lines == ["nobody watches stream cam: nothing is encoded until a consumer comes"]
    assert caplog.records[0].levelno == logging.INFO
    assert bench.lines(9, bench.publish) == []
    assert bench.lines(60, bench.drop(Drop.UNWATCHED), watched=False) == []


def test_without_a_drop_it_is_the_encoder_or_the_network(bench: Bench) -> None:
    (line,) = bench.lines(6, lambda: None)
    assert line.endswith("all are skipped: encoding, or the network, takes too long")


def test_a_program_that_sends_nothing_is_not_told(bench: Bench) -> None:
    assert bench.lines(9, bench.publish) == []
    assert bench.lines(60, None) == []


def test_a_connection_that_is_lost_or_blocked_is_told_elsewhere(bench: Bench) -> None:
    bench.counters.blocked(True, 0)
    assert bench.lines(60, bench.drop(Drop.STALE)) == []
    bench.counters.connection(up=False, now_ns=0)
    assert bench.lines(60, bench.drop(Drop.SKIPPED)) == []


def test_a_machine_that_is_too_slow_is_told_once(bench: Bench) -> None:
    (line,) = bench.lines(60, bench.publish_one_in_five(0.15))
    assert line.startswith(
        "this machine is too slow for the stream: 6 of 30 pictures per second are encoded"
    )
    assert "--size" in line
    assert "--fps" in line
    assert "--codec" in line


def test_a_slow_network_is_not_taken_for_a_slow_machine(bench: Bench) -> None:
    assert bench.lines(60, bench.publish_one_in_five(0.005)) == []
