from __future__ import annotations

import pytest

from fanlight.common.transport.tcp.connection_limiter import (
    CONNECTIONS_AT_ONCE,
    CONNECTIONS_PER_S,
    MOST_PER_PEER,
    ConnectionLimiter,
    peer_of,
)

SECOND = 1_000_000_000
PEER, VIEWER = "192.0.2.1", "192.0.2.2"


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("127.0.0.1", None),
        ("127.8.9.10", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_under_what_an_address_is_counted(address: str, peer: str | None) -> None:
    assert peer_of(address) == peer


def test_so_many_connections_of_one_peer_and_no_more() -> None:
    limiter = ConnectionLimiter()
    for second in range(MOST_PER_PEER):
        assert limiter.admit(PEER, second * SECOND) is None
    now_ns = MOST_PER_PEER * SECOND
    assert limiter.admit(PEER, now_ns) == f"more than {MOST_PER_PEER} connections from {PEER}"
    assert limiter.admit(VIEWER, now_ns) is None
    limiter.release(PEER)
    assert limiter.admit(PEER, now_ns) is None


def test_so_many_arrivals_of_one_peer_and_no_faster() -> None:
    limiter = ConnectionLimiter()

    def come_and_go(now_ns: int) -> bool:
        admitted = limiter.admit(PEER, now_ns) is None
        if admitted:
            limiter.release(PEER)
        return admitted

    assert sum(come_and_go(0) for _ in range(1000)) == CONNECTIONS_AT_ONCE
    assert limiter.admit(VIEWER, 0) is None
    assert sum(come_and_go(SECOND + n) for n in range(1000)) == CONNECTIONS_PER_S
    assert limiter.admit(PEER, SECOND) == (
        f"more than {CONNECTIONS_PER_S} connections a second from {PEER}"
    )


def test_this_machine_s_own_are_not_counted() -> None:
    limiter = ConnectionLimiter()
    assert not any(limiter.admit(None, 0) for _ in range(10_000))
    limiter.release(None)


def test_peers_without_a_connection_are_forgotten_and_others_not() -> None:
    limiter = ConnectionLimiter()
    limiter.admit(VIEWER, 0)
    for number in range(100_000):
        peer = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64"
        limiter.admit(peer, number)
        limiter.release(peer)
    assert len(limiter._peers) < 4096
    limiter.release(VIEWER)
