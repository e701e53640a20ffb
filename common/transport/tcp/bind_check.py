"""Checks the address at which a producer listens: a token is required unless it is the loopback."""

from __future__ import annotations

import socket
from typing import Final

from fanlight.common.model.address import TcpAddress
from fanlight.common.model.errors import ConfigError
from fanlight.common.transport.cleartext import is_loopback, warn_unencrypted

_IN_CLEAR: Final = (
    "every frame goes in clear to whoever connects to %s from the network: the token controls who may "
    "watch, it does not encrypt (docs/security.md)"
)


def check_bind(address: TcpAddress) -> None:
    """Ask for a token, or warn once that there is one and what it does not do; nothing on the loopback.

    Raises:
        ConfigError: it listens beyond this machine, and anybody could watch.
    """
    beyond = beyond_loopback(address.host, address.port)
    if beyond is None:
        return
    if address.token is None:
        raise ConfigError(
            "--url",
            str(address),
            "beyond this machine it needs a token: FANLIGHT_TOKEN or --token-file FILE, 16 characters or "
            "more, for the producer and its consumers alike; or listen at 127.0.0.1",
        )
    warn_unencrypted(beyond, _IN_CLEAR)


def beyond_loopback(host: str, port: int) -> str | None:
    """An IP address of this host name that other machines may reach; None if all are loopback addresses.

    None as well for a name that cannot be resolved, which the listener reports.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return None
    addresses = (str(sockaddr[0]) for _, _, _, _, sockaddr in found)
    return next((ip for ip in addresses if not is_loopback(ip)), None)
