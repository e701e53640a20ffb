"""Which `Host` and `Origin` headers are accepted. Pure.

A page of another site may send requests to this gateway from the browser of somebody who may watch. The
`Origin` tells such a page; and where its own name leads to this gateway's address ("DNS rebinding"), the
`Host` tells that.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from fanlight.common.transport.cleartext import is_loopback

HOST_NAME: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?")
_HOST: Final = re.compile(
    r"(?:\[(?P<ip>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,254}))(?::[0-9]{1,5})?"
)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class HostRules:
    """The hosts under which one gateway is reached.

    Args:
        beyond: whether it listens beyond this machine.
        names: further names of this host.
    """

    def __init__(self, *, beyond: bool, names: Iterable[str] = ()) -> None:
        self._beyond = beyond
        self._names = frozenset({"localhost", *(name.lower().rstrip(".") for name in names)})

    def allows(self, host: str) -> bool:
        """Whether a `Host` header names this gateway. The port does not matter: it may be a proxy's."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["ip"] or match["name"]
        if _is_ip(name):
            # No name that somebody else may let lead elsewhere.
            return self._beyond or is_loopback(name)
        return name.lower().rstrip(".") in self._names


def own_names(host_name: str) -> tuple[str, ...]:
    """The names of a machine in its network: in full, short, and that of multicast DNS."""
    short = host_name.partition(".")[0]
    return (host_name, short, f"{short}.local")


def same_origin(origin: str, host: str, *, tls: bool) -> bool:
    """Whether an `Origin` header is that of the page which this `Host` serves.

    Without TLS a proxy may have served it by HTTPS.
    """
    scheme, separator, authority = origin.lower().partition("://")
    if not separator or scheme not in (("https",) if tls else ("http", "https")):
        return False
    default = _DEFAULT_PORTS[scheme]
    return authority.removesuffix(default) == host.lower().removesuffix(default)


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
