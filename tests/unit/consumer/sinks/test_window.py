"""The parts of `window` that need none: its size, its label, and what happens without a display."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fanlight.consumer.sinks.window import MARGIN_PX, Label, enlargement, fitted, label_text
from tests.support.timing import scaled
from tests.unit.consumer.sinks.build import STATS


@pytest.mark.parametrize(
    ("picture", "window"),
    [
        ((640, 480), (640, 480)),
        ((1280, 720), (1280, 720)),
        ((3840, 2160), (1280, 720)),
        ((1080, 1920), (405, 720)),
        ((16384, 1), (1280, 1)),
    ],
)
def test_a_window_opens_with_the_size_of_the_picture_or_smaller(
    picture: tuple[int, int], window: tuple[int, int]
) -> None:
    assert fitted(*picture) == window


@pytest.mark.parametrize(
    ("picture", "times"),
    [
        ((160, 120), 3),
        ((90, 160), 4),
        ((320, 240), 2),
        ((480, 360), 1),
        ((640, 480), 1),
        ((1, 1), 480),
        ((1, 16384), 1),
    ],
)
def test_a_picture_too_narrow_for_a_label_is_enlarged(picture: tuple[int, int], times: int) -> None:
    assert enlargement(*picture) == times


@pytest.mark.parametrize(("width", "height"), [(480, 360), (1920, 1080), (3840, 2160), (2160, 3840)])
def test_the_label_has_the_same_size_in_every_window(width: int, height: int) -> None:
    def extent(width: int, height: int) -> np.ndarray:
        canvas = np.full((height, width, 3), 200, np.uint8)
        before = canvas.copy()
        Label().draw(canvas, "c1   30.0 fps   12 ms")
        return np.array(changed(canvas, before)) * fitted(width, height)[0] / width

    assert extent(width, height) == pytest.approx(extent(1280, 720), rel=0.12)


def test_the_label_names_the_consumer_its_rate_and_its_age() -> None:
    assert label_text("c1", STATS) == "c1   30.0 fps   12 ms"
    assert label_text("c1", replace(STATS, fps=0.0, age_p50_s=None)) == "c1   0.0 fps   - ms"


def changed(canvas: np.ndarray, before: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero((canvas != before).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_it_stays_in_its_corner_and_leaves_the_rest_alone() -> None:
    canvas = np.full((720, 1280, 3), 200, np.uint8)
    before = canvas.copy()
    Label().draw(canvas, "c1   30.0 fps   12 ms")
    left, top, right, bottom = changed(canvas, before)
    assert (left, top) == (MARGIN_PX, MARGIN_PX)
    assert 150 < right < 260
    assert 40 < bottom < 50


@pytest.mark.parametrize("warning", [False, True])
def test_text_on_a_white_picture_can_be_read_and_a_warning_is_amber(warning: bool) -> None:
    canvas = np.full((100, 400, 3), 255, np.uint8)
    Label().draw(canvas, "no new frame", warning=warning)
    box = canvas[MARGIN_PX : MARGIN_PX + 30, MARGIN_PX : MARGIN_PX + 100].reshape(-1, 3)
    assert box[0].max() < 100, "the box behind it is dark, and black if it warns"
    assert not warning or box[0].tolist() == [0, 0, 0]
    blue, _, red = box[1:].max(axis=0) if warning else canvas[22:40, 22:120].reshape(-1, 3).max(axis=0)
    assert red > 250
    assert bool(blue < 250) is warning


@pytest.mark.parametrize("size", [(1, 1), (11, 11), (40, 200), (200, 20)])
def test_a_picture_smaller_than_the_label_is_no_problem(size: tuple[int, int]) -> None:
    Label().draw(np.zeros((*size, 3), np.uint8), "c1   30.0 fps   12 ms")


PROGRAM = (
    "from fanlight.common.model.errors import SinkError\n"
    "from fanlight.consumer.sink_spec import parse_sink\n"
    "from fanlight.consumer.sinks import open_sink\n"
    "from tests.unit.consumer.sinks.build import context\n"
    "try:\n"
    "    open_sink(parse_sink('window'), context())\n"
    "except SinkError as error:\n"
    "    print(error)\n"
)


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({}, "DISPLAY is not set"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "DISPLAY is not set"),
        ({"DISPLAY": ":7654"}, "no X server answers at DISPLAY=:7654"),
        ({"DISPLAY": "localhost:7654"}, "no X server answers at DISPLAY=localhost:7654"),
        ({"DISPLAY": "nonsense"}, "no X server answers at DISPLAY=nonsense"),
    ],
)
def test_without_a_display_there_is_one_line_and_no_abort(environment: dict[str, str], line: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=scaled(20),
        check=False,
    )
    expected = f"window cannot be opened: {line}, use --sink status\n"
    assert (run.returncode, run.stdout, run.stderr) == (0, expected, "")


# As opencv-python-headless, whose functions for windows raise this.
HEADLESS = """
class error(Exception): pass
def destroyAllWindows(): raise error("window.cpp:1215: error: (-2) The function is not implemented.")
def __getattr__(name):
    if name.startswith("__"): raise AttributeError(name)
    return 0
"""
LIBRARY = """
raise ImportError("libxcb.so.1: cannot open shared object file: No such file or directory")
"""
ABSENT = """
raise ModuleNotFoundError("No module named 'cv2'", name="cv2")
"""


@pytest.mark.parametrize("display", [{}, {"DISPLAY": ":7654"}])
@pytest.mark.parametrize(
    ("opencv", "line"),
    [
        (HEADLESS, "this OpenCV is built without windows: pip uninstall opencv-python-headless"),
        (LIBRARY, "libxcb.so.1 is missing: apt-get install libxcb1"),
        (ABSENT, "OpenCV is not installed: pip install 'fanlight[window]'"),
    ],
)
def test_an_opencv_that_cannot_is_one_line_from_window_and_doctor(
    tmp_path: Path, display: dict[str, str], opencv: str, line: str
) -> None:
    (tmp_path / "cv2.py").write_text(opencv)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), **display}
    for module, code, given in (
        ("window", 0, ("-c", PROGRAM)),
        ("doctor", 1, ("-m", "fanlight.consumer.doctor")),
    ):
        run = subprocess.run(
            [sys.executable, *given],
            env=environment,
            capture_output=True,
            text=True,
            timeout=scaled(20),
            check=False,
        )
        assert run.returncode == code, module
        said = (run.stdout or run.stderr).splitlines()[-1]
        assert f"window cannot be opened: {line}" in said
        assert said.endswith(", or use --sink status")
