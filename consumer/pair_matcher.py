"""Finds the frames of several streams that were captured at the same time. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

from fanlight.consumer.frame import Frame

# Frames of one stream that wait for those of the others: half a second at 30 fps.
_MOST_WAITING: Final = 16


class PairMatcher:
    """Keeps the frames of each stream until those of the others come. Not thread-safe.

    Args:
        tolerance_ns: between the first and the last frame of a pair.
        max_age_ns: frames that waited longer are dropped.

    Attributes:
        unmatched: frames that became no part of a pair, by stream.
    """

    def __init__(self, streams: Sequence[str], tolerance_ns: int, max_age_ns: int) -> None:
        self._waiting: dict[str, deque[Frame]] = {name: deque() for name in streams}
        self._tolerance_ns = tolerance_ns
        self._max_age_ns = max_age_ns
        self.unmatched: Counter[str] = Counter()

    def waits(self, stream: str) -> bool:
        """Whether frames of this stream wait for others."""
        return bool(self._waiting[stream])

    def push(self, frame: Frame, now_ns: int) -> tuple[Frame, ...] | None:
        """The frames that this one completes, in the order of the streams; `now_ns` is monotonic.

        Earlier frames of the streams are dropped: each pair is later than the one before.
        """
        self._waiting[frame.stream].append(frame)
        for frames in self._waiting.values():
            while frames and (
                len(frames) > _MOST_WAITING or now_ns - frames[0].captured_ns > self._max_age_ns
            ):
                self._drop(frames)
        if not all(self._waiting.values()):
            return None
        pair = tuple(
            min(frames, key=lambda each: abs(each.captured_ns - frame.captured_ns))
            for frames in self._waiting.values()
        )
        times_ns = [each.captured_ns for each in pair]
        if max(times_ns) - min(times_ns) > self._tolerance_ns:
            return None
        for frames, matched in zip(self._waiting.values(), pair, strict=True):
            while frames[0] is not matched:
                self._drop(frames)
            frames.popleft()
        return pair

    def _drop(self, frames: deque[Frame]) -> None:
        self.unmatched[frames.popleft().stream] += 1
