"""Which sinks are opened, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fanlight.consumer.sink_spec import SinkSpec
from fanlight.consumer.sinks import default_sinks, open_sink
from tests.support.timing import scaled
from tests.unit.consumer.sinks.build import context

FILES = [("snapshot", "png"), ("record", "mkv"), ("pipe", "h264"), ("trace", "csv")]


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, "status"),
        ({"DISPLAY": ""}, "status"),
        ({"DISPLAY": ":0"}, "window"),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}, "window"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "status"),
    ],
)
def test_the_default_is_a_window_where_opencv_can_open_one(environment: dict[str, str], kind: str) -> None:
    assert default_sinks(environment) == (SinkSpec(kind),)


def test_without_opencv_the_default_is_a_status_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    assert default_sinks({"DISPLAY": ":0"}) == (SinkSpec("status"),)


@pytest.mark.parametrize("spec", [SinkSpec("web"), SinkSpec("record"), SinkSpec("null", "x")])
def test_an_invalid_spec_is_refused(spec: SinkSpec) -> None:
    with pytest.raises(ValueError, match="is not a sink: allowed is window, "):
        open_sink(spec, context())


def test_importing_sinks_loads_no_codec_and_only_a_window_loads_opencv(tmp_path: Path) -> None:
    texts = ["status", "null", *(f"{kind}:{tmp_path}/a.{end}" for kind, end in FILES)]
    program = (
        "import sys\n"
        "from fanlight.consumer.sink_spec import parse_sink\n"
        "from fanlight.consumer.sinks import open_sink\n"
        "before = {'av', 'cv2', 'simplejpeg', 'matplotlib'} & set(sys.modules)\n"
        "from tests.unit.consumer.sinks.build import context\n"
        f"for text in {texts}:\n"
        "    open_sink(parse_sink(text), context()).close()\n"
        "print(before, 'cv2' in sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=scaled(20), check=True
    )
    assert run.stdout.splitlines()[-1] == "set() False"
