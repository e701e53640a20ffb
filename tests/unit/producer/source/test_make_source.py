"""`make_source` of producer/source/__init__.py: which text names which source."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.producer.source import Source, make_source
from fanlight.producer.source.camera import CameraSource
from fanlight.producer.source.images import ImagesSource
from fanlight.producer.source.media import FileSource, SdpSource, UrlSource
from fanlight.producer.source.pipe import PipeSource
from fanlight.producer.source.test_pattern import TestPatternSource
from tests.support.timing import scaled
from tests.unit.producer.source.footage import pattern, write_clip


@pytest.mark.parametrize(
    ("spec", "kind", "name"),
    [
        ("test", TestPatternSource, "test pattern 1280x720"),
        ("0", CameraSource, "camera 0"),
        ("12", CameraSource, "camera 12"),
        ("/dev/video3", CameraSource, "camera /dev/video3"),
        ("/dev/v4l/by-id/usb-x-index0", CameraSource, "camera /dev/v4l/by-id/usb-x-index0"),
        ("by-id/cam", CameraSource, "camera by-id/cam"),
        ("file:///dev/video3", CameraSource, "camera /dev/video3"),
        ("pipe", PipeSource, "pipe"),
        ("cam.SDP", SdpSource, "cam.SDP"),
        ("rtsp://u:secret@cam/1", UrlSource, "rtsp://***@cam/1"),
        ("clip.mp4", FileSource, "clip.mp4"),
        ("7.mp4", FileSource, "7.mp4"),
        ("file://a%20b.mp4", FileSource, "a b.mp4"),
        ("odd[1].mp4", FileSource, "odd[1].mp4"),
        ("shots", ImagesSource, "images shots"),
        ("shots/*.png", ImagesSource, "images shots/*.png"),
        ("shots/1.PNG", ImagesSource, "images shots/1.PNG"),
    ],
)
def test_the_text_names_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, kind: type[Source], name: str
) -> None:
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    source = make_source(spec, loop=False, fps=None, size=None)
    assert type(source) is kind
    assert str(source) == name


NO_FILE = (
    "there is no such file; allowed is test, a camera's index or device, a video file, a URL, - for "
    "standard input, a folder of images or a pattern such as 'DIR/*.png'"
)
NO_IMAGE = "there is no image; known are .bmp, .jpeg"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        *(
            (spec, NO_FILE)
            for spec in ("missing.mp4", "", "-1", "99999", "no/folder", "file:///missing.mp4")
        ),
        *((spec, NO_IMAGE) for spec in (".", "*.png", "[ab].jpg")),
    ],
)
def test_what_is_not_there_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError) as refused:
        make_source(spec, loop=False, fps=None, size=None)
    assert refused.value.name == "--source"
    refusal = f"--source {spec.removeprefix('file://')!r} cannot be used: {why}"
    assert str(refused.value).startswith(refusal)


@pytest.mark.parametrize("spec", ["-", "pipe:", "pipe:0", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
@pytest.mark.parametrize(
    ("stdin", "told"),
    [
        ("file", "FileSource"),
        ("pipe", "PipeSource standard input"),
        ("null", "it is no pipe: write a video to it, as in camera | producer"),
    ],
)
def test_standard_input_is_whatever_the_shell_put_there(
    tmp_path: Path, spec: str, stdin: str, told: str
) -> None:
    program = (
        "import sys; from fanlight.common.model.errors import ConfigError\n"
        "from fanlight.producer.source import make_source\n"
        "try: s = make_source(sys.argv[1], loop=False, fps=None, size=None); print(type(s).__name__, s)\n"
        "except ConfigError as error: print(error)"
    )
    command = [sys.executable, "-c", program, spec]
    with ExitStack() as files:
        if stdin == "pipe":
            given: int | IO[bytes] = subprocess.PIPE
        else:
            path = write_clip(tmp_path / "clip.mkv", 2) if stdin == "file" else Path(os.devnull)
            given = files.enter_context(path.open("rb"))
        child = subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, text=True)
        output, _ = child.communicate(timeout=scaled(60))
    assert told in output


def test_the_test_pattern_has_the_given_size_and_rate_and_needs_no_opencv() -> None:
    program = (
        "import sys; from fanlight.producer.source import make_source\n"
        "s = make_source('test', loop=False, fps=12, size=(64, 48)); s.open(); s.read()\n"
        "print('cv2' in sys.modules, s, s.fps)"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout == "False test pattern 64x48 12\n"


def furnish(folder: Path) -> None:
    for name in ("clip.mp4", "7.mp4", "odd[1].mp4", "a b.mp4"):
        (folder / name).touch()
    (folder / "cam.SDP").touch()
    os.mkfifo(folder / "pipe")
    (folder / "by-id").mkdir()
    (folder / "by-id" / "cam").symlink_to("/dev/null")  # any character device
    (folder / "shots").mkdir()
    (folder / "shots" / "1.PNG").write_bytes(pattern(1).tobytes())
    (folder / "shots" / "2.png").write_bytes(pattern(2).tobytes())


@pytest.mark.parametrize("spec", ["~/clip.mp4", "file://~/clip.mp4"])
def test_a_file_may_be_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    furnish(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(make_source(spec, loop=False, fps=None, size=None)) == f"{tmp_path}/clip.mp4"
    found = make_source("~/shots/*.png", loop=False, fps=None, size=None)
    assert str(found) == f"images {tmp_path}/shots/*.png"
