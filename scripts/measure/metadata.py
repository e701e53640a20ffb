"""`bench.py meta`: what it costs that a frame carries metadata, at the producer and at the consumer.

Two pairs of programs run at the same time on one broker, one of which sends `META` with every picture and
reads it from every frame. Each program says, every so many frames, how much processor time it has used.

    python -m scripts.measure.metadata send|read URL STREAM SIZE CODEC FPS META
"""

from __future__ import annotations

import json
import signal
import statistics
import sys
import time
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

from fanlight import Consumer, Producer
from scripts.measure.clip import SOURCE
from scripts.measure.goals import Goal, Score
from scripts.measure.processes import Fleet, wait_for

META: Final[dict[str, Any]] = {
    "gps": [48.137154, 11.576124, 519.2],
    "heading": 271.5,
    "exposure_us": 8000,
    "ok": True,
    "site": "north",
}
CASES: Final = {"64x48 raw, 100 fps": ("64x48", "raw", 100), "720p H.264, 30 fps": ("1280x720", "h264", 30)}
_BLOCK: Final = 30  # frames between two lines
_WARM_UP_S: Final = 2.0
# With metadata against without, of what is usual.
_MOST_RATIO: Final = {"720p H.264, 30 fps": 1.05}


def run(results: Path, url: str, seconds: float, score: Score, show: Callable[[str], None]) -> list[Any]:
    """One row per case: processor time per frame, with and without, by side."""
    rows = []
    for name, (size, codec, fps) in CASES.items():
        row: dict[str, Any] = {"case": name}
        with Fleet(results / f"{codec}-{time.monotonic_ns()}") as fleet:
            for what in ("plain", "meta"):
                meta = json.dumps(META if what == "meta" else {})
                for side in ("read", "send"):
                    program = [sys.executable, "-m", "scripts.measure.metadata", side, url, f"bench-{what}"]
                    fleet.start(f"{what}-{side}", [*program, size, codec, str(fps), meta])
            logs = [f"{what}-{side}" for what in ("plain", "meta") for side in ("send", "read")]
            wait_for("frames", lambda: all(map(fleet.log, logs)), fleet, 30)  # noqa: B023 - called at once
            time.sleep(_WARM_UP_S + seconds)
            fleet.check()
            for side, who in (("send", "producer"), ("read", "consumer")):
                plain_us, meta_us = (
                    per_frame_us(fleet.log(f"{what}-{side}")) for what in ("plain", "meta")
                )
                row |= {f"{who}_plain_us": plain_us, f"{who}_meta_us": meta_us}
                score.add(Goal(name, f"{who}: more per frame", "µs"), meta_us - plain_us)
                ratio = Goal(name, f"{who}: with / without", "", _MOST_RATIO.get(name))
                score.add(ratio, meta_us / plain_us)
        show(json.dumps(row))
        rows.append(row)
    return rows


def per_frame_us(log: str) -> float:
    """Processor time per frame: the median of the blocks after the warm-up."""
    # Beside what the program logs; the last line may not be complete.
    lines = [json.loads(line) for line in log.splitlines()[:-1] if line.startswith("{")]
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


def _send(url: str, stream: str, size: str, codec: str, fps: float, meta: dict[str, Any]) -> None:
    width, height = map(int, size.split("x"))
    with av.open(SOURCE) as container:
        decoded = (frame.reformat(width, height, format="bgr24") for frame in container.decode(video=0))
        pictures = [np.ascontiguousarray(frame.to_ndarray()) for frame, _ in zip(decoded, range(30))]  # noqa: B905
    with Producer(stream=stream, url=url, codec=codec, fps=fps) as out:
        began_s = time.monotonic()
        for frames in count(1):
            time.sleep(max(0.0, began_s + frames / fps - time.monotonic()))
            out.send(pictures[frames % len(pictures)], meta=meta or None)
            say(frames)


def _read(url: str, stream: str, meta: dict[str, Any]) -> None:
    for frames, frame in enumerate(Consumer(stream, url=url, via="broker"), 1):
        if meta and frame.meta != meta:
            raise SystemExit(f"bench: other metadata arrived: {frame.meta}")
        say(frames)


def _main(side: str, url: str, stream: str, size: str, codec: str, fps: str, meta: str) -> None:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    if side == "send":
        _send(url, stream, size, codec, float(fps), json.loads(meta))
    else:
        _read(url, stream, json.loads(meta))


if __name__ == "__main__":
    _main(*sys.argv[1:])
