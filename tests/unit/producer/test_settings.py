from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import Codec
from fanlight.common.runtime.options import options_of
from fanlight.producer.settings import Deinterlace, ProducerSettings


def test_every_setting_can_be_given_by_variable(tmp_path: Path) -> None:
    file = tmp_path / "source"
    file.write_text("of the file\r\n")
    file.chmod(0o600)
    environment = {
        "FANLIGHT_SOURCE": "clip.mp4", "FANLIGHT_LOOP": "1", "FANLIGHT_STREAM": "left",
        "FANLIGHT_DEINTERLACE": "off",
        "FANLIGHT_CODEC": "jpeg", "FANLIGHT_FPS": "12.5", "FANLIGHT_SIZE": "640x480",
        "FANLIGHT_QUALITY": "70", "FANLIGHT_GOP": "2s", "FANLIGHT_MAX_AGE": "250ms",
        "FANLIGHT_DURATION": "1m", "FANLIGHT_PAYLOAD_FRAMES": "3", "FANLIGHT_MAX_PIXELS": "1000000",
        "FANLIGHT_URL": "tcp+threads://host:7000", "FANLIGHT_SHOW_SOURCE": "1",
        "FANLIGHT_SOURCE_FILE": str(file), "FANLIGHT_MAX_CLIENTS": "7",
    }  # fmt: skip
    assert {each.variable for each in options_of(ProducerSettings)} == set(environment)
    assert ProducerSettings.load({}, environment) == ProducerSettings(
        source="of the file", source_file=str(file), show_source=True,
        loop=True, stream="left", codec=Codec.JPEG, fps=12.5, size=(640, 480),
        deinterlace=Deinterlace.OFF,
        quality=70, gop_s=2, max_age_s=0.25, duration_s=60, payload_frames=3, max_pixels=1_000_000,
        url="tcp+threads://host:7000", max_clients=7,
    )  # fmt: skip


def test_a_source_of_a_flag_goes_before_a_file_of_a_variable_and_two_flags_are_refused() -> None:
    file = {"FANLIGHT_SOURCE_FILE": "/missing"}
    assert ProducerSettings.load({"source": "clip.mp4"}, file).source == "clip.mp4"
    with pytest.raises(ConfigError, match="--source-file '/missing' cannot be used: it cannot be read"):
        ProducerSettings.load({}, file)
    with pytest.raises(ConfigError, match="leave it out, or --source"):
        ProducerSettings.load({"source": "clip.mp4", "source_file": "x"}, {})


def test_no_repr_shows_the_source() -> None:
    assert "s3cret" not in repr(ProducerSettings(source="rtsp://cam/s3cret"))


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"fps": 0.0}, "--fps"),
        ({"fps": 1000.5}, "--fps"),
        ({"fps": float("nan")}, "--fps"),
        ({"gop_s": 0.0}, "--gop"),
        ({"gop_s": 3601.0}, "--gop"),
        ({"max_age_s": -1.0}, "--max-age"),
        ({"max_age_s": float("nan")}, "--max-age"),
        ({"quality": 52}, "--quality"),
        ({"quality": 101, "codec": Codec.JPEG}, "--quality"),
        ({"size": (0, 0)}, "--size"),
        ({"duration_s": 0}, "--duration"),
        ({"codec": Codec.RAW, "quality": 1}, "--quality"),
        ({"stream": "a.b"}, "--stream"),
        ({"stream": ""}, "--stream"),
        ({"url": "http://x"}, "--url"),
        ({"url": "tcp+threads://x"}, "--url"),
        ({"payload_frames": 0}, "--payload-frames"),
        ({"payload_frames": -1, "url": "tcp+threads://h:1"}, "--payload-frames"),
        ({"payload_frames": 31, "url": "tcp+threads://h:1"}, "--payload-frames"),
        ({"payload_frames": 2, "url": "tcp+multiplex://h:1"}, "--payload-frames"),
        ({"payload_frames": 2}, "--payload-frames"),
    ],
)
def test_the_api_refuses_what_the_command_line_refuses(wrong: dict[str, Any], names: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ProducerSettings(**wrong)
    assert refused.value.name == names


@pytest.mark.parametrize(
    ("flag", "text", "allowed"),
    [
        ("codec", "h265", "h264, jpeg, png, raw$"),
        ("codec", "shared", "h264, jpeg, png, raw$"),
        ("quality", "-1", "0 to 51 for h264"),
        ("quality", "²", "0 to 51 for h264"),
        ("fps", "0", ""),
        ("size", "640", ""),
    ],
)
def test_a_refusal_names_the_flag_and_what_is_allowed(flag: str, text: str, allowed: str) -> None:
    with pytest.raises(ConfigError, match=f"^--{flag} '{text}' cannot be used: .*{allowed}"):
        ProducerSettings.load({flag: text}, {})


@pytest.mark.parametrize(
    ("frames", "url", "why"),
    [
        (31, "tcp+threads://h:1", "allowed is 1 to 30"),
        (31, "amqp://h/v", "allowed is 1 to 30"),
        (2, "amqp://h/v", "only --url tcp+threads:// has payloads"),
    ],
)
def test_a_refusal_of_payloads_says_why(frames: int, url: str, why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ProducerSettings(payload_frames=frames, url=url)
    assert str(refused.value) == f"--payload-frames {frames} cannot be used: {why}"
