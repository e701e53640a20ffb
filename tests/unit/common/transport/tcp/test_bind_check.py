from __future__ import annotations

import logging

import pytest

from fanlight.common.model.address import Design, TcpAddress
from fanlight.common.model.errors import ConfigError
from fanlight.common.transport.tcp.bind_check import check_bind

TOKEN = "0123456789abcdef"


def place(host: str, token: str | None = None) -> TcpAddress:
    return TcpAddress(Design.THREADS, host, 7000, token)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_this_machine_is_free(host: str, token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    check_bind(place(host, token))
    assert not caplog.records


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "2001:db8::1"])  # noqa: S104
def test_beyond_it_a_token_is_asked_for(host: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^--url 'tcp\+threads://.*needs a token: FANLIGHT_TOKEN or --token"
    ):
        check_bind(place(host))


@pytest.mark.usefixtures("afresh")
def test_with_a_token_one_warning_says_that_it_does_not_encrypt(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_bind(place("0.0.0.0", TOKEN))  # noqa: S104
        check_bind(place("192.0.2.7", TOKEN))
    (record,) = caplog.records
    assert "in clear to whoever connects to 0.0.0.0" in record.getMessage()
    assert TOKEN not in caplog.text


def test_an_unknown_name_is_left_to_the_listener() -> None:
    check_bind(place("no-such-host.invalid"))
