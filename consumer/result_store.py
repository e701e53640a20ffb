"""Keeps what detectors found until its frame is presented. Pure: the time is an argument."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final, Literal

from fanlight.common.model.result import Result
from fanlight.consumer.frame import NO_RESULTS
from fanlight.consumer.stats import ResultCounts

ALL: Final = "*"
"""In place of names: every detector."""
MOST_DETECTORS: Final = 16
# A hostile result takes up to twenty times its bytes once it is parsed.
_MOST_BYTES: Final = 4 * 1024 * 1024
_OVERHEAD_BYTES: Final = 600
# Where all detectors are wanted: one that has published nothing for so long is not waited for.
_ABSENT_NS: Final = 2_000_000_000

Key = tuple[int, int]
"""(epoch, seq) of a frame."""


Fate = Literal["presented", "late", "unused", "duplicate", "overflow"]


class ResultStore:
    """Thread-safe. All `now_ns` are monotonic.

    Args:
        names: of the wanted detectors; `ALL` for every one.
        max_age_ns: no frame is presented later than this after its capture.
    """

    def __init__(self, names: Collection[str], max_age_ns: int, most_bytes: int = _MOST_BYTES) -> None:
        self._all = ALL in names
        self._detectors = {} if self._all else {name: _Detector() for name in names}
        self._max_age_ns = max_age_ns
        self._most_bytes = most_bytes
        self._lock = threading.RLock()  # a signal handler may ask for statistics at any time
        self._counts: Counter[str] = Counter()
        self._presented: Key | None = None

    def add(self, result: Result, now_ns: int) -> Fate | None:
        """A result came. Returns why it was dropped; None if it is kept, or of no wanted detector."""
        with self._lock:
            detector = self._detectors.get(result.name)
            if detector is None and not self._all:
                return None
            self._expire(now_ns)
            if detector is None and len(self._detectors) < MOST_DETECTORS:
                detector = self._detectors[result.name] = _Detector()
            fate = "overflow" if detector is None else self._keep(detector, result, now_ns)
            if fate is not None:
                self._counts[fate] += 1
            return fate

    def complete(self, key: Key, now_ns: int) -> bool:
        """Whether all wanted detectors have answered this frame."""
        with self._lock:
            return all(
                key in detector.found
                for detector in self._detectors.values()
                if not self._all or now_ns - detector.heard_ns <= _ABSENT_NS
            )

    def take(self, key: Key) -> Mapping[str, Result]:
        """The results of a frame, which is presented now: those of earlier ones are of no more use."""
        found = {}
        with self._lock:
            self._presented = key
            for name, detector in self._detectors.items():
                if (result := detector.take(key)) is not None:
                    found[name] = result
                self._counts["unused"] += detector.forget_before(key)
            self._counts["presented"] += len(found)
        return found or NO_RESULTS

    def counts(self, refused: int = 0, excess: int = 0) -> ResultCounts:
        """A snapshot; the arguments are what the subscriber has counted."""
        with self._lock:
            return ResultCounts(**self._counts, refused=refused, excess=excess)

    def _keep(self, detector: _Detector, result: Result, now_ns: int) -> Fate | None:
        detector.heard_ns = now_ns
        key = (result.epoch, result.seq)
        if self._presented is not None and key[0] == self._presented[0] and key[1] <= self._presented[1]:
            return "late"
        if key in detector.found:
            return "duplicate"  # the first one may be waited for, and is not taken back
        detector.add(key, result, now_ns)
        while sum(each.size_bytes for each in self._detectors.values()) > self._most_bytes:
            # Of the one that has most: it costs the others nothing.
            max(self._detectors.values(), key=lambda each: each.size_bytes).drop_oldest()
            self._counts["overflow"] += 1
        return None

    def _expire(self, now_ns: int) -> None:
        """What came so long ago has no frame that is still to be presented."""
        for name, detector in tuple(self._detectors.items()):
            self._counts["unused"] += detector.expire(now_ns - self._max_age_ns)
            if self._all and not detector.found and now_ns - detector.heard_ns > _ABSENT_NS:
                del self._detectors[name]


class _Detector:
    """What one detector found, in the order in which it came."""

    def __init__(self) -> None:
        self.found: dict[Key, tuple[Result, int]] = {}
        self.size_bytes = 0
        self.heard_ns = 0

    def add(self, key: Key, result: Result, now_ns: int) -> None:
        self.found[key] = result, now_ns
        self.size_bytes += result.size_bytes + _OVERHEAD_BYTES

    def take(self, key: Key) -> Result | None:
        entry = self.found.pop(key, None)
        if entry is None:
            return None
        self.size_bytes -= entry[0].size_bytes + _OVERHEAD_BYTES
        return entry[0]

    def drop_oldest(self) -> None:
        self.take(next(iter(self.found)))

    def forget_before(self, key: Key) -> int:
        """Drop the oldest ones as long as they are of frames before this one; their number."""
        count = 0
        while self.found:
            epoch, seq = next(iter(self.found))
            if epoch != key[0] or seq >= key[1]:
                break
            self.drop_oldest()
            count += 1
        return count

    def expire(self, until_ns: int) -> int:
        """Drop what came before then; their number."""
        count = 0
        while self.found and next(iter(self.found.values()))[1] < until_ns:
            self.drop_oldest()
            count += 1
        return count
