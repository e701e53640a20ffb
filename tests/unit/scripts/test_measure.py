"""What the benchmark works out of traces, and what it calls reached: the figures that are published."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from scripts.measure import metadata, traces
from scripts.measure.goals import Goal, Score
from scripts.measure.traces import Shown

MS = 1_000_000
SECOND = 1000 * MS
HEADER = "seq,capture_ns,received_ns,presented_ns,event\n"


def shown(*times_ms: float, first: int = 0) -> list[Shown]:
    """One frame every 100 ms, presented so long after its capture."""
    return [
        Shown(first + at, at * 100 * MS, at * 100 * MS + int(late * MS)) for at, late in enumerate(times_ms)
    ]


def test_only_presented_and_whole_lines_of_a_trace_count(tmp_path: Path) -> None:
    trace = tmp_path / "t.csv"
    trace.write_text(HEADER + "0,10,20,30,presented\n1,11,21,,late\n2,12,22,32,presented\n3,13,2")
    assert traces.read(trace) == [Shown(0, 10, 30), Shown(2, 12, 32)]
    assert traces.read(trace, offset_ns=5) == [Shown(0, 10, 25), Shown(2, 12, 27)]


def test_a_window_is_closed_at_its_beginning_and_open_at_its_end() -> None:
    frames = [Shown(seq, 0, seq) for seq in range(5)]
    assert [s.seq for s in traces.within(frames, 1, 4)] == [1, 2, 3]


def test_figures_of_two_consumers() -> None:
    figures = traces.figures([shown(10, 20, 30), shown(14, 21)], span_s=2.0)
    assert figures.fps == (1.5, 1.0)
    assert figures.age_ms == (20.0, 30.0, 30.0)
    assert figures.skew_ms == (1.0, 4.0)
    few = traces.figures([shown(10), [], [], []], span_s=1.0)
    assert math.isnan(few.skew_ms[0]), "of a frame that few have shown"


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal("c", "f", "", 2), 2.0, True),
        (Goal("c", "f", "", 2), 2.01, False),
        (Goal("c", "f", "", 2, at_least=True), 2.0, True),
        (Goal("c", "f", "", 2, at_least=True), 1.99, False),
        (Goal("c", "f", "", 2), math.nan, False),
        (Goal("c", "f", ""), math.nan, True),
    ],
)
def test_a_goal_is_met_on_its_side_of_the_limit_alone(goal: Goal, value: float, met: bool) -> None:
    assert goal.met(value) is met


def test_the_median_decides_and_the_table_says_so() -> None:
    score = Score()
    reached, missed = Goal("case", "skew", "ms", 15), Goal("case", "fps", "fps", 29.5, at_least=True)
    for value in (14.0, 40.0, 13.0):
        score.add(reached, value)
    for value in (29.0, 30.0, 29.4):
        score.add(missed, value)
    assert score.missed() == [missed]
    assert "| case | skew | 14 ms | 13 – 40 | 3 | ≤ 15 | yes |" in score.table()
    assert "| case | fps | 29.4 fps | 29 – 30 | 3 | ≥ 29.5 | **no** |" in score.table()


def test_the_cost_of_metadata_is_the_median_of_neighbouring_blocks_after_the_warm_up() -> None:
    costs = [(False, 9), (True, 99), (False, 500), (True, 520), (False, 700), (True, 710), (False, 100)]
    lines = [
        json.dumps({"meta": meta, "cpu_us": cpu_us, "at_s": 100 + at})
        for at, (meta, cpu_us) in enumerate([*costs, (True, 130)])
    ]
    log = "\n".join([*lines[:2], "WARNING too slow", *lines[2:], '{"meta":false,"cp'])
    assert metadata.cost_of(log) == (500, 20)
