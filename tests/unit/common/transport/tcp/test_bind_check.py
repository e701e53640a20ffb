from __future__ import annotations

import logging

import pytest

from fanlight.common.model.address import Design, TcpAddress
from fanlight.common.model.errors import ConfigError
from fanlight.common.transport.tcp.bind_check import check_place

TOKEN = "0123456789abcdef"


def place(host: str, token: str | None = None) -> TcpAddress:
    return TcpAddress(Design.THREADS, host, 7000, token)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_this_machine_is_free(host: str, token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    check_place(place(host, token))
    assert not caplog.records


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "2001:db8::1"])  # noqa: S104
def test_beyond_it_a_token_is_asked_for(host: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^--url 'tcp\+threads://.*needs a token: FANLIGHT_TOKEN or --token"
    ):
        check_place(place(host))


@pytest.mark.usefixtures("afresh")
def test_with_one_it_is_said_once_what_that_does_not_do(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_place(place("0.0.0.0", TOKEN))  # noqa: S104
        check_place(place("192.0.2.7", TOKEN))
    (record,) = caplog.records
    assert "in clear to whoever connects to 0.0.0.0" in record.getMessage()
    assert TOKEN not in caplog.text


def test_a_name_that_there_is_not_is_for_the_door_to_say() -> None:
    check_place(place("no-such-host.invalid"))
