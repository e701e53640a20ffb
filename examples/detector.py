"""Find what moves, without a model file, and publish it: boxes that ride on exactly their frames.

    python -m examples.detector cam                                     # beside python -m producer
    python -m consumer --stream cam --results motion --wait 150ms       # a window draws them
    python -m consumer.wall                                             # a page: /?results=motion&wait=150

Put your own detector in place of `Motion`: boxes are in pixels of the picture that it is given.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import cv2
import numpy as np

from fanlight import Consumer, Results

NAME = "motion"
SIZE = (640, 360)  # of the pictures that are examined: results fit the stream's pictures all the same
LEAST_PX = 300


class Motion:
    """What differs from the background, which is learned."""

    def __init__(self) -> None:
        self._background = cv2.createBackgroundSubtractorMOG2(detectShadows=False)
        self._grain = np.ones((5, 5), np.uint8)

    def find(self, image: np.ndarray) -> list[tuple[int, int, int, int]]:
        mask = cv2.morphologyEx(self._background.apply(image), cv2.MORPH_OPEN, self._grain)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        found = [cv2.boundingRect(each) for each in contours]
        return [(x, y, x + w, y + h) for x, y, w, h in found if w * h >= LEAST_PX]


def main(stream: str = "cam") -> None:
    with Consumer(stream, NAME, size=SIZE, until_end=True) as frames, Results(stream, NAME) as out:
        print(f"looking for motion in {stream}")
        motion, epoch = Motion(), None
        for frame in frames:
            if frame.epoch != epoch:  # another producer: perhaps of another scene
                motion, epoch = Motion(), frame.epoch
            boxes = motion.find(frame.image)
            # Also where nothing was found: whoever waits for this frame's results need not wait longer.
            out.send(frame, boxes=boxes, labels=["moves"] * len(boxes))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
