"""What the cases of `bench.py viewers` share: where they run, and the figures that each of them has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scripts.measure.designs import Design
from scripts.measure.goals import Goal, Score
from scripts.measure.processes import RunFailed
from scripts.measure.runs import Bench, Result

SYNC: Final = ("--playout", "sync", "--delay", "150ms")
# What every consumer has to keep, for a number of them to count as served.
HOLDS_FPS: Final = 29.5
_HOLDS_P99_MS: Final = 100.0


@dataclass(slots=True)
class Study:
    """What the cases share.

    Attributes:
        rows: one per run, for the CSV.
        before: the checkout of another commit that cases named `paired` are compared with.
        kept: the result of the last run of a design, by name, for ratios and plots.
    """

    bench: Bench
    clip: Path
    small_clip: Callable[[], Path]
    large_clip: Callable[[], Path]
    viewers: int
    score: Score
    rows: list[Mapping[str, object]] = field(default_factory=list)
    kept: dict[str, Result] = field(default_factory=dict)
    floor_cores: float = float("nan")
    before: Path | None = None

    def run(self, case: str, design: Design, viewers: int, clip: Path, **options: Any) -> Result:
        """One run on the bench (its options: `Bench.run`), kept under the name of the case."""
        result = self.bench.run(design, viewers, clip, **options)
        self.rows.append({"case": case, **result.row()})
        self.kept[case] = result
        return result

    def fps_and_cores(
        self, case: str, result: Result, worst: float | None = None, cores: float | None = None
    ) -> None:
        """Rate of the worst consumer, and CPU of all; with limits, if there are any."""
        self.score.add(Goal(case, "fps, worst consumer", "fps", worst, at_least=True), result.fps_worst)
        self.score.add(Goal(case, "CPU of all processes", "cores", cores), result.cores["total"])

    def latency(
        self, case: str, result: Result, p50: float | None = None, p99: float | None = None
    ) -> None:
        self.score.add(Goal(case, "latency p50", "ms", p50), result.figures.age_ms[0])
        self.score.add(Goal(case, "latency p99", "ms", p99), result.figures.age_ms[1])

    def skew(self, case: str, result: Result, p50: float | None = None, p99: float | None = None) -> None:
        self.score.add(Goal(case, "skew p50", "ms", p50), result.figures.skew_ms[0])
        self.score.add(Goal(case, "skew p99", "ms", p99), result.figures.skew_ms[1])

    def most(self, case: str, figure: str, design: Design, clip: Path, *, first: int, step: int) -> None:
        """The largest N at which every consumer keeps 29.5 fps with p99 under 100 ms."""
        reached, viewers = 0, first
        while True:
            try:
                result = self.run(f"{case} x {viewers}", design, viewers, clip)
            except RunFailed:
                break
            if result.fps_worst < HOLDS_FPS or result.figures.age_ms[1] >= _HOLDS_P99_MS:
                break
            reached, viewers = viewers, viewers + step
        self.score.add(Goal("most viewers", figure, ""), reached)
