"""The soak's judgement: each invariant is found broken when it is, and not else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fanlight.producer.source.frame_code import MODULUS
from scripts.faults.judge import STEP_NS, Judge, true_age_ns
from scripts.faults.kinds import FAULTS
from scripts.faults.observation import UNREADABLE, Observation, code_of, pack, unpack
from scripts.faults.report import merged, summary, table
from scripts.faults.run import Result, sequence
from scripts.lib.fault_control import FaultControl, Mode

MAX_AGE_NS = 500_000_000
START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


def observed(
    seq: int = 1,
    *,
    epoch: int = 7,
    age_ms: float = 20.0,
    step_ns: int = 0,
    stream: str = "cam",
    codes: tuple[int, int, int] | None = None,
) -> Observation:
    """A frame as a good consumer reports it."""
    capture_ns = START_NS + seq * 33 * MS
    code = code_of(capture_ns, MODULUS)
    presented_ns = capture_ns + int(age_ms * MS) + step_ns
    return Observation(
        3, epoch, seq, capture_ns, presented_ns, seq * 33 * MS, codes or (code, code, code), stream
    )


def broken_by(*frames: Observation) -> list[str]:
    judge = Judge(MAX_AGE_NS)
    for frame in frames:
        judge.frame(frame, "wall", "cam")
    assert judge.frames == len(frames)
    assert sum(judge.kinds.values()) == len(judge.broken)
    return sorted(judge.kinds)


def test_a_stream_without_faults_breaks_nothing() -> None:
    restarted = [observed(0, epoch=8), observed(1, epoch=8)]
    assert broken_by(*(observed(seq, age_ms=seq % 500) for seq in range(200)), *restarted) == []


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        ([observed(age_ms=560)], "too old"),
        ([observed(age_ms=-60)], "from the future"),
        ([observed(age_ms=600, step_ns=STEP_NS)], "too old"),
        ([observed(age_ms=600, step_ns=-STEP_NS)], "too old"),
        ([observed(2), observed(1)], "out of order"),
        ([observed(2), observed(2)], "out of order"),
        ([observed(2), observed(0, epoch=8), observed(3)], "out of order"),
        ([observed(stream="other")], "another stream"),
        ([observed(codes=(5, 6, 6))], "torn"),
        ([observed(codes=(5, 5, UNREADABLE))], "torn"),
        ([observed(codes=(UNREADABLE, UNREADABLE, UNREADABLE))], "another's metadata"),
        ([observed(1)._replace(codes=observed(2).codes)], "another's metadata"),
    ],
)
def test_what_must_not_be_is_found(frames: list[Observation], kind: str) -> None:
    assert broken_by(*frames) == [kind]


@pytest.mark.parametrize("steps", [-2, -1, 0, 1, 2])
def test_the_true_age_does_not_depend_on_steps_of_a_clock(steps: int) -> None:
    assert true_age_ns(observed(age_ms=120, step_ns=steps * STEP_NS)) == 120 * MS


def test_when_a_process_was_last_up_to_date() -> None:
    judge = Judge(MAX_AGE_NS)
    assert judge.newest(3) == (0, 0)
    judge.frame(observed(10, age_ms=40), "wall", "cam")
    assert judge.newest(3) == (330 * MS, 290 * MS)


def test_lines_are_counted_by_the_second() -> None:
    judge = Judge(MAX_AGE_NS)
    for number in range(100):
        judge.line("wall", "lost", number * 300 * MS)
    assert not judge.kinds
    for number in range(8):
        judge.line("hub", "lost", number)
    assert judge.kinds == {"too many lines": 1}


@pytest.mark.parametrize("text", ["Traceback (most recent call last):", "consumer: internal error: x"])
def test_a_traceback_is_never_right(text: str) -> None:
    judge = Judge(MAX_AGE_NS)
    judge.line("wall", text, 0)
    assert judge.kinds == {"traceback": 1}


def test_an_observation_survives_the_datagram() -> None:
    frame = observed(5, stream="a" * 64, codes=(1, UNREADABLE, 3))
    assert unpack(pack(frame)) == frame


def test_the_control_reaches_every_process_that_maps_it(tmp_path: Path) -> None:
    inside, outside = FaultControl(tmp_path / "control"), FaultControl(tmp_path / "control")
    assert (inside.clock_offset_ns, inside.mode) == (0, Mode.STEADY)
    outside.clock_offset_ns -= STEP_NS
    outside.mode = Mode.SMALL
    assert (inside.clock_offset_ns, inside.mode) == (-STEP_NS, Mode.SMALL)
    for control in (inside, outside):
        control.close()


def test_every_kind_comes_before_chance_decides_and_the_seed_decides_all() -> None:
    faults = list(FAULTS)
    drawn = [
        [fault.name for fault, _ in zip(sequence(faults, random.Random(5), None), range(200), strict=False)]
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]
    assert set(drawn[0][: len(faults)]) == {fault.name for fault in faults}
    assert len({fault.name for fault in faults}) == len(faults)
    rounds = sequence(faults[:2], random.Random(1), 3)
    assert [fault.name for fault in rounds] == [fault.name for fault in faults[:2]] * 3


def test_the_report_counts_by_kind_and_says_what_broke() -> None:
    first = Result(1, 3, recoveries={"cut": [0.1, 0.3]}, faults=2)
    second = Result(2, 3, recoveries={"cut": [0.2], "killed": [1.5]}, kinds={"torn": 2}, broken=["torn: x"])
    assert merged([first, second]) == {"cut": [0.1, 0.3, 0.2], "killed": [1.5]}
    rows = table([first, second]).splitlines()
    assert rows[2] == "| cut | 3 | 0.20 | 0.30 | 0.30 |"
    assert "no invariant was broken" in summary(first)
    assert "BROKEN torn: 2 times" in summary(second)
