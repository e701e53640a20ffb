from __future__ import annotations

import os
import wave
from pathlib import Path

import av
import pytest

from fanlight.common.model.errors import SourceError
from fanlight.producer.source.media import FileSource, UrlSource
from tests.unit.producer.source.footage import number_of, write_clip

CLIP = Path(__file__).parents[3] / "media" / "bigbuckbunny-720p.mp4"


def numbers(source: FileSource) -> list[int | None]:
    return [number_of(captured) for captured in iter(source.read, None)]


def test_the_real_clip_is_read_to_its_end() -> None:
    source = FileSource(CLIP, fps=1000)
    source.open()
    pictures = [captured.picture for captured in iter(source.read, None)]
    source.close()
    assert len(pictures) == 132
    assert {(p.width, p.height, p.format.name) for p in pictures if isinstance(p, av.VideoFrame)} == {
        (1280, 720, "yuv420p")
    }


@pytest.mark.parametrize(
    "name", ["a:b.mkv", "100%d.mkv", "sp ace.mkv", "http:x.mkv", "ümläut.mkv", "[1].mkv"]
)
def test_special_characters_in_a_name_have_no_meaning(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clip(tmp_path / "clip.mkv", 3).rename(tmp_path / name)
    for path in (tmp_path / name, Path(name)):
        monkeypatch.chdir(tmp_path)
        source = FileSource(path, fps=1000)
        source.open()
        assert numbers(source) == [0, 1, 2]
        source.close()


def test_a_title_in_another_encoding_does_no_harm(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.avi", 3)
    data = clip.read_bytes()
    assert b"Lavf" in data
    clip.write_bytes(data.replace(b"Lavf", b"L\xe9\xff\xfe"))
    source = FileSource(clip, fps=1000)
    for _ in range(2):  # a source can be opened again
        source.open()
        assert numbers(source) == [0, 1, 2]
        source.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.mp4", "there is no such file; check the path given to --source"),
        ("folder.mp4", "this is not a regular file"),
        ("pipe.mp4", "this is not a regular file"),
        ("text.mp4", "not a video, or damaged: FFmpeg cannot read it"),
        ("empty.mp4", "not a video, or damaged: FFmpeg cannot read it"),
        ("sound.wav", "there is no video in it that FFmpeg can decode"),
    ],
)
def test_a_path_without_a_video_is_one_line(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "text.mp4").write_text("not a video at all\n" * 100)
    (tmp_path / "empty.mp4").touch()
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    with pytest.raises(SourceError) as refused:
        FileSource(tmp_path / name).open()
    assert str(refused.value) == f"{tmp_path / name}: {message}"


def test_secrets_of_a_url_are_not_shown() -> None:
    url = "rtsp://ann:secret@host/a=secret/x?any=secret"
    assert str(UrlSource(url)) == "rtsp://***@host/***/x?any=***"
    assert str(UrlSource(url, show=True)) == url, "the user wants to see it"
