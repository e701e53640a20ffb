from __future__ import annotations

from typing import Any

import pytest

from common.errors import ConfigError
from common.settings import resolve
from consumer.settings import OPTIONS, ConsumerSettings, PlayoutMode, playout_value


def test_the_command_line_and_the_api_have_the_same_defaults() -> None:
    assert ConsumerSettings(**resolve(OPTIONS, {}, {})) == ConsumerSettings()


def test_every_setting_can_be_given_by_variable() -> None:
    environment = {
        "FANLIGHT_NAME": "wall", "FANLIGHT_STREAM": "door", "FANLIGHT_PLAYOUT": "sync",
        "FANLIGHT_DELAY": "100ms", "FANLIGHT_MAX_AGE": "250ms", "FANLIGHT_SINK": "null,status",
        "FANLIGHT_WORK": "5ms", "FANLIGHT_DURATION": "1m", "FANLIGHT_FRAMES": "9",
        "FANLIGHT_URL": "amqp://ann:pw@host/video",
    }  # fmt: skip
    assert {option.variable for option in OPTIONS} == set(environment)
    settings = ConsumerSettings(**resolve(OPTIONS, {}, environment))
    assert (settings.name, settings.stream, settings.playout) == ("wall", "door", PlayoutMode.SYNC)
    assert (settings.delay_s, settings.max_age_s, settings.work_s) == (0.1, 0.25, 0.005)
    assert (settings.duration_s, settings.frames, len(settings.sinks)) == (60, 9, 2)
    assert settings.url_shown == "amqp://ann@host:5672/video"


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"max_age_s": 0.0}, "--max-age"),
        ({"max_age_s": 3601.0}, "--max-age"),
        ({"delay_s": -0.1}, "--delay"),
        ({"delay_s": float("nan")}, "--delay"),
        ({"playout": PlayoutMode.SYNC, "delay_s": 0.5}, "--delay"),
        ({"stream": "a.b"}, "--stream"),
        ({"name": "a b"}, "--name"),
        ({"url": "http://x"}, "--url"),
    ],
)
def test_the_api_refuses_what_the_command_line_refuses(wrong: dict[str, Any], names: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ConsumerSettings(**wrong)
    assert refused.value.name == names


def test_a_delay_matters_to_sync_only() -> None:
    assert ConsumerSettings(delay_s=2).playout is PlayoutMode.LATEST
    with pytest.raises(
        ConfigError, match=r"'500ms' cannot be used: allowed is less than --max-age.* 500ms"
    ):
        ConsumerSettings(playout=PlayoutMode.SYNC, delay_s=0.5)


def test_modes_are_known_by_name() -> None:
    assert [playout_value(name) for name in ("latest", "sync")] == list(PlayoutMode)
    with pytest.raises(ValueError, match=r"^latest or sync$"):
        playout_value("late")
