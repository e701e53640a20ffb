"""A stream of marked pictures, most of which carry meta that follows from their capture time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fanlight.consumer import Frame
from tests.support.marked_stream import Marking

PATIENT_S = 10.0
"""With this age no frame is dropped because the machine is busy."""


def meta_of(capture_ns: int) -> dict[str, Any]:
    """What belongs to the picture of that time: nothing for every third."""
    if capture_ns // 1000 % 3 == 0:
        return {}
    return {"n": capture_ns, "gps": [capture_ns % 90 + 0.5, -11.5], "of": {"é": None, "ok": True}}


class Telling(Marking):
    """Sends each picture with its meta."""

    def meta(self, capture_ns: int) -> dict[str, Any] | None:
        return meta_of(capture_ns) or None


def check_metas(frames: Iterable[Frame]) -> set[bool]:
    """Each frame has exactly its own meta; whether there were some with and some without."""
    seen = set()
    for frame in frames:
        assert frame.meta == meta_of(frame.capture_ns)
        seen.add(bool(frame.meta))
    return seen
