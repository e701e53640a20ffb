"""`bench.py viewers --via host`: viewers that look at what a hub of their host decodes once for all.

Each case measures one row of the table in docs/performance.md and says what it has to reach.
"""

from __future__ import annotations

import statistics
from typing import Final, NamedTuple

from scripts.measure import designs
from scripts.measure.goals import Goal
from scripts.measure.runs import Result
from scripts.measure.study import HOLDS_FPS, SYNC, Study


class Row(NamedTuple):
    """What a number of viewers has to reach."""

    p50_ms: float | None
    p99_ms: float


_ROWS: Final = {20: Row(12, 25), 100: Row(25, 60), 250: Row(None, 60)}
_PAIRED: Final = 100


def viewers(study: Study) -> None:
    """Runs after GStreamer, to which it is compared."""
    for number, row in _ROWS.items():
        case = f"Fanlight by hub x {number}"
        result = study.run(case, designs.fanlight("hub", via="host"), number, study.clip)
        study.fps_and_cores(case, result, HOLDS_FPS)
        study.latency(case, result, row.p50_ms, row.p99_ms)
        _cores_by_role(study, case, result)
        study.score.add(Goal(case, "PSS per consumer", "MiB", 20), statistics.median(result.pss_mib))
        study.skew(case, result)
        peer = study.kept.get(f"GStreamer x {number}")
        if peer is not None:
            ratio = result.cores["total"] / peer.cores["total"]
            study.score.add(Goal(case, "CPU, ratio to GStreamer", "", 0.35), ratio)


def paired(study: Study) -> None:
    """A hundred viewers beside as many that the broker wakes, and those of the commit before."""
    ours = study.run("hub", designs.fanlight("hub", via="host"), _PAIRED, study.clip)
    case = f"bare pika x {_PAIRED}"
    bare = study.run(case, designs.bare_pika(), _PAIRED, study.clip)
    study.fps_and_cores(case, bare)
    study.latency(case, bare)
    study.score.add(Goal(case, "CPU, consumers", "cores"), bare.cores["consumers"])
    study.score.add(Goal(case, "PSS per consumer", "MiB"), statistics.median(bare.pss_mib))
    case = f"Fanlight by hub x {_PAIRED}, paired"
    _cores_by_role(study, case, ours)
    ratio = ours.cores["consumers"] / bare.cores["consumers"]
    study.score.add(Goal(case, "CPU of a viewer, ratio to bare pika", "", 0.45), ratio)
    if study.before is not None:
        design = designs.fanlight("hub-before", via="host", checkout=study.before)
        before = study.run(f"hub before x {_PAIRED}", design, _PAIRED, study.clip)
        study.fps_and_cores(f"before, by hub x {_PAIRED}", before)
        study.latency(f"before, by hub x {_PAIRED}", before)
        _cores_by_role(study, f"before, by hub x {_PAIRED}", before)
        ratio = ours.cores["consumers"] / before.cores["consumers"]
        study.score.add(Goal(case, "CPU of viewers, ratio to before", "", 0.55), ratio)


def pixel_readers(study: Study) -> None:
    """Twenty that read every pixel of every frame, as applications do and the sink `null` does not."""
    case = "Fanlight by hub x 20, every pixel read"
    design = designs.fanlight(
        "looking", via="host", start=lambda _number: ("-m", "scripts.measure.pixel_reader")
    )
    result = study.run(case, design, 20, study.clip)
    study.fps_and_cores(case, result, HOLDS_FPS)
    study.latency(case, result)
    study.score.add(Goal(case, "PSS per consumer", "MiB"), statistics.median(result.pss_mib))


def sync(study: Study) -> None:
    case = "Fanlight by hub, sync x 100"
    result = study.run(case, designs.fanlight("hubsync", via="host", playout=SYNC), 100, study.clip)
    study.fps_and_cores(case, result)
    study.skew(case, result, 2, 8)
    study.score.add(Goal(case, "off the median p99", "ms"), result.figures.off_median_ms[1])


def large(study: Study) -> None:
    """1920x1080 at 60 frames per second."""
    case = "Fanlight by hub x 20, 1080p60"
    result = study.run(case, designs.fanlight("hub1080", via="host", fps=60), 20, study.large_clip())
    study.fps_and_cores(case, result)
    study.latency(case, result)
    _cores_by_role(study, case, result)


def most(study: Study) -> None:
    design = designs.fanlight("hubmost", via="host")
    study.most("Fanlight by hub, most", "by hub, 720p", design, study.clip, first=100, step=10)


def _cores_by_role(study: Study, case: str, result: Result) -> None:
    for role in ("producer", "hub", "broker", "consumers"):
        study.score.add(Goal(case, f"CPU, {role}", "cores"), result.cores[role])
