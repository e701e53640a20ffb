"""`trace:FILE`."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest

from common.errors import ConfigError, SinkError
from consumer.sinks import trace
from consumer.sinks.trace import TraceSink, line
from consumer.stats import Event, Outcome

PRESENTED = Outcome(3, 100, 120, 125, Event.PRESENTED)


@pytest.mark.parametrize("event", list(Event))
def test_a_line_has_the_five_columns(event: Event) -> None:
    assert line(Outcome(3, 100, 120, 125, event)) == f"3,100,120,125,{event.value}\n"


def test_what_was_not_presented_has_no_time_of_it() -> None:
    assert line(Outcome(3, 100, 120, None, Event.LATE)) == "3,100,120,,late\n"


def test_a_file_has_the_header_and_every_outcome_in_order(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    sink = TraceSink(str(path))
    sink.outcome(PRESENTED)
    sink.outcome(Outcome(4, 133, 150, None, Event.AWAITING_KEY))
    assert sink.tick()
    sink.close()
    assert path.read_bytes() == (
        b"seq,capture_ns,received_ns,presented_ns,event\n3,100,120,125,presented\n4,133,150,,awaiting_key\n"
    )


def test_it_asks_for_outcomes_only() -> None:
    assert (TraceSink.wants_outcomes, TraceSink.wants_encoded) == (True, False)


def test_an_older_trace_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old\n" * 100)
    TraceSink(str(path)).close()
    assert path.read_text() == "seq,capture_ns,received_ns,presented_ns,event\n"


def test_lines_reach_the_file_once_a_second_not_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = 5_000_000_000
    monkeypatch.setattr(trace, "monotonic_ns", lambda: now_ns)
    path = tmp_path / "t.csv"
    sink = TraceSink(str(path))
    sink.outcome(PRESENTED)
    now_ns += 999_999_999
    sink.tick()
    assert path.read_bytes() == b""
    now_ns += 1
    sink.tick()
    assert path.read_bytes().count(b"\n") == 2
    sink.close()


@pytest.mark.parametrize("name", ["nope/t.csv", "."])
def test_a_file_that_cannot_be_written_is_refused_at_open(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"--sink 'trace:.*' cannot be used: allowed is a file that can"):
        TraceSink(str(tmp_path / name))


def test_a_full_disk_is_told_at_the_next_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 5_000_000_000
    monkeypatch.setattr(trace, "monotonic_ns", lambda: now_ns)
    sink = TraceSink("/dev/full")
    sink.outcome(PRESENTED)
    now_ns += 1_000_000_000
    with pytest.raises(SinkError, match="trace:/dev/full cannot be written any further: No space left"):
        sink.tick()
    with pytest.raises(SinkError):
        sink.close()


def test_a_full_disk_is_told_while_lines_come_in() -> None:
    sink = TraceSink("/dev/full")
    with pytest.raises(SinkError, match="No space left"):
        collections.deque(map(sink.outcome, [PRESENTED] * 100_000), maxlen=0)
    with pytest.raises(SinkError):
        sink.close()
