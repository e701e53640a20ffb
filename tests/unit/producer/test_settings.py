from __future__ import annotations

from typing import Any

import pytest

from common.errors import ConfigError
from common.frame import Codec
from common.settings import resolve
from producer.settings import OPTIONS, ProducerSettings


def test_the_command_line_and_the_api_have_the_same_defaults() -> None:
    assert ProducerSettings(**resolve(OPTIONS, {}, {})) == ProducerSettings()


def test_every_setting_can_be_given_by_variable() -> None:
    environment = {
        "FANLIGHT_SOURCE": "clip.mp4", "FANLIGHT_LOOP": "1", "FANLIGHT_STREAM": "door",
        "FANLIGHT_CODEC": "jpeg", "FANLIGHT_FPS": "12.5", "FANLIGHT_SIZE": "640x480",
        "FANLIGHT_QUALITY": "70", "FANLIGHT_GOP": "2s", "FANLIGHT_MAX_AGE": "250ms",
        "FANLIGHT_DURATION": "1m", "FANLIGHT_URL": "amqp://ann:pw@host/video",
    }  # fmt: skip
    assert {option.variable for option in OPTIONS} == set(environment)
    assert ProducerSettings(**resolve(OPTIONS, {}, environment)) == ProducerSettings(
        source="clip.mp4", loop=True, stream="door", codec=Codec.JPEG, fps=12.5, size=(640, 480),
        quality=70, gop_s=2, max_age_s=0.25, duration_s=60, url="amqp://ann:pw@host/video",
    )  # fmt: skip


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
        ({"codec": Codec.RAW, "quality": 1}, "--quality"),
        ({"stream": "a.b"}, "--stream"),
        ({"stream": ""}, "--stream"),
        ({"url": "http://x"}, "--url"),
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
        resolve(OPTIONS, {flag: text}, {})


def test_the_password_is_not_shown() -> None:
    assert ProducerSettings(url="amqp://ann:pw@host/video").url_shown == "amqp://ann@host:5672/video"
