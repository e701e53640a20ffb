"""Reading a source at its own pace and nothing else: what an idle producer cannot save.

    python -m scripts.measure.capture_work CLIP SECONDS

Prints the cores it took.
"""

from __future__ import annotations

import sys
import time

from fanlight.producer.source.media import FileSource


def measure(clip: str, seconds: float) -> float:
    """CPU seconds per second."""
    source = FileSource(clip, fps=30)
    source.open()
    source.read()
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds and source.read() is not None:
        pass
    return (time.process_time() - used) / (time.monotonic() - began)


if __name__ == "__main__":
    sys.stdout.write(f"{measure(sys.argv[1], float(sys.argv[2])):.4f}")
