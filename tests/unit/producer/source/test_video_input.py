from __future__ import annotations

from pathlib import Path

import av
import pytest
from av.stream import Disposition

from fanlight.common.model.errors import ConfigError, SourceError
from fanlight.producer.source.video_input import VideoInput, nominal_fps
from tests.unit.producer.source.footage import write_clip


def test_a_video_is_opened_up_to_the_limit_of_pixels(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", fps=12, codec="libx264", pixel_format="yuv420p")
    container, stream = VideoInput(str(clip), "clip.mp4", max_pixels=160 * 120).open()
    with container:
        assert (stream.width, stream.height, nominal_fps(stream)) == (160, 120, 12)
    with pytest.raises(
        SourceError, match=r"^clip\.mp4: it is 160x120: allowed is up to 19199 pixels, --max-pixels"
    ):
        VideoInput(str(clip), "clip.mp4", max_pixels=160 * 120 - 1).open()


def test_of_several_videos_the_default_one_is_shown(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as output:
        streams = [
            output.add_stream("mjpeg", rate=25, width=width, height=48, pix_fmt="yuvj420p")
            for width in (64, 128)
        ]
        streams[0].disposition, streams[1].disposition = Disposition(0), Disposition.default
        for stream in streams:
            for packet in stream.encode(av.VideoFrame(stream.width, 48, "yuvj420p")):
                output.mux(packet)
    container, shown = VideoInput(str(clip), "clip.mkv").open()
    with container:
        assert shown.width == 128


def test_dash_is_refused_by_name_where_ffmpeg_cannot_read_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no container format 'dash'"):
        av.ContainerFormat("dash", "r")
    manifest = tmp_path / "a.mpd"
    manifest.write_text('<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>')
    with pytest.raises(ConfigError, match=r"this FFmpeg cannot read DASH: give the stream's HLS address"):
        VideoInput(str(manifest), "a.mpd").open()


def test_an_unknown_protocol_can_never_work() -> None:
    with pytest.raises(ConfigError, match="FFmpeg knows no protocol 'gopherx'"):
        VideoInput("gopherx://host/x", "gopherx://host/x").open()
