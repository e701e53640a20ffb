from __future__ import annotations

import errno
import socket

import pytest

from fanlight.common.transport.liveness import TCP_OPTIONS, network_is_out


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT])
def test_a_peer_that_cannot_be_reached_means_a_network_that_is_out(code: int) -> None:
    assert network_is_out(OSError(code, ""))
    assert network_is_out(TimeoutError())


@pytest.mark.parametrize("error", [ConnectionRefusedError(), ConnectionResetError(), ValueError()])
def test_a_peer_that_refuses_is_reached(error: Exception) -> None:
    assert not network_is_out(error)


def test_linux_knows_the_options_by_these_names() -> None:
    assert all(hasattr(socket, name) for name in TCP_OPTIONS)
