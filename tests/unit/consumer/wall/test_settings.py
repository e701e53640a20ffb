"""The settings of the wall."""

from __future__ import annotations

import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.consumer.wall.settings import WallSettings


def test_everything_is_shown_on_this_machine_unless_told_otherwise() -> None:
    settings = WallSettings()
    assert settings.listen == ("127.0.0.1", 8080)
    assert settings.shows("cam")
    assert settings.named == ()


def test_streams_are_chosen_by_name_and_pattern() -> None:
    settings = WallSettings.load({"streams": "cam, door*,gate-?"}, {})
    assert settings.streams == ("cam", "door*", "gate-?")
    offered = ("cam", "cam2", "door", "door7", "gate-1", "gate-12")
    assert [each for each in offered if settings.shows(each)] == ["cam", "door", "door7", "gate-1"]
    assert settings.named == ("cam",)


@pytest.mark.parametrize("streams", ["", "a,,b", "a b", "[ab]", "../x", "x" * 65])
def test_a_pattern_that_fits_no_name_is_refused(streams: str) -> None:
    with pytest.raises(ConfigError, match="--streams"):
        WallSettings.load({"streams": streams}, {})


def test_they_come_from_the_environment_as_well() -> None:
    environment = {"FANLIGHT_LISTEN": ":9000", "FANLIGHT_STREAMS": "cam", "FANLIGHT_MAX_AGE": "300ms"}
    settings = WallSettings.load({}, environment)
    assert (settings.listen, settings.streams, settings.max_age_s) == (("127.0.0.1", 9000), ("cam",), 0.3)
