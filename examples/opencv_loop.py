"""Finds movement in a stream, by an OpenCV loop that was written for a camera.

Only the line that opens the camera is another one. A slow loop skips frames, and never falls behind.

    FANLIGHT_URL=amqp://fanlight:fanlight@localhost/fanlight python examples/opencv_loop.py cam
"""

from __future__ import annotations

import sys
from contextlib import suppress

import cv2

import fanlight

SMALLEST_PX = 100


def watch(stream: str) -> None:
    capture = fanlight.VideoCapture(stream)  # instead of cv2.VideoCapture(0)
    if not capture.isOpened():
        sys.exit(f"no stream {stream}")
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    print(f"{width}x{height} at {capture.get(cv2.CAP_PROP_FPS):g} fps")

    background = cv2.createBackgroundSubtractorMOG2(history=100, detectShadows=False)
    while True:
        found, image = capture.read()
        if not found:
            break
        moving = cv2.medianBlur(background.apply(image), 5)
        contours, _ = cv2.findContours(moving, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for contour in contours:
            if cv2.contourArea(contour) >= SMALLEST_PX:
                x, y, wide, high = cv2.boundingRect(contour)
                after_ms = capture.get(cv2.CAP_PROP_POS_MSEC)
                print(f"movement at {x},{y}: {wide}x{high} pixels, after {after_ms:.0f} ms")
    capture.release()
    print("the stream has ended")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        watch(sys.argv[1] if len(sys.argv) > 1 else "cam")
