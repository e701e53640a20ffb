"""Fixtures for the tests of the broker design."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our non-blocking end of a connection, and the peer's."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.settimeout(5)
    with ours, peer:
        yield ours, peer
