from __future__ import annotations

import logging

import pytest

from fanlight.common.transport.cleartext import is_loopback, warn_unencrypted


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["192.0.2.1", "10.0.0.1", "0.0.0.0", "::", "fe80::1%eth0", "::ffff:10.0.0.1", "localhost", ""],  # noqa: S104
)
def test_anything_else(address: str) -> None:
    assert not is_loopback(address)


@pytest.mark.usefixtures("afresh")
def test_it_is_said_once_and_not_of_this_machine(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for peer in (None, "127.0.0.1", "192.0.2.1", "192.0.2.2"):
            warn_unencrypted(peer, "to %s in clear")
    assert [record.getMessage() for record in caplog.records] == ["to 192.0.2.1 in clear"]
