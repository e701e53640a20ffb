"""The question asked before Qt is. That a display is found is tested with windows, under Xvfb."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.timing import scaled

PROGRAM = (
    "from fanlight.common.model.errors import SinkError\n"
    "from fanlight.consumer.sinks import open_sink, parse_sink\n"
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
