"""`bench.py pool`: how many frames of a stream a pool of slow workers processes, and how old they are."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from scripts.measure import traces
from scripts.measure.goals import Goal, Score
from scripts.measure.processes import Fleet, wait_for
from scripts.measure.traces import Shown

CODECS: Final = ("h264", "jpeg")
WORK_MS: Final = 150
# Least and most frames per second, of 30, that workers of 150 ms each should process in all.
_RATES: Final = {"3 workers": (19.0, 21.0), "2 left of 3": (12.0, 14.0), "8 workers": (29.5, 30.5)}
_WARM_UP_S: Final = 3.0
# Until a row is in the file: they are written in batches.
_WRITTEN_S: Final = 1.5
_START_S: Final = 30.0


def lasts_s(seconds: float) -> float:
    """How long the footage has to be."""
    return 3 * (seconds + _WARM_UP_S + _WRITTEN_S) + _START_S


def run(
    clip: Path, results: Path, url: str, seconds: float, score: Score, show: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Three workers, two of them once one was killed, and eight; one row for each, and each codec."""
    rows = []
    for codec in CODECS:
        folder = results / f"{codec}-{time.monotonic_ns()}"
        stream = ["--url", url, "--stream", f"bench-{folder.name}"]
        with Fleet(folder) as producer:
            source = ["--source", str(clip), "--codec", codec]
            producer.start("producer", [sys.executable, "-m", "producer", *source, *stream])
            found = _three(folder / "three", stream, seconds) | _eight(folder / "eight", stream, seconds)
            producer.check()
        for case, figures in found.items():
            show(f"{codec}, {case}: {figures}")
            _judge(codec, case, figures, score)
            rows.append({"codec": codec, "case": case, **figures})
    return rows


def _judge(codec: str, case: str, figures: dict[str, float], score: Score) -> None:
    least, most = _RATES[case]
    name = f"{codec}, {case}"
    score.add(Goal(name, "frames per second: least", "", least, at_least=True), figures["fps"])
    score.add(Goal(name, "frames per second: most", "", most), figures["fps"])
    score.add(Goal(name, "oldest frame when taken", "ms", 150.0), figures["oldest_ms"])
    score.add(Goal(name, "frames taken twice", "", 0.0), figures["twice"])
    if "until_next_ms" in figures:
        score.add(Goal(name, "from the kill to the next frame", "ms", WORK_MS), figures["until_next_ms"])


def _three(folder: Path, stream: Sequence[str], seconds: float) -> dict[str, dict[str, float]]:
    with Fleet(folder) as fleet:
        workers = [_worker(fleet, stream, number) for number in range(3)]
        begin_ns = _begin(fleet, workers)
        time.sleep(seconds + _WRITTEN_S)
        # What it has taken last is not in its trace.
        fleet.kill("worker-0")
        killed_ns = time.time_ns()
        time.sleep(seconds + _WRITTEN_S)
    three = _shown(workers, begin_ns, seconds)
    two = _shown(workers[1:], killed_ns, seconds)
    until_next_ms = (min(shown.presented_ns for shown in two) - killed_ns) / 1e6
    return {
        "3 workers": _figures(three, seconds),
        "2 left of 3": _figures(two, seconds) | {"until_next_ms": until_next_ms},
    }


def _eight(folder: Path, stream: Sequence[str], seconds: float) -> dict[str, dict[str, float]]:
    with Fleet(folder) as fleet:
        workers = [_worker(fleet, stream, number) for number in range(8)]
        begin_ns = _begin(fleet, workers)
        time.sleep(seconds + _WRITTEN_S)
        fleet.check()
    return {"8 workers": _figures(_shown(workers, begin_ns, seconds), seconds)}


def _worker(fleet: Fleet, stream: Sequence[str], number: int) -> Path:
    """Start a worker; its trace."""
    trace = fleet.logs / f"worker-{number}.csv"
    pool = ["--pool", "bench", "--work", f"{WORK_MS}ms", "--sink", f"trace:{trace}"]
    fleet.start(f"worker-{number}", [sys.executable, "-m", "consumer", *stream, *pool])
    return trace


def _begin(fleet: Fleet, workers: Sequence[Path]) -> int:
    """Wait until all work; the time (Unix ns) at which measuring begins."""
    wait_for(
        "frames", lambda: all(path.exists() and traces.read(path) for path in workers), fleet, _START_S
    )
    time.sleep(_WARM_UP_S)
    return time.time_ns()


def _shown(workers: Sequence[Path], begin_ns: int, seconds: float) -> list[Shown]:
    end_ns = begin_ns + int(seconds * 1e9)
    return [shown for path in workers for shown in traces.within(traces.read(path), begin_ns, end_ns)]


def _figures(shown: Sequence[Shown], seconds: float) -> dict[str, float]:
    return {
        "fps": len(shown) / seconds,
        "oldest_ms": max(each.age_ms for each in shown),
        "twice": len(shown) - len({each.capture_ns for each in shown}),
    }
