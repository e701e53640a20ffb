from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from fanlight.common.model.errors import ConfigError, SourceError
from fanlight.producer.source import playback as module
from fanlight.producer.source.base import Captured
from fanlight.producer.source.playback import Playback
from fanlight.producer.stats import Drop, Drops
from tests.unit.producer.source.footage import number_of, stepped_time, wipe_packets, write_clip


@pytest.fixture(autouse=True)
def deadlines(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return stepped_time(monkeypatch, module)


def play(
    path: Path, count: int | None = None, *, fps: float | None = None, loop: bool = False
) -> list[Captured]:
    playback = Playback(str(path), path.name, Drops(), fps=fps, loop=loop)
    playback.open()
    stop = threading.Event()
    played: list[Captured] = []
    while (count is None or len(played) < count) and (captured := playback.grab(stop)) is not None:
        played.append(captured)
    playback.close()
    return played


def test_plays_by_its_timestamps_where_the_rate_varies(tmp_path: Path, deadlines: list[float]) -> None:
    play(write_clip(tmp_path / "clip.mkv", 5, timestamps=[0, 40, 200, 210, 1500]))
    assert deadlines == [0, 40, 200, 210, 1500]


def test_plays_every_picture_at_the_rate_asked_for(tmp_path: Path, deadlines: list[float]) -> None:
    clip = write_clip(tmp_path / "clip.mkv", 5, timestamps=[0, 40, 200, 210, 1500])
    assert len(play(clip, fps=100)) == 5
    assert deadlines == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [("a.mkv", "mjpeg", "yuvj420p"), ("a.mp4", "libx264", "yuv420p"), ("a.h264", "libx264", "yuv420p")],
    ids=["seeks", "seeks, with B-frames", "cannot seek"],
)
def test_a_loop_has_no_gap(
    tmp_path: Path, deadlines: list[float], name: str, codec: str, pixel_format: str
) -> None:
    clip = write_clip(tmp_path / name, 8, codec=codec, pixel_format=pixel_format)
    played = play(clip, 20, loop=True)
    assert [number_of(captured) for captured in played] == [n % 8 for n in range(20)]
    assert deadlines == [n * 40 for n in range(20)]


def test_where_seeking_ends_up_elsewhere_a_loop_opens_the_file_anew(tmp_path: Path) -> None:
    playback = Playback(str(write_clip(tmp_path / "clip.mkv", 3)), "clip.mkv", Drops(), loop=True)
    playback.open()
    container = playback._container
    assert container is not None
    again, _, frames = playback._start_over(container, container.streams.video[0], first_pts=999)
    assert again is not container
    assert [frame.pts for frame in frames] == [0, 40, 80]
    playback.close()


def test_an_undecodable_packet_is_skipped_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", 8)
    wipe_packets(clip, [3, 4])
    drops = Drops()
    playback = Playback(str(clip), "clip.mkv", drops)
    playback.open()
    with caplog.at_level(logging.WARNING):
        numbers = [number_of(c) for c in iter(lambda: playback.grab(threading.Event()), None)]
    playback.close()
    assert numbers == [0, 1, 2, 5, 6, 7]
    assert drops == {Drop.UNREADABLE: 2}
    # Time stands still here, so the second one is within a second of the first: one line.
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "clip.mkv: 1 undecodable packets skipped so far"
    ]


@pytest.mark.parametrize("loop", [False, True])
def test_a_file_in_which_nothing_decodes_is_a_failure(tmp_path: Path, loop: bool) -> None:
    clip = write_clip(tmp_path / "clip.mkv", 8)
    wipe_packets(clip, range(8))
    with pytest.raises(SourceError, match=r"^clip\.mkv: nothing in it can be decoded$"):
        play(clip, loop=loop)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "clip.avi"])
def test_a_file_that_was_cut_short_plays_up_to_the_cut(tmp_path: Path, name: str) -> None:
    codec, pixel_format = ("mpeg2video", "yuv420p") if name.endswith("ts") else ("mjpeg", "yuvj420p")
    clip = write_clip(tmp_path / name, 20, codec=codec, pixel_format=pixel_format)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 6 // 10])
    numbers = [number_of(captured) for captured in play(clip)]
    # The picture at the cut may come out damaged or not at all; those before it are whole.
    assert numbers[:8] == list(range(8))
    assert len(numbers) < 20


def test_a_file_without_its_index_is_a_failure(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 20)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 6 // 10])
    with pytest.raises(SourceError, match=r"^clip\.mp4: not a video, or damaged"):
        play(clip)


def test_the_rate_is_known_after_opening(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", fps=12)
    playback = Playback(str(clip), "clip.mp4", Drops())
    playback.open()
    assert (playback.fps, playback.native_fps) == (12, 12)
    playback.close()
    faster = Playback(str(clip), "clip.mp4", Drops(), fps=90)
    faster.open()
    assert (faster.fps, faster.native_fps) == (90, 12)
    faster.close()


def test_an_unknown_protocol_can_never_work() -> None:
    with pytest.raises(ConfigError, match="FFmpeg knows no protocol 'gopherx'"):
        Playback("gopherx://host/x", "gopherx://host/x", Drops()).open()
