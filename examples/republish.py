"""Take a stream and send a processed one, with the same capture times and what the camera says of each.

    python -m examples.republish cam cam-edges

A consumer of `cam-edges` sees how old a picture really is, since its capture time is the camera's: an age
includes the work that is done here. A picture that this work makes too old is dropped, not queued.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import cv2
import numpy as np

from fanlight import Consumer, Frame, Producer


def processed(frame: Frame) -> np.ndarray:
    """Edges in red; put your own work here."""
    picture = frame.image.copy()  # the frame's own pixels are read-only
    picture[cv2.Canny(frame.image, 60, 120) > 0] = (0, 0, 255)
    return picture


def main(source: str = "cam", target: str = "cam-edges") -> None:
    with Consumer(source, name=target, until_end=True) as frames, Producer(stream=target) as out:
        print(f"{source} -> {target}")
        for frame in frames:
            meta = {**frame.meta, "from": source, "seq": frame.seq}
            out.send(processed(frame), capture_ns=frame.capture_ns, meta=meta)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
