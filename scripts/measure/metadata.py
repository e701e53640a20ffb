"""`bench.py meta`: what it costs that a frame carries metadata, at the producer and at the consumer.

One program sends pictures, `META` with those of every other block of thirty, and another one reads it. Each
says after every block how much processor time it took, which is compared with that of the block before.

    python -m scripts.measure.metadata send|read URL STREAM SIZE CODEC FPS
"""

from __future__ import annotations

import json
import signal
import statistics
import sys
import time
from collections.abc import Callable
from itertools import count, islice, pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import av
import numpy as np

from fanlight import Consumer, Producer
from scripts.measure.clip import SOURCE
from scripts.measure.goals import Goal, Score
from scripts.measure.processes import Fleet, json_lines, wait_for

META: Final[dict[str, Any]] = {
    "gps": [48.137154, 11.576124, 519.2],
    "heading": 271.5,
    "exposure_us": 8000,
    "ok": True,
    "site": "north",
}
# Of codecs whose frames take alike, whichever block they are in: those of H.264 do not.
CASES: Final = {"64x48 raw, 100 fps": ("64x48", "raw", 100), "720p JPEG, 30 fps": ("1280x720", "jpeg", 30)}
_BLOCK: Final = 30
_WARM_UP_S: Final = 2.0
# With metadata against without, of what is usual.
_MOST_RATIO: Final = {"720p JPEG, 30 fps": 1.05}


def run(results: Path, url: str, seconds: float, score: Score, show: Callable[[str], None]) -> list[Any]:
    """One row per case: processor time per frame, with metadata and without, by side."""
    rows = []
    for name, (size, codec, fps) in CASES.items():
        row: dict[str, Any] = {"case": name}
        with Fleet(results / f"{codec}-{time.monotonic_ns()}") as fleet:
            for side in ("read", "send"):
                program = [sys.executable, "-m", "scripts.measure.metadata", side]
                fleet.start(side, [*program, url, "bench-meta", size, codec, str(fps)])
            wait_for("frames", lambda: "{" in fleet.log("read"), fleet, 30)
            time.sleep(_WARM_UP_S + seconds)
            fleet.check()
            for side, who in (("send", "producer"), ("read", "consumer")):
                cost = cost_of(fleet.log(side))
                row |= {f"{who}_plain_us": cost.plain_us, f"{who}_more_us": cost.more_us}
                score.add(Goal(name, f"{who}: more per frame", "µs"), cost.more_us)
                ratio = Goal(name, f"{who}: with / without", "", _MOST_RATIO.get(name))
                score.add(ratio, 1 + cost.more_us / cost.plain_us)
        show(json.dumps(row))
        rows.append(row)
    return rows


class Cost(NamedTuple):
    """Processor time per frame: without metadata, and how much more with it. Medians."""

    plain_us: float
    more_us: float


def cost_of(log: str) -> Cost:
    """What the blocks in a program's output say, those of the warm-up left out."""
    blocks = json_lines(log)
    begin_s = blocks[0]["at_s"] + _WARM_UP_S
    costs = [(block["meta"], block["cpu_us"]) for block in blocks if block["at_s"] >= begin_s]
    pairs = [
        (plain_us, meta_us)
        for (before, plain_us), (after, meta_us) in pairwise(costs)
        if (before, after) == (False, True)
    ]
    return Cost(
        statistics.median(plain_us for plain_us, _ in pairs),
        statistics.median(meta_us - plain_us for plain_us, meta_us in pairs),
    )


# The programs -------------------------------------------------------------------------------------------


class _Blocks:
    """Writes one line after every block of frames that all have metadata, or all have none."""

    def __init__(self) -> None:
        self._meta: bool | None = None
        self._frames = 0
        self._begin_s = 0.0

    def next(self, meta: bool) -> None:
        """A frame comes."""
        if meta is not self._meta:
            now_s = time.process_time()
            if self._frames:
                cpu_us = (now_s - self._begin_s) / self._frames * 1e6
                line = {"meta": self._meta, "cpu_us": cpu_us, "at_s": time.monotonic()}
                print(json.dumps(line), flush=True)
            self._meta, self._frames, self._begin_s = meta, 0, now_s
        self._frames += 1


def _send(url: str, stream: str, size: str, codec: str, fps: float) -> None:
    width, height = map(int, size.split("x"))
    with av.open(SOURCE) as container:
        decoded = (frame.reformat(width, height, format="bgr24") for frame in container.decode(video=0))
        pictures = [np.ascontiguousarray(frame.to_ndarray()) for frame in islice(decoded, _BLOCK)]
    blocks = _Blocks()
    with Producer(stream=stream, url=url, codec=codec, fps=fps) as out:
        began_s = time.monotonic()
        for number in count():
            time.sleep(max(0.0, began_s + number / fps - time.monotonic()))
            told = number // _BLOCK % 2 == 1
            blocks.next(told)
            out.send(pictures[number % _BLOCK], meta=META if told else None)


def _read(url: str, stream: str) -> None:
    blocks = _Blocks()
    for frame in Consumer(stream, url=url, via="broker"):
        meta = frame.meta
        if meta not in ({}, META):
            raise SystemExit(f"bench: other metadata arrived: {meta}")
        blocks.next(bool(meta))


def _main(side: str, url: str, stream: str, size: str, codec: str, fps: str) -> None:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    if side == "send":
        _send(url, stream, size, codec, float(fps))
    else:
        _read(url, stream)


if __name__ == "__main__":
    _main(*sys.argv[1:])
