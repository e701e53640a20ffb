"""Three RabbitMQ nodes on one machine that form a cluster, and that leave nothing behind.

    with PrivateCluster() as cluster:
        connect(cluster.url)
        cluster.nodes[0].kill()
        with cluster.cut_off(1):
            ...

Every node is a `PrivateNode` with an address of its own in 127.0.0.0/8 for the traffic between nodes, so
that one of them can be cut off from the others; clients find all of them at 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from scripts.lib import marked, node_files
from scripts.lib.node_files import SHARED_CONF, Identity
from scripts.lib.ports import LOOPBACK, free_ports
from scripts.private_node import (
    NOT_INSTALLED,
    PASSWORD,
    USER,
    VHOST,
    NodeError,
    PrivateNode,
    epmd_command,
    scripts_folder,
)

CLUSTER_CONF = SHARED_CONF.with_name("cluster.conf")
_NODES = "cluster_formation.classic_config.nodes"
_SIZE = 3


class PrivateCluster:
    """A cluster of three nodes. Not thread-safe.

    Attributes:
        nodes: the nodes, which may be killed, suspended, stopped and restarted one by one. A node that
            lost its data (`restart(empty=True)`) would not be accepted again.
    """

    def __init__(self) -> None:
        """Choose names, addresses and ports; nothing runs before `start`."""
        self.folder = Path(tempfile.mkdtemp(prefix="fanlight-cluster-"))
        self._name = f"fanlight-{secrets.token_hex(4)}"
        epmd, *ports = free_ports(1 + 2 * _SIZE)
        # 127.0.0.0/8 is all loopback. Not an address that anything else is likely to use.
        block = f"127.{random.randint(64, 254)}.{random.randint(1, 254)}"
        self._addresses = [f"{block}.{number}" for number in range(1, _SIZE + 1)]
        self._epmd_port = epmd
        self._epmd: subprocess.Popen[bytes] | None = None
        identities = [
            Identity(f"{self._name}-{number}@{address}", ports.pop(), ports.pop(), epmd, None)
            for number, address in enumerate(self._addresses, 1)
        ]
        cookie = secrets.token_hex(20)
        first = identities[0].name
        self.nodes = [self._prepare(identity, first, cookie) for identity in identities]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """All three hosts."""
        hosts = ",".join(f"{LOOPBACK}:{node.port}" for node in self.nodes)
        return f"amqp://{USER}:{PASSWORD}@{hosts}/{VHOST}"

    def start(self, timeout_s: float = 90.0) -> None:
        """Start all nodes and wait until our user can log in at each.

        Raises:
            NodeError: one did not come up; nothing of the cluster is left.
        """
        if scripts_folder() is None:
            raise NodeError(NOT_INSTALLED)
        try:
            self._start_epmd()
            # The first founds the cluster, the others join it: together they would wait for each other.
            founder, *others = self.nodes
            founder.start(timeout_s)
            with ThreadPoolExecutor(len(others)) as pool:
                list(pool.map(lambda node: node.start(timeout_s), others))
        except BaseException:
            self.stop(timeout_s=0.0)
            raise

    def stop(self, timeout_s: float = 0.0) -> None:
        """End all nodes and remove their folders. At once by default: no data is worth a good end."""
        for node in self.nodes:
            node.stop(timeout_s)
        marked.kill_all(self._name)
        if self._epmd is not None:
            self._epmd.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def running(self, asked: int) -> set[str]:
        """The names of the nodes that are in the cluster, as the node of that number sees it."""
        status = json.loads(self.nodes[asked].ctl("cluster_status", "--formatter", "json"))
        return set(status["running_nodes"])

    @contextmanager
    def cut_off(self, number: int, *, from_clients: bool = False) -> Iterator[None]:
        """Drop every packet, and send no ICMP, between that node and the others.

        Args:
            from_clients: also packets between it and its clients.

        Raises:
            NodeError: this machine does not allow it; see `missing_for_cut`.
        """
        problem = missing_for_cut()
        if problem is not None:
            raise NodeError(problem)
        here = self._addresses[number]
        others = [address for address in self._addresses if address != here]
        pairs = [(here, other) for other in others] + [(other, here) for other in others]
        rules = [("-s", source, "-d", destination) for source, destination in pairs]
        if from_clients:
            port = str(self.nodes[number].port)
            rules += [("-d", LOOPBACK, "--dport", port), ("-s", LOOPBACK, "--sport", port)]
        with ExitStack() as stack:
            for rule in rules:
                _iptables("-I", rule)
                stack.callback(_iptables, "-D", rule)
            yield

    def _prepare(self, identity: Identity, first: str, cookie: str) -> PrivateNode:
        address = identity.name.partition("@")[2]
        folder = self.folder / address
        known = sorted({first, identity.name})
        conf = [line for line in CLUSTER_CONF.read_text().splitlines() if not line.startswith(_NODES)]
        conf += [f"{_NODES}.{number} = {name}" for number, name in enumerate(known, 1)]
        node_files.write(folder, identity, "")
        node_files.write_cookie(folder, cookie)
        # What it asks of another node comes from its own address as well.
        own = node_files.erlang_address(address)
        (folder / "advanced.config").write_text(
            f"[{{kernel, [{{inet_dist_connect_options, [{{ip, {own}}}]}}]}}]."
        )
        return PrivateNode(folder, extra_conf="\n".join(conf))

    def _start_epmd(self) -> None:
        self._epmd = subprocess.Popen(
            epmd_command(",".join(self._addresses), self._epmd_port),
            env={"PATH": os.environ.get("PATH", os.defpath), marked.VARIABLE: self._name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def missing_for_cut() -> str | None:
    """Why nodes cannot be cut off on this machine; None if they can."""
    if os.geteuid() != 0:
        return "cutting a node off takes root (iptables)"
    if shutil.which("iptables") is None:
        return "iptables is not installed (apt-get install iptables)"
    return None


def _iptables(action: str, rule: tuple[str, ...]) -> None:
    command = ("iptables", "-w", "10", action, "INPUT", "-i", "lo", "-p", "tcp", *rule, "-j", "DROP")
    subprocess.run(command, check=True, capture_output=True)
