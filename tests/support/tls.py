"""A RabbitMQ of one's own that listens with TLS, its certificates, and some that it must refuse."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.certs import Authority, Pair
from scripts.lib.ports import LOOPBACK, free_ports
from scripts.private_node import PrivateNode
from tests.support.broker import require_rabbitmq

# A loopback address that is not in the broker's certificate.
OTHER_NAME = "127.0.0.2"


@dataclass(frozen=True)
class TlsNode:
    """The broker asks its clients for certificates.

    Attributes:
        port: with TLS, at `LOOPBACK` and at `OTHER_NAME`.
        authority: of the broker's certificate and of `ann`'s.
        other_authority: one that the broker does not trust.
        ann, expired, foreign: certificates for clients; RabbitMQ accepts the first alone.
        outside: an address of this machine that is not the loopback, where it listens without TLS; None if
            there is none.
        outside_port: of that.
    """

    node: PrivateNode
    port: int
    authority: Authority
    other_authority: Authority
    ann: Pair
    expired: Pair
    foreign: Pair
    outside: str | None
    outside_port: int

    def url(self, host: str = "localhost", user: str = "fanlight:fanlight", scheme: str = "amqps") -> str:
        return f"{scheme}://{user}@{host}:{self.port}/fanlight"

    def present(self, *, days: float) -> None:
        """Give the broker a new certificate that is valid for so long; below 0: was valid until then."""
        self.authority.server(("localhost", LOOPBACK), days=days)
        self.node.ctl("eval", "ssl:clear_pem_cache().")


def tls_node(folder: Path) -> TlsNode:
    """Not yet started."""
    require_rabbitmq()
    authority, other_authority = Authority(folder / "ours"), Authority(folder / "theirs")
    server = authority.server(("localhost", LOOPBACK))
    port, outside_port = free_ports(2)
    outside = outside_address()
    conf = [
        f"listeners.ssl.1 = {LOOPBACK}:{port}",
        f"listeners.ssl.2 = {OTHER_NAME}:{port}",
        f"ssl_options.cacertfile = {authority.pair.cert}",
        f"ssl_options.certfile = {server.cert}",
        f"ssl_options.keyfile = {server.key}",
        "ssl_options.verify = verify_peer",
        "ssl_options.fail_if_no_peer_cert = true",
    ]
    if outside is not None:
        conf.append(f"listeners.tcp.2 = {outside}:{outside_port}")
    return TlsNode(
        PrivateNode(extra_conf="\n".join(conf)),
        port,
        authority,
        other_authority,
        authority.client("ann"),
        authority.client("expired", days=-1),
        other_authority.client("ann"),
        outside,
        outside_port,
    )


def outside_address() -> str | None:
    """An IPv4 address of this machine by which others could reach it; None if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: only the way is looked up (RFC 5737)
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address
