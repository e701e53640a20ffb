"""`make_source` of producer/source/__init__.py: which text names which source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.producer.source import Source, make_source
from fanlight.producer.source.camera import CameraSource
from fanlight.producer.source.images import ImagesSource
from fanlight.producer.source.media import FileSource, UrlSource
from fanlight.producer.source.test_pattern import TestPatternSource
from tests.unit.producer.source.footage import pattern


def make(spec: str, fps: float | None = None, size: tuple[int, int] | None = None) -> Source:
    return make_source(spec, loop=False, fps=fps, size=size)


@pytest.mark.parametrize(
    ("spec", "kind", "name"),
    [
        ("test", TestPatternSource, "test pattern 1280x720"),
        ("0", CameraSource, "camera 0"),
        ("12", CameraSource, "camera 12"),
        ("/dev/video3", CameraSource, "camera /dev/video3"),
        ("rtsp://u:secret@cam/1", UrlSource, "rtsp://u:***@cam/1"),
        ("clip.mp4", FileSource, "clip.mp4"),
        ("7.mp4", FileSource, "7.mp4"),
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
    source = make(spec)
    assert type(source) is kind
    assert str(source) == name


def test_a_file_url_is_a_file(tmp_path: Path) -> None:
    furnish(tmp_path)
    (tmp_path / "a b.mp4").touch()
    source = make(f"file://{tmp_path}/a%20b.mp4")
    assert type(source) is FileSource
    assert str(source) == f"{tmp_path}/a b.mp4"


def test_rate_and_size_reach_the_test_pattern() -> None:
    source = make("test", fps=12, size=(641, 481))
    assert source.fps == 12
    assert str(source) == "test pattern 641x481"


@pytest.mark.parametrize(
    "spec", ["missing.mp4", "tset", "", "-1", "99999", "no/such/folder", "file:///missing.mp4"]
)
def test_what_is_not_there_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        make(spec)
    assert refused.value.name == "--source"
    assert str(refused.value) == (
        f"--source {spec.removeprefix('file://')!r} cannot be used: there is no such file; "
        "allowed is test, a camera's index, a video file, a URL, "
        "a folder of images or a pattern such as 'DIR/*.png'"
    )


@pytest.mark.parametrize("spec", [".", "*.png", "[ab].jpg"])
def test_no_image_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"there is no image; known are \.bmp, \.jpeg"):
        make(spec)


def test_the_test_pattern_needs_no_opencv() -> None:
    program = (
        "import sys; from fanlight.producer.source import make_source\n"
        "s = make_source('test', loop=False, fps=None, size=(64, 48)); s.open(); s.read()\n"
        "print('cv2' in sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout == "False\n"


def furnish(folder: Path) -> None:
    for name in ("clip.mp4", "7.mp4", "odd[1].mp4"):
        (folder / name).touch()
    (folder / "shots").mkdir()
    (folder / "shots" / "1.PNG").write_bytes(pattern(1).tobytes())
    (folder / "shots" / "2.png").write_bytes(pattern(2).tobytes())
