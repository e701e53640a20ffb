"""`bench.py viewers --via host`: viewers that look at what a hub of their host decodes once for all.

Each case measures one row of the table in docs/performance.md and says what it has to reach.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final, NamedTuple

from scripts.measure import designs
from scripts.measure.goals import Goal
from scripts.measure.processes import RunFailed

if TYPE_CHECKING:
    from scripts.measure.viewers import Study

_HOLDS_FPS, _HOLDS_P99_MS = 29.5, 100.0
_STEP: Final = 10
_SYNC: Final = ("--playout", "sync", "--delay", "150ms")


class Row(NamedTuple):
    """What a number of viewers has to reach."""

    p50_ms: float
    p99_ms: float
    cores: float | None = None


_ROWS: Final = {20: Row(12, 25), 50: Row(16, 35), 100: Row(25, 60, 1.4)}


def viewers(study: Study) -> None:
    """Runs after GStreamer, to which it is compared."""
    cores = {}
    for number, row in _ROWS.items():
        case = f"Fanlight by hub x {number}"
        result = study.run(case, designs.fanlight("hub", via="host"), number, study.clip)
        add = study.score.add
        add(Goal(case, "fps, worst consumer", "fps", _HOLDS_FPS, at_least=True), result.fps_worst)
        add(Goal(case, "latency p50", "ms", row.p50_ms), result.figures.age_ms[0])
        add(Goal(case, "latency p99", "ms", row.p99_ms), result.figures.age_ms[1])
        add(Goal(case, "CPU of all processes", "cores", row.cores), result.cores["total"])
        for role in ("producer", "hub", "broker", "consumers"):
            add(Goal(case, f"CPU, {role}", "cores"), result.cores[role])
        add(Goal(case, "PSS per consumer", "MiB", 20), statistics.median(result.pss_mib))
        add(Goal(case, "skew p50", "ms"), result.figures.skew_ms[0])
        add(Goal(case, "skew p99", "ms"), result.figures.skew_ms[1])
        cores[number] = result.cores["total"]
        peer = study.kept.get(f"GStreamer x {number}")
        if peer is not None:
            add(Goal(case, "CPU, ratio to GStreamer", "", 0.35), cores[number] / peer.cores["total"])
    study.score.add(Goal("one more viewer", "CPU", "cores", 0.010), (cores[100] - cores[20]) / 80)


def looking(study: Study) -> None:
    """Twenty that read every pixel of every frame, as applications do and the sink `null` does not."""
    case = "Fanlight by hub x 20, every pixel read"
    design = designs.fanlight(
        "looking", via="host", start=lambda _number: ("-m", "scripts.measure.looking")
    )
    result = study.run(case, design, 20, study.clip)
    add = study.score.add
    add(Goal(case, "fps, worst consumer", "fps", _HOLDS_FPS, at_least=True), result.fps_worst)
    add(Goal(case, "CPU of all processes", "cores"), result.cores["total"])
    add(Goal(case, "latency p50", "ms"), result.figures.age_ms[0])
    add(Goal(case, "latency p99", "ms"), result.figures.age_ms[1])
    add(Goal(case, "PSS per consumer", "MiB"), statistics.median(result.pss_mib))


def sync(study: Study) -> None:
    case = "Fanlight by hub, sync x 100"
    result = study.run(case, designs.fanlight("hubsync", via="host", playout=_SYNC), 100, study.clip)
    add = study.score.add
    add(Goal(case, "fps, worst consumer", "fps"), result.fps_worst)
    add(Goal(case, "CPU of all processes", "cores"), result.cores["total"])
    add(Goal(case, "skew p50", "ms", 3), result.figures.skew_ms[0])
    add(Goal(case, "skew p99", "ms", 20), result.figures.skew_ms[1])
    add(Goal(case, "off the median p99", "ms"), result.figures.off_median_ms[1])


def large(study: Study) -> None:
    """1920x1080 at 60 frames per second."""
    case = "Fanlight by hub x 20, 1080p60"
    result = study.run(case, designs.fanlight("hub1080", via="host", fps=60), 20, study.large_clip())
    add = study.score.add
    add(Goal(case, "fps, worst consumer", "fps"), result.fps_worst)
    add(Goal(case, "latency p50", "ms"), result.figures.age_ms[0])
    add(Goal(case, "latency p99", "ms"), result.figures.age_ms[1])
    add(Goal(case, "CPU of all processes", "cores"), result.cores["total"])
    for role in ("producer", "hub", "broker", "consumers"):
        add(Goal(case, f"CPU, {role}", "cores"), result.cores[role])


def most(study: Study) -> None:
    """The largest N at which every consumer keeps 29.5 fps with p99 under 100 ms."""
    reached, number = 0, 100
    while True:
        case = f"Fanlight by hub, most x {number}"
        try:
            result = study.run(case, designs.fanlight("hubmost", via="host"), number, study.clip)
        except RunFailed:
            break
        if result.fps_worst < _HOLDS_FPS or result.figures.age_ms[1] >= _HOLDS_P99_MS:
            break
        reached, number = number, number + _STEP
    study.score.add(Goal("most viewers", "by hub, 720p", ""), reached)
