from __future__ import annotations

import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.common.runtime.logs import LogFormat
from fanlight.common.runtime.settings import LISTEN_ADDRESS, Operation, StreamSettings

SECRET = "S3cret"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9100", ("127.0.0.1", 9100)),
        ("0.0.0.0:9100", ("0.0.0.0", 9100)),  # noqa: S104
        ("[::1]:9100", ("::1", 9100)),
        ("host.example:1", ("host.example", 1)),
    ],
)
def test_an_address_to_listen_at_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert LISTEN_ADDRESS.read(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "9100", ":", ":0", ":99999", "host", "host:", "a b:1", "u@h:1", "h:1/x", "h:1?x", ":x", "[::1:1"],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        LISTEN_ADDRESS.read(text)


def test_how_a_command_is_watched_comes_from_the_environment_too() -> None:
    environment = {"FANLIGHT_LOG_FORMAT": "json", "FANLIGHT_METRICS": ":1", "FANLIGHT_STALL": "500ms"}
    expected = Operation(log_format=LogFormat.JSON, metrics=("127.0.0.1", 1), stall_s=0.5)
    assert Operation.load({}, environment) == expected
    with pytest.raises(ConfigError, match="--log-format 'xml' cannot be used: allowed is text, json"):
        Operation.load({"log_format": "xml"}, {})


def test_credentials_are_loaded_with_the_address_and_not_shown() -> None:
    environment = {"FANLIGHT_URL": f"amqp://ann:{SECRET}@host/v", "FANLIGHT_TOKEN": SECRET * 3}
    settings = StreamSettings.load({"stream": "left"}, environment)
    assert (settings.stream, settings.credentials.token) == ("left", SECRET * 3)
    assert str(settings.address) == "amqp://ann@host:5672/v"
    assert SECRET not in repr(settings)


def test_a_program_says_the_address_or_leaves_it_to_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    none = dict.fromkeys(("password", "ca", "cert", "key", "token"))
    monkeypatch.setenv("FANLIGHT_URL", "amqp://of-environment/v")
    assert StreamSettings.of_program(url=None, **none).url == "amqp://of-environment/v"
    assert StreamSettings.of_program(url="amqp://own/v", **none).url == "amqp://own/v"
    monkeypatch.delenv("FANLIGHT_URL")
    assert StreamSettings.of_program(url=None, **none).url == StreamSettings.url
