from __future__ import annotations

import pytest

from fanlight.common.transport.tcp.connection_limiter import (
    ARRIVALS_AT_ONCE,
    ARRIVALS_PER_S,
    MOST_PER_PEER,
    ConnectionLimiter,
    peer_of,
)

SECOND = 1_000_000_000
STRANGER, VIEWER = "192.0.2.1", "192.0.2.2"


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
    turnstile = ConnectionLimiter()
    for second in range(MOST_PER_PEER):
        assert turnstile.enter(STRANGER, second * SECOND) is None
    now_ns = MOST_PER_PEER * SECOND
    assert turnstile.enter(STRANGER, now_ns) == f"more than {MOST_PER_PEER} connections from {STRANGER}"
    assert turnstile.enter(VIEWER, now_ns) is None
    turnstile.leave(STRANGER)
    assert turnstile.enter(STRANGER, now_ns) is None


def test_so_many_arrivals_of_one_peer_and_no_faster() -> None:
    turnstile = ConnectionLimiter()

    def come_and_go(now_ns: int) -> bool:
        let_in = turnstile.enter(STRANGER, now_ns) is None
        if let_in:
            turnstile.leave(STRANGER)
        return let_in

    assert sum(come_and_go(0) for _ in range(1000)) == ARRIVALS_AT_ONCE
    assert turnstile.enter(VIEWER, 0) is None
    assert sum(come_and_go(SECOND + n) for n in range(1000)) == ARRIVALS_PER_S
    assert turnstile.enter(STRANGER, SECOND) == (
        f"more than {ARRIVALS_PER_S} connections a second from {STRANGER}"
    )


def test_this_machine_s_own_are_not_counted() -> None:
    turnstile = ConnectionLimiter()
    assert not any(turnstile.enter(None, 0) for _ in range(10_000))
    turnstile.leave(None)


def test_who_is_gone_is_forgotten_and_who_is_there_is_not() -> None:
    turnstile = ConnectionLimiter()
    turnstile.enter(VIEWER, 0)
    for number in range(100_000):
        peer = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64"
        turnstile.enter(peer, number)
        turnstile.leave(peer)
    assert len(turnstile._peers) < 4096
    turnstile.leave(VIEWER)
