"""What a recording cannot hold of its frames: their numbers, times, metadata, and what detectors found.

One JSON object per line; docs/results.md describes them.
"""

from __future__ import annotations

import contextlib
import json
from collections import OrderedDict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.result import Result

SUFFIX: Final = ".jsonl"
# Frames whose results may still come: half a minute at 30 fps.
_MOST_FRAMES: Final = 1024
# Results whose frame is not written yet.
_MOST_EARLY: Final = 32


class Sidecar:
    """The file beside a recording. Belongs to one thread.

    Unbuffered: what is written stays when the process is killed. After an error `abandon` leaves only whole
    lines.

    Args:
        recording: its name, to which `.jsonl` is added.
        early: results whose frame is not recorded yet; it may come in the next file.

    Attributes:
        unmatched: number of results that were left out, as their frame did not come.

    Raises:
        OSError: it cannot be created, or is there already.
    """

    def __init__(self, recording: Path, early: deque[Result]) -> None:
        self.unmatched = 0
        self.path = sidecar_path(recording)
        self._file = open(self.path, "xb", buffering=0)  # noqa: SIM115 - `close`
        self._whole_bytes = 0
        self._positions: OrderedDict[tuple[int, int], float] = OrderedDict()
        self._early = early

    def frame(self, header: FrameHeader, position_s: float) -> None:
        """A frame was recorded, at this position of the file, with what has come of its results.

        Raises:
            OSError: it cannot be written.
        """
        values = {
            "type": "frame",
            "at_s": position_s,
            "epoch": header.epoch,
            "seq": header.seq,
            "capture_ns": header.capture_ns,
        }
        self._write(values | ({"meta": json.loads(header.meta)} if header.meta else {}))
        self._positions[header.epoch, header.seq] = position_s
        if len(self._positions) > _MOST_FRAMES:
            self._positions.popitem(last=False)
        for _ in range(len(self._early)):
            self.result(self._early.popleft())

    def result(self, result: Result) -> None:
        """A detector's result, before or after its frame.

        Raises:
            OSError: it cannot be written.
        """
        position_s = self._positions.get((result.epoch, result.seq))
        if position_s is None:
            self._early.append(result)
            if len(self._early) > _MOST_EARLY:
                self._early.popleft()
                self.unmatched += 1
            return
        self._write({"type": "result", "at_s": position_s} | result.to_table())

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        """Close the file after a write that failed, without a line that is not whole."""
        with contextlib.suppress(OSError):
            self._file.truncate(self._whole_bytes)
        self.close()

    def _write(self, values: Mapping[str, Any]) -> None:
        data = memoryview(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        left = data
        while left:
            left = left[self._file.write(left) :]
        self._whole_bytes += len(data)


def sidecar_path(recording: Path) -> Path:
    """`clip.mp4.jsonl` for `clip.mp4`."""
    return recording.with_name(recording.name + SUFFIX)
