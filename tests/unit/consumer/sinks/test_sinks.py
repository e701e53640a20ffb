"""The names of sinks, what they accept, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fanlight.consumer.sinks import SINKS, SinkSpec, default_sinks, open_sink, parse_sink
from tests.support.timing import scaled
from tests.unit.consumer.sinks.build import context

FILES = [("snapshot", "png"), ("record", "mkv"), ("trace", "csv")]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("window", SinkSpec("window")),
        ("status", SinkSpec("status")),
        (" null ", SinkSpec("null")),
        ("share", SinkSpec("share")),
        ("snapshot:a.jpg", SinkSpec("snapshot", "a.jpg")),
        ("record:/var/x y.mp4", SinkSpec("record", "/var/x y.mp4")),
        ("trace:a:b.csv", SinkSpec("trace", "a:b.csv")),
    ],
)
def test_a_sink_is_a_kind_and_what_stands_after_the_first_colon(text: str, spec: SinkSpec) -> None:
    assert parse_sink(text) == spec
    assert str(spec) == text.strip()


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", SINKS),
        ("vindow", SINKS),
        ("Window", SINKS),
        (":x", SINKS),
        ("web:0.0.0.0:8080", SINKS),
        ("window:", "window, with nothing after it"),
        ("null:x", "null, with nothing after it"),
        ("share:x", "share, with nothing after it"),
        ("record", "record:FILE, with the name of a file"),
        ("trace:", "trace:FILE, with the name of a file"),
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(text: str, allowed: str) -> None:
    with pytest.raises(ValueError, match=r"^") as refused:
        parse_sink(text)
    assert str(refused.value) == allowed


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


@pytest.mark.parametrize("spec", [SinkSpec("web", "0.0.0.0:80"), SinkSpec("record"), SinkSpec("null", "x")])
def test_a_spec_that_was_made_up_is_refused(spec: SinkSpec) -> None:
    with pytest.raises(ValueError, match="is not a sink: allowed is window, "):
        open_sink(spec, context())


def printed(program: str) -> str:
    """The last line that a fresh interpreter prints."""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=scaled(20), check=True
    )
    return run.stdout.splitlines()[-1]


def test_importing_the_package_loads_no_codec_and_no_opencv() -> None:
    heavy = {"av", "cv2", "simplejpeg", "matplotlib"}
    # Without consumer/__init__.py, which loads what a whole consumer needs.
    program = (
        "import sys, types\n"
        "bare = sys.modules['consumer'] = types.ModuleType('consumer')\n"
        "bare.__path__ = ['consumer']\n"
        "import fanlight.consumer.sinks\n"
        f"print(sorted({heavy} & set(sys.modules)))\n"
    )
    assert printed(program) == "[]"


def test_only_a_window_loads_opencv(tmp_path: Path) -> None:
    texts = ["status", "null", *(f"{kind}:{tmp_path}/a.{end}" for kind, end in FILES)]
    program = (
        "import sys\n"
        "from fanlight.consumer.sinks import open_sink, parse_sink\n"
        "from tests.unit.consumer.sinks.build import context\n"
        f"for text in {texts}:\n"
        "    open_sink(parse_sink(text), context()).close()\n"
        "print('cv2' in sys.modules)\n"
    )
    assert printed(program) == "False"
