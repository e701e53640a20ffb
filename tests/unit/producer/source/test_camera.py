from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from fanlight.common.model.errors import SourceError
from fanlight.producer.source.base import Captured
from fanlight.producer.source.camera import CameraSource, advice
from tests.support.timing import scaled
from tests.unit.producer.source.footage import number_of, write_clip

# There is no camera on a test machine. OpenCV reads a file through the very same calls.


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.avi", 40, size=(641, 481), fps=12)


def opened(device: int | str, fps: float | None = None) -> CameraSource:
    camera = CameraSource(device, fps=fps, open_s=scaled(30), stall_s=scaled(10))
    camera.open()
    return camera


def test_pictures_arrive_in_order_as_bgr(clip: Path) -> None:
    camera = opened(str(clip))
    assert camera.fps == 12
    captured: list[Captured] = []
    with pytest.raises(SourceError):
        captured.extend(iter(camera.read, None))
    camera.close()
    pictures = [c.picture for c in captured if isinstance(c.picture, np.ndarray)]
    assert [picture.shape for picture in pictures] == [(481, 641, 3)] * len(captured)
    numbers = [number_of(c) or 0 for c in captured]
    assert numbers[-1] == 39
    assert numbers == sorted(set(numbers))
    times = [c.capture_ns for c in captured]
    assert times == sorted(times)


def test_a_camera_that_stops_is_one_line_and_can_be_opened_again(clip: Path) -> None:
    camera = opened(str(clip), fps=5)
    assert camera.fps == 5
    assert opened(str(clip), fps=60).fps == 12, "no more is promised than it gives"
    for _ in range(2):
        with pytest.raises(SourceError) as stopped:
            list(iter(camera.read, None))
        assert str(stopped.value) == f"camera {clip}: it stopped delivering pictures"
        camera.close()
        camera.open()
    camera.close()


@pytest.mark.parametrize("device", [97, "tcp://127.0.0.1:1"])
def test_a_missing_camera_is_one_line_and_libraries_are_silent(
    device: int | str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SourceError) as missing:
        opened(device)
    message = str(missing.value)
    assert message.startswith(f"camera {device}: cannot be opened; ")
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


class Webcam:
    """Stands in for OpenCV's camera: this machine has none."""

    calls: ClassVar[list[tuple[int, float]]] = []

    def __init__(self, *opened: object) -> None:
        self.opened = opened

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def set(self, name: int, value: float) -> bool:
        self.calls.append((name, value))
        return True

    def get(self, name: int) -> float:
        return 30.0

    def grab(self) -> bool:
        return False

    def release(self) -> None:
        pass


@pytest.mark.parametrize(("size", "asks"), [((1280, 720), True), (None, False)])
def test_mjpg_is_requested_before_a_size_and_only_with_one(
    size: tuple[int, int] | None, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2

    monkeypatch.setattr(cv2, "VideoCapture", Webcam)
    monkeypatch.setattr(Webcam, "calls", [])
    camera = CameraSource(0, size=size, fps=30)
    camera.open()
    camera.close()
    names = [name for name, _ in Webcam.calls]
    assert ((cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")) in Webcam.calls) is asks
    if asks:
        assert names.index(cv2.CAP_PROP_FOURCC) < names.index(cv2.CAP_PROP_FRAME_WIDTH)
    assert names[-1] == cv2.CAP_PROP_FPS


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/video* is how Linux names cameras")
def test_the_advice_says_which_cameras_there_are() -> None:
    assert advice(0, []) == "this machine has no camera (no /dev/video*); --source test needs none"
    assert advice(0, ["/dev/video1", "/dev/video2"]) == "there are /dev/video1, /dev/video2"
    for device in (2, "/dev/video2"):
        found = advice(device, ["/dev/video1", "/dev/video2"])
        assert found == "is /dev/video2 in use by another program, or its access not allowed?"


def test_the_advice_follows_a_link_to_a_device(tmp_path: Path) -> None:
    device, link = tmp_path / "video0", tmp_path / "usb-cam-index0"
    device.touch()
    link.symlink_to(device)
    assert (
        advice(str(link), [str(device)])
        == f"is {link} in use by another program, or its access not allowed?"
    )


def test_a_driver_that_hangs_while_opening_fails_in_time_or_is_interrupted(tmp_path: Path) -> None:
    """Opening a pipe without a writer blocks inside OpenCV, as a bad driver does.

    In a process of its own, because its thread stays blocked for good.
    """
    pipe = tmp_path / "pipe.avi"
    os.mkfifo(pipe)
    program = (
        "import sys, threading\n"
        "from fanlight.common.model.errors import SourceError\n"
        "from fanlight.producer.source.camera import CameraSource\n"
        "camera = CameraSource(sys.argv[1], open_s=0.2)\n"
        "try:\n"
        "    camera.open()\n"
        "except SourceError as error:\n"
        "    print(error)\n"
        "camera.close()\n"
        "camera = CameraSource(sys.argv[1], open_s=600)\n"
        "threading.Timer(0.1, camera.interrupt).start()\n"
        "camera.open()\n"
        "camera.close()\n"
        "print(camera.read())\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, str(pipe)],
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )
    assert (child.stdout, child.stderr) == (f"camera {pipe}: no answer for 0.2 s\nNone\n", "")
    assert child.returncode == 0
