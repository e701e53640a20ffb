from __future__ import annotations

from typing import Any

import pytest

from fanlight.common.model.address import DEFAULT_URL, BrokerAddress, TcpAddress
from fanlight.common.model.credentials import Credentials
from fanlight.common.model.errors import ConfigError

TOKEN = "0123456789abcdef"


def broker(credentials: Credentials, url: str = "amqp://ann@host/video") -> BrokerAddress:
    address = credentials.address(url)
    assert isinstance(address, BrokerAddress)
    return address


def test_without_credentials_the_url_holds() -> None:
    assert broker(Credentials(), "amqp://ann:pw@host/v").password == "pw"
    assert broker(Credentials(), DEFAULT_URL).password == "fanlight"


def test_a_password_is_for_a_url_without_one() -> None:
    assert broker(Credentials(password="secret")).password == "secret"
    assert broker(Credentials(password="secret"), DEFAULT_URL).password == "secret", (
        "no user wrote that one"
    )
    with pytest.raises(ConfigError, match="leave one of them out") as caught:
        Credentials(password="secret").address("amqp://ann:other@host/v", "FANLIGHT_URL")
    assert str(caught.value).startswith("FANLIGHT_URL 'amqp://ann@host:5672/v'")


def test_only_a_design_without_a_broker_gets_the_token() -> None:
    everything = Credentials(password="secret", token=TOKEN)
    address = everything.address("tcp+threads://host:7000")
    assert isinstance(address, TcpAddress)
    assert address.token == TOKEN
    assert broker(everything).password == "secret"


def test_the_address_has_the_files_of_tls() -> None:
    address = broker(Credentials(ca="ca.pem", cert="c.pem", key="k.pem"), "amqps://ann@host/v")
    assert (address.ca, address.cert, address.key) == ("ca.pem", "c.pem", "k.pem")
    with_password = broker(Credentials(ca="ca.pem", password="secret"), "amqps://ann@host/v")
    assert (with_password.ca, with_password.password) == ("ca.pem", "secret")


@pytest.mark.parametrize("url", ["amqp://host/v", "tcp+threads://host:7000"])
@pytest.mark.parametrize("files", [{"ca": "x"}, {"cert": "x"}, {"cert": "x", "key": "y"}])
def test_files_of_tls_are_refused_without_tls(url: str, files: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="for amqps:// alone"):
        Credentials(**files).address(url)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"password": ""}, "it is empty"),
        ({"token": ""}, "token 'of 0 characters' cannot be used: allowed are 16 and more"),
        ({"token": "a-secret-of-15."}, "token 'of 15 characters' cannot be used"),
        ({"key": "k.pem"}, "--key 'k.pem' cannot be used: it needs its certificate"),
    ],
)
def test_unusable_credentials_are_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Credentials(**wrong)
    assert why in str(caught.value)
    assert "a-secret" not in str(caught.value)
