from __future__ import annotations

import gc
import itertools
import logging
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from fanlight.common.codec.picture import BGR, Converter, size_of
from fanlight.common.model.errors import SourceError
from fanlight.producer.source.base import Captured
from fanlight.producer.source.pacing import Clock
from fanlight.producer.source.playback import Playback
from fanlight.producer.source.video_input import VideoInput
from fanlight.producer.stats import Drop, Drops
from tests.unit.producer.source.footage import SteppedClock, number_of, pattern, wipe_packets, write_clip


def opened(path: Path, clock: Clock | None = None, drops: Drops | None = None, **options: Any) -> Playback:
    video = VideoInput(str(path), path.name)
    drops = Drops() if drops is None else drops
    playback = Playback(video, drops, clock=clock or SteppedClock(), **options)
    playback.open()
    return playback


def play(path: Path, count: int | None = None, **options: Any) -> list[Captured]:
    playback = opened(path, **options)
    pictures = iter(lambda: playback.grab(threading.Event()), None)
    played = [captured for captured in itertools.islice(pictures, count) if captured is not None]
    playback.close()
    return played


@pytest.mark.parametrize(
    ("fps", "deadlines"), [(None, [0, 40, 200, 210, 1500]), (100, [0, 10, 20, 30, 40])]
)
def test_plays_by_its_timestamps_or_at_the_rate_asked_for(
    tmp_path: Path, fps: float | None, deadlines: list[float]
) -> None:
    clock = SteppedClock()
    clip = write_clip(tmp_path / "clip.mkv", 5, timestamps=[0, 40, 200, 210, 1500])
    playback = opened(clip, clock=clock, fps=fps)
    assert fps in (None, playback.fps)
    assert len(list(iter(lambda: playback.grab(threading.Event()), None))) == 5
    playback.close()
    assert clock.deadlines_ms == deadlines


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mkv", "mjpeg", "yuvj420p"),
        ("a.mp4", "mjpeg", "yuvj420p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_a_pause_keeps_its_length(tmp_path: Path, name: str, codec: str, pixel_format: str) -> None:
    clock = SteppedClock()
    times = [0, 1000, 13_000, 613_000] if name != "a.gif" else [0, 1000, 13_000, 313_000]
    play(
        write_clip(tmp_path / name, 4, codec=codec, pixel_format=pixel_format, timestamps=times),
        clock=clock,
    )
    assert clock.deadlines_ms == pytest.approx(times, abs=1)


@pytest.mark.parametrize("name", ["a.avi", "a.asf"])
def test_b_frames_do_not_slow_a_file_down_that_stores_their_order_only(tmp_path: Path, name: str) -> None:
    clock = SteppedClock()
    clip = write_clip(tmp_path / name, 50, codec="libx264", pixel_format="yuv420p")
    play(clip, 150, clock=clock, loop=True)
    assert clock.deadlines_ms[-1] == pytest.approx(149 * 40, abs=160)


def test_a_file_of_one_picture_a_day_plays_at_its_own_rate(tmp_path: Path) -> None:
    clock = SteppedClock()
    day_ms = 24 * 3600 * 1000
    times = [0, day_ms, 2 * day_ms]
    play(write_clip(tmp_path / "a.mkv", 3, timestamps=times), clock=clock)
    assert clock.deadlines_ms == times


@pytest.mark.parametrize(("fps", "again_ms"), [(None, 1000 + 7000), (100, 20)])
def test_a_gif_that_loops_keeps_the_pause_of_its_last_picture(
    tmp_path: Path, fps: float | None, again_ms: int
) -> None:
    clock = SteppedClock()
    gif = tmp_path / "a.gif"
    write_clip(gif, 2, codec="gif", pixel_format="rgb8", timestamps=[0, 1000])
    data = bytearray(gif.read_bytes())
    last = data.rindex(b"\x21\xf9\x04")  # a graphic control extension: the delay in hundredths
    data[last + 4 : last + 6] = (700).to_bytes(2, "little")
    gif.write_bytes(data)
    assert len(play(gif, 4, clock=clock, loop=True, fps=fps)) == 4
    assert clock.deadlines_ms[2] == again_ms


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [("a.mkv", "mjpeg", "yuvj420p"), ("a.mp4", "libx264", "yuv420p"), ("a.h264", "libx264", "yuv420p")],
    ids=["seeks", "seeks, with B-frames", "cannot seek"],
)
def test_a_loop_has_no_gap(tmp_path: Path, name: str, codec: str, pixel_format: str) -> None:
    clock = SteppedClock()
    clip = write_clip(tmp_path / name, 8, codec=codec, pixel_format=pixel_format)
    played = play(clip, 20, clock=clock, loop=True)
    assert [number_of(captured) for captured in played] == [n % 8 for n in range(20)]
    assert clock.deadlines_ms == [n * 40 for n in range(20)]


def test_a_loop_has_no_gap_whatever_an_encoder_does_to_its_pictures(tmp_path: Path) -> None:
    clock = SteppedClock()
    playback = opened(write_clip(tmp_path / "a.mp4", 4), clock=clock, loop=True)
    container = playback._container
    for _ in range(10):
        captured = playback.grab(threading.Event())
        assert captured is not None
        assert isinstance(captured.picture, av.VideoFrame)
        captured.picture.pts, captured.picture.time_base = 1_000_000, Fraction(1, 25)
    assert clock.deadlines_ms == [n * 40 for n in range(10)]
    assert playback._container is container  # it did not have to be opened again
    playback.close()


def test_where_seeking_ends_up_elsewhere_a_loop_opens_the_file_anew(tmp_path: Path) -> None:
    playback = opened(write_clip(tmp_path / "clip.mkv", 3), loop=True)
    container = playback._container
    assert container is not None
    again, _, frames = playback._start_over(container, container.streams.video[0], first_pts=999)
    assert again is not container
    assert [frame.pts for frame in frames] == [0, 40, 80]
    playback.close()


def test_an_undecodable_packet_is_skipped_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", 8)
    wipe_packets(clip, [3, 4])
    drops = Drops()
    with caplog.at_level(logging.WARNING):
        assert [number_of(captured) for captured in play(clip, drops=drops)] == [0, 1, 2, 5, 6, 7]
    assert drops == {Drop.UNREADABLE: 2}
    # The second one is within a second of the first: one line.
    assert [message.rpartition(": ")[0] for message in caplog.messages] == [
        "clip.mkv: undecodable packet skipped"
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


@pytest.mark.parametrize(
    ("matrix", "turned"),
    [
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
    ],
)
def test_a_video_is_shown_as_its_display_matrix_says(
    tmp_path: Path, matrix: tuple[int, ...], turned: Callable[[BGR], BGR]
) -> None:
    plain = write_clip(tmp_path / "plain.mp4", 3, codec="libx264", pixel_format="yuv420p")
    clip = tmp_path / "turned.mp4"
    with av.open(str(plain)) as source, av.open(str(clip), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        a, b, c, d = (value << 16 for value in matrix)
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    for before, after in zip(play(plain, 6, loop=True), play(clip, 6, loop=True), strict=True):
        expected = turned(Converter().to_bgr(before.picture))
        assert np.abs(Converter().to_bgr(after.picture).astype(int) - expected).mean() < 1


def test_interlaced_anamorphic_video_keeps_its_times_in_a_loop(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "tff=1"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        for number in range(8):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(pattern(number, (160, 128)), format="bgr24"))
            )
        container.mux(stream.encode(None))
    clock = SteppedClock()
    played = play(clip, 20, clock=clock, loop=True)
    assert [number_of(captured) for captured in played] == [n % 8 for n in range(20)]
    assert clock.deadlines_ms == [n * 40 for n in range(20)]
    assert {size_of(captured.picture) for captured in played} == {(240, 128)}


def test_a_broadcast_may_change_its_aspect_ratio(tmp_path: Path) -> None:
    parts = []
    for number, aspect in enumerate((Fraction(16, 15), Fraction(64, 45))):
        part = tmp_path / f"{number}.m2v"
        with av.open(str(part), "w", format="mpeg2video") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
            stream.codec_context.sample_aspect_ratio = aspect
            for _ in range(4):
                container.mux(stream.encode(av.VideoFrame(720, 576, "yuv420p")))
            container.mux(stream.encode(None))
        parts.append(part.read_bytes())
    clip = tmp_path / "clip.m2v"
    clip.write_bytes(b"".join(parts))
    sizes = [size_of(captured.picture) for captured in play(clip)]
    assert sizes[0] == (768, 576)
    assert sizes[-1] == (1024, 576)
    assert sizes == sorted(sizes)


def test_the_memory_of_a_picture_is_free_once_it_is_not_used_any_more(tmp_path: Path) -> None:
    playback = opened(write_clip(tmp_path / "clip.mkv", 20))
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            playback.grab(threading.Event())
        alive = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())
    finally:
        gc.enable()
    assert alive < 5
