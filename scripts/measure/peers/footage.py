"""What the Python peers share: OpenCV reads the clip at its own rate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import cv2

QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 80]


def jpegs(clip: str, fps: float = 30.0) -> Iterator[tuple[int, int, bytes]]:
    """(seq, capture time in Unix ns, JPEG), each when it is due; until the clip ends."""
    cv2.setNumThreads(1)
    capture = cv2.VideoCapture(clip, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    begin = time.monotonic()
    seq = 0
    while True:
        read, image = capture.read()
        if not read:
            return
        time.sleep(max(0.0, begin + seq / fps - time.monotonic()))
        capture_ns = time.time_ns()
        yield seq, capture_ns, cv2.imencode(".jpg", image, QUALITY)[1].tobytes()
        seq += 1


def decode(jpeg: bytes) -> Any:
    import numpy as np

    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
