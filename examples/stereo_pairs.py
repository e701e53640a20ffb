"""Depth from two cameras: pairs of frames that were captured at the same time, matched by OpenCV.

    python -m examples.stereo_pairs [LEFT] [RIGHT]

The cameras' computers may have different clocks. Ends with one of the streams, or by Ctrl-C.
"""

import sys
from contextlib import suppress

import cv2
import numpy as np

from fanlight import Consumer, pairs


def main(left: str = "left", right: str = "right") -> None:
    matcher = cv2.StereoBM.create(numDisparities=32, blockSize=15)
    with Consumer(streams=[left, right], format="grey", until_end=True) as consumer:
        # Less than half of a frame interval, so that no frame has two partners.
        for pair in pairs(consumer, tolerance="10ms"):
            disparity_px = matcher.compute(pair[0].image, pair[1].image) / 16
            apart_ms = abs(pair[0].captured_ns - pair[1].captured_ns) / 1e6
            seen = disparity_px[disparity_px >= 0]
            print(f"{apart_ms:.1f} ms apart, disparity {np.median(seen) if seen.size else 0:.1f} pixels")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
