from __future__ import annotations

from pathlib import Path

import pytest

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


def test_an_unknown_protocol_can_never_work() -> None:
    with pytest.raises(ConfigError, match="FFmpeg knows no protocol 'gopherx'"):
        VideoInput("gopherx://host/x", "gopherx://host/x").open()
