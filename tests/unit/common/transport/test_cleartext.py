from __future__ import annotations

import logging

import pytest

from fanlight.common.transport.cleartext import is_loopback, warn_unencrypted

HERE = ("127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1")
ELSEWHERE = ("192.0.2.1", "0.0.0.0", "::", "fe80::1%eth0", "::ffff:10.0.0.1", "localhost", "")  # noqa: S104


def test_loopback_addresses_are_this_machine_and_no_others() -> None:
    assert [one for one in (*HERE, *ELSEWHERE) if is_loopback(one)] == list(HERE)


@pytest.mark.usefixtures("afresh")
def test_the_warning_comes_once_and_not_for_this_machine(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for peer in (None, "127.0.0.1", "192.0.2.1", "192.0.2.2"):
            warn_unencrypted(peer, "to %s in clear")
    assert [record.getMessage() for record in caplog.records] == ["to 192.0.2.1 in clear"]
