"""`bench.py results`: what results cost per frame, at a detector that sends them and at who shows them.

On one stream run at the same time: a program that only reads frames, a detector that also sends `CONTENT`
for each, and a consumer that gets it on its frames. Each says how much processor time it has used.

    python -m scripts.measure.detected read|detect|show URL STREAM
"""

from __future__ import annotations

import json
import signal
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from fanlight import Consumer, Results
from scripts.measure.goals import Goal, Score
from scripts.measure.metadata import CASES
from scripts.measure.processes import Fleet, json_lines, wait_for

_BOXES: Final = 10
CONTENT: Final[dict[str, Any]] = {
    "boxes": np.random.default_rng(1).uniform(0, 700, (_BOXES, 4)),
    "labels": ["person"] * _BOXES,
    "scores": np.linspace(0.5, 1, _BOXES),
}
_PROGRAMS: Final = ("read", "detect", "show")
_WARM_UP_S: Final = 2.0
_BLOCK: Final = 30  # frames between two lines
# With results against without, of what is usual.
_MOST_RATIO: Final = {"720p JPEG, 30 fps": 1.3}


def run(results: Path, url: str, seconds: float, score: Score, show: Callable[[str], None]) -> list[Any]:
    """One row per case: processor time per frame of each program."""
    rows = []
    for name, (size, codec, fps) in CASES.items():
        stream = f"bench-{codec}-{time.monotonic_ns()}"
        with Fleet(results / stream) as fleet:
            sending = [sys.executable, "-m", "scripts.measure.metadata", "send", url, stream]
            fleet.start("send", [*sending, size, codec, str(fps)])
            for what in _PROGRAMS:
                fleet.start(what, [sys.executable, "-m", "scripts.measure.detected", what, url, stream])
            wait_for("frames", lambda: all(map(fleet.log, _PROGRAMS)), fleet, 30)
            time.sleep(_WARM_UP_S + seconds)
            fleet.check()
            costs = {what: per_frame_us(fleet.log(what)) for what in _PROGRAMS}
        for what, who in (("detect", "detector"), ("show", "consumer")):
            score.add(Goal(name, f"{who}: more per frame", "µs"), costs[what] - costs["read"])
            ratio = Goal(name, f"{who}: with / without", "", _MOST_RATIO.get(name))
            score.add(ratio, costs[what] / costs["read"])
        row = {"case": name, **{f"{what}_us": cost for what, cost in costs.items()}}
        show(json.dumps(row))
        rows.append(row)
    return rows


def per_frame_us(log: str) -> float:
    """Processor time per frame: the median of the blocks after the warm-up."""
    lines = json_lines(log)
    begin_s = lines[0]["at_s"] + _WARM_UP_S
    kept = [line for line in lines if line["at_s"] >= begin_s]
    costs: list[float] = [
        (later["cpu_s"] - earlier["cpu_s"]) / (later["frames"] - earlier["frames"]) * 1e6
        for earlier, later in pairwise(kept)
    ]
    return statistics.median(costs)


# The programs -------------------------------------------------------------------------------------------


def say(frames: int) -> None:
    """Write a line once per block."""
    if frames % _BLOCK == 0:
        line = {"frames": frames, "cpu_s": time.process_time(), "at_s": time.monotonic()}
        print(json.dumps(line), flush=True)


def _read(url: str, stream: str) -> None:
    for frames, _ in enumerate(Consumer(stream, url=url, via="broker", playout="sync"), 1):
        say(frames)


def _detect(url: str, stream: str) -> None:
    with Results(stream, "bench", url=url) as out:
        for frames, frame in enumerate(Consumer(stream, url=url, via="broker", playout="sync"), 1):
            out.send(frame, **CONTENT)
            say(frames)


def _show(url: str, stream: str) -> None:
    # The detector takes frames when they are due: this one shows them a little later.
    consumer = Consumer(stream, url=url, via="broker", playout="sync", delay_s=0.3, results=["bench"])
    found = 0
    for frames, frame in enumerate(consumer, 1):
        found += len(frame.results)
        say(frames)
        if frames % 300 == 0 and found < frames / 2:
            raise SystemExit(f"bench: {found} of {frames} frames had results")


def _main(what: str, url: str, stream: str) -> None:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    {"read": _read, "detect": _detect, "show": _show}[what](url, stream)


if __name__ == "__main__":
    _main(*sys.argv[1:])
