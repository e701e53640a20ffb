from __future__ import annotations

import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.common.runtime.logs import LogFormat
from fanlight.common.runtime.options import OPTIONS, Operation, place, split
from fanlight.common.runtime.settings import resolve


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (":9100", ("127.0.0.1", 9100)),
        ("0.0.0.0:9100", ("0.0.0.0", 9100)),  # noqa: S104
        ("[::1]:9100", ("::1", 9100)),
        ("host.example:1", ("host.example", 1)),
    ],
)
def test_a_place_is_a_host_and_a_port(text: str, where: tuple[str, int]) -> None:
    assert place(text) == where


@pytest.mark.parametrize(
    "text",
    ["", "9100", ":", ":0", ":99999", "host", "host:", "a b:1", "u@h:1", "h:1/x", "h:1?x", ":x", "[::1:1"],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        place(text)


def test_defaults_are_those_of_the_class() -> None:
    own, operation = split({**resolve(OPTIONS, {}, {}), "fps": 30})
    assert own == {"fps": 30}
    assert operation == Operation()


def test_the_environment_counts_too() -> None:
    environment = {"FANLIGHT_LOG_FORMAT": "json", "FANLIGHT_METRICS": ":1", "FANLIGHT_STALL": "500ms"}
    _, operation = split(resolve(OPTIONS, {}, environment))
    assert operation == Operation(log_format=LogFormat.JSON, metrics=("127.0.0.1", 1), stall_s=0.5)


def test_refusals_name_the_flag() -> None:
    with pytest.raises(ConfigError, match="--log-format 'xml' cannot be used: "):
        resolve(OPTIONS, {"log_format": "xml"}, {})
