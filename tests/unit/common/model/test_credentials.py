from __future__ import annotations

from typing import Any

import pytest

from fanlight.common.model.address import DEFAULT_URL, BrokerAddress, TcpAddress
from fanlight.common.model.credentials import Access
from fanlight.common.model.errors import ConfigError
from fanlight.common.runtime.credential_files import OPTIONS

TOKEN = "0123456789abcdef"


def broker(access: Access, url: str = "amqp://ann@host/video") -> BrokerAddress:
    address = access.address(url)
    assert isinstance(address, BrokerAddress)
    return address


def test_nothing_said_changes_nothing() -> None:
    assert broker(Access(), "amqp://ann:pw@host/v").password == "pw"
    assert broker(Access(), DEFAULT_URL).password == "fanlight"


def test_a_password_is_for_a_url_without_one() -> None:
    assert broker(Access(password="secret")).password == "secret"
    assert broker(Access(password="secret"), DEFAULT_URL).password == "secret", "nobody wrote that one"
    with pytest.raises(ConfigError, match="leave one of them out") as caught:
        Access(password="secret").address("amqp://ann:other@host/v", "FANLIGHT_URL")
    assert str(caught.value).startswith("FANLIGHT_URL 'amqp://ann@host:5672/v'")


def test_a_design_without_a_broker_gets_the_token_and_nobody_else() -> None:
    everything = Access(password="secret", token=TOKEN)
    address = everything.address("tcp+threads://host:7000")
    assert isinstance(address, TcpAddress)
    assert address.token == TOKEN
    assert broker(everything).password == "secret"


def test_the_files_of_tls_travel_with_the_address() -> None:
    address = broker(Access(ca="ca.pem", cert="c.pem", key="k.pem"), "amqps://ann@host/v")
    assert (address.ca, address.cert, address.key) == ("ca.pem", "c.pem", "k.pem")
    with_password = broker(Access(ca="ca.pem", password="secret"), "amqps://ann@host/v")
    assert (with_password.ca, with_password.password) == ("ca.pem", "secret")


@pytest.mark.parametrize("url", ["amqp://host/v", "tcp+threads://host:7000"])
@pytest.mark.parametrize("files", [{"ca": "x"}, {"cert": "x"}, {"cert": "x", "key": "y"}])
def test_where_there_is_no_tls_its_files_are_refused(url: str, files: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="for amqps:// alone"):
        Access(**files).address(url)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"password": ""}, "it is empty"),
        ({"token": ""}, "token 'of 0 characters' cannot be used: allowed are 16 and more"),
        ({"token": "a-secret-of-15."}, "token 'of 15 characters' cannot be used"),
        ({"key": "k.pem"}, "--key 'k.pem' cannot be used: it needs its certificate"),
    ],
)
def test_what_cannot_be_used_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Access(**wrong)
    assert why in str(caught.value)
    assert "a-secret" not in str(caught.value)


def test_secrets_have_no_flag() -> None:
    assert {option.name for option in OPTIONS if option.secret} == {"password", "token"}
