"""`fanlight.VideoCapture` where programs have `cv2.VideoCapture`, with real producers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
import pytest

from fanlight import (
    BrokerRefused,
    VideoCapture,
)
from fanlight.common.model.pixels import Pixels
from tests.support.broker import with_broker_and
from tests.support.commands import ROOT, Command, running
from tests.support.examples import Showing, check_ends, printed

PROGRAMS = ROOT / "tests" / "support" / "opencv_programs"
WIDTH, HEIGHT = 160, 120


# Programs that were written for OpenCV ------------------------------------------------------------------


@contextmanager
def program(name: str, folder: Path, url: str, *streams: str) -> Iterator[Command]:
    """A program of OpenCV's, running, in which only the lines that open a camera are others."""
    source = (PROGRAMS / f"{name}.txt").read_text()
    for number, stream in enumerate(streams):
        line = f"cv2.VideoCapture({number})"
        assert source.count(line) == 1
        source = source.replace(line, f"__import__('fanlight').VideoCapture({stream!r})")
    assert "cv2.VideoCapture" not in source
    (folder / f"{name}_program.py").write_text(source)
    paths = os.pathsep.join([str(folder), str(ROOT)])
    with running(
        f"{name}_program", str(folder), environment={"PYTHONPATH": paths, "FANLIGHT_URL": url}
    ) as command:
        yield command


def moving(capture_ns: int) -> Pixels:
    """A white square that goes to the right, in the upper half."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    x = capture_ns // 20_000_000 % 120
    picture[10:40, x : x + 30] = 255
    return picture


def test_motion_is_detected_until_the_stream_ends(url: str, stream: str, tmp_path: Path) -> None:
    with program("motion", tmp_path, url, stream) as command:
        with Showing(url, stream, moving):
            printed(command, r"^motion at \d+,\d+: green is 255$")
        printed(command, "stream end")
        check_ends(command)


@with_broker_and("multiplex")
def test_a_recording_and_a_snapshot_are_written(url: str, stream: str, tmp_path: Path) -> None:
    with program("record", tmp_path, url, stream) as command:
        with Showing(url, stream, moving):
            printed(command, "^frame 5 of 160x120 at 30 fps$")
        check_ends(command)
    with av.open(str(tmp_path / "output.avi")) as recording:
        pictures = [frame.to_ndarray(format="bgr24") for frame in recording.decode(video=0)]
    assert len(pictures) >= 5
    snapshot = cv2.imread(str(tmp_path / "snapshot.png"))
    assert snapshot is not None
    for picture in (*pictures, snapshot):
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert picture[: HEIGHT // 2].max() < 50, "it is flipped"
        assert picture[HEIGHT // 2 :].max() > 200


def test_two_cameras_are_grabbed_together(broker_url: str, stream: str, tmp_path: Path) -> None:
    streams = f"{stream}-l", f"{stream}-r"
    with program("two_cameras", tmp_path, broker_url, *streams) as command:
        with Showing(broker_url, streams[0], _plain(50)), Showing(broker_url, streams[1], _plain(200)):
            printed(command, f"^both: {2 * WIDTH} {_about(50)} {_about(200)}$")
        check_ends(command)


def _plain(level: int) -> Any:
    return lambda _capture_ns: np.full((HEIGHT, WIDTH, 3), level, np.uint8)


def _about(level: int) -> str:
    """What JPEG leaves of it."""
    return "(" + "|".join(str(level + more) for more in range(-3, 4)) + ")"


# What goes wrong ----------------------------------------------------------------------------------------


def test_one_that_the_broker_refuses_is_not_opened(broker_url: str, stream: str) -> None:
    parts = urlsplit(broker_url)
    wrong = f"{parts.scheme}://{parts.username}:wrong@{parts.hostname}:{parts.port}{parts.path}"
    with VideoCapture(stream, url=wrong) as capture:
        assert not capture.isOpened()
        capture.setExceptionMode(True)
        with pytest.raises(BrokerRefused):
            capture.grab()
