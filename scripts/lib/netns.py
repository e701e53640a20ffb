"""A machine of its own behind a bad line: network namespaces, for tests. Linux only, needs root.

    host ──────── router ──────── guest
      host_address          guest_address

    with Netns() as net:
        subprocess.Popen(net.command([...]))   # runs in the guest, and reaches `net.host_address`
        net.link.drop(True)                    # packets vanish, both ways

The router is a namespace between the two. Packets are lost and slowed there, not where they are sent: what
of what a sender's own kernel drops or delays, its TCP knows, and behaves better than on a real line.
The host's own firewall is not touched.
"""

from __future__ import annotations

import atexit
import ctypes
import ipaddress
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from fanlight.common.model.errors import FanlightError

# Program, and the Debian package that has it.
PROGRAMS: Final = {"ip": "iproute2", "tc": "iproute2", "iptables-restore": "iptables"}
# For measurements between networks (RFC 2544): nobody routes them.
_ADDRESSES: Final = ipaddress.ip_network("198.18.0.0/15")
# Eight addresses: four for the line between host and router, four for the one to the guest.
_BLOCK: Final = 8
_NAME = re.compile(r"fl(\d+)[hrg]\d+")
_CLONE_NEWNET: Final = 0x40000000
_FOLDER: Final = Path("/run/netns")
_numbers = itertools.count()


class NetnsError(FanlightError):
    """A command that sets up a network failed; one sentence with its own message."""


def unavailable() -> str | None:
    """Why there can be no network namespaces here (for `pytest.skip`); None if there can."""
    if not Path("/proc/self/ns/net").exists():
        return "network namespaces need Linux"
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            return f"{program} is not installed (apt-get install {package})"
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with Netns() as net:
            net.link.loss(0.5)
            net.link.rate("1mbit")
    except NetnsError as error:
        return f"no network namespaces here (they need CAP_NET_ADMIN and a kernel with them): {error}"
    return None


class Link:
    """The line between host and guest. What is set stays until it is set again or cleared."""

    def __init__(self, router: str, devices: tuple[str, str]) -> None:
        self._router = router
        self._devices = devices

    def drop(self, drop: bool) -> None:
        """Drop every packet, both ways, and send no ICMP.

        At once: no program is started for it, which would take as long as the machine is busy.
        """
        with _inside(self._router):
            _write("/proc/sys/net/ipv4/ip_forward", "0" if drop else "1")

    def loss(self, probability: float) -> None:
        """Lose packets at random, both ways, each with this probability."""
        rules = ["*filter", ":FORWARD ACCEPT [0:0]"]
        if probability:
            rules.append(f"-A FORWARD -m statistic --mode random --probability {probability:.6f} -j DROP")
        _exec(self._router, "iptables-restore", "-w", stdin="\n".join([*rules, "COMMIT", ""]))

    def rate(self, rate: str | None, *, queue_ms: int = 200) -> None:
        """Limit both ways to e.g. "1mbit"; what would wait for longer than `queue_ms` is dropped."""
        for device in self._devices:
            with suppress(NetnsError):  # there is none
                _exec(self._router, "tc", "qdisc", "del", "dev", device, "root")
            if rate is not None:
                shape = ("tbf", "rate", rate, "burst", "5kb", "latency", f"{queue_ms}ms")
                _exec(self._router, "tc", "qdisc", "add", "dev", device, "root", *shape)

    def clear(self) -> None:
        """A good line again."""
        self.drop(False)
        self.loss(0.0)
        self.rate(None)


class Netns:
    """A guest, a router and the lines between them; made at once, gone with `close` or with the process.

    What a process that was killed has left behind is removed by the next one that makes a namespace.

    Attributes:
        host_address: where the host listens for the guest.
        guest_address: where the guest listens for the host.
        link: the line.

    Raises:
        NetnsError: no rights, or a program is missing.
    """

    def __init__(self) -> None:
        remove_leftovers()
        number = next(_numbers)
        # At most 15 characters: they name interfaces as well.
        self._host, self._router, self.name = (f"fl{os.getpid()}{kind}{number}" for kind in "hrg")
        block = _free_block()
        self.host_address, router_near, router_far, self.guest_address = (
            str(block[at]) for at in (1, 2, 5, 6)
        )
        near, far, eth = "near", "far", "eth0"
        self.link = Link(self._router, (near, far))
        self._owner = os.getpid()
        self._closed = False
        atexit.register(self.close)
        try:
            for name in (self._router, self.name):
                _ip("netns", "add", name)
            _ip("link", "add", self._host, "type", "veth", "peer", "name", near, "netns", self._router)
            _in(self._router, "link", "add", far, "type", "veth", "peer", "name", eth, "netns", self.name)
            self._set_up(None, self._host, self.host_address)
            self._set_up(self._router, near, router_near)
            self._set_up(self._router, far, router_far)
            self._set_up(self.name, eth, self.guest_address)
            _in(self.name, "link", "set", "dev", "lo", "up")
            _ip("route", "add", f"{self.guest_address}/32", "via", router_near)
            _in(self.name, "route", "add", "default", "via", router_far)
            self.link.drop(False)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` in the guest; its process number is that of the command."""
        return ["ip", "netns", "exec", self.name, *command]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is in the guest, and so is for good every thread that it starts meanwhile."""
        with _inside(self.name):
            yield

    def close(self) -> None:
        """Remove it all. Processes in the guest have to be ended before. May be called again."""
        if self._closed or self._owner != os.getpid():  # a forked child: not its own
            return
        self._closed = True
        atexit.unregister(self.close)
        with suppress(NetnsError):
            _ip("link", "del", self._host)
        for name in (self._router, self.name):
            with suppress(NetnsError):
                _ip("netns", "del", name)

    @staticmethod
    def _set_up(namespace: str | None, device: str, address: str) -> None:
        at = () if namespace is None else ("-n", namespace)
        _ip(*at, "addr", "add", f"{address}/30", "dev", device)
        # No packets of 64 kB, which only exist between virtual devices: one of them lost is 40 lost.
        _ip(*at, "link", "set", "dev", device, "gso_max_segs", "1")
        _ip(*at, "link", "set", "dev", device, "up")


@contextmanager
def _inside(name: str) -> Iterator[None]:
    """The calling thread is in that namespace."""
    task = f"/proc/self/task/{threading.get_native_id()}/ns/net"
    with open(task, "rb") as before, (_FOLDER / name).open("rb") as there:
        _set_namespace(there.fileno())
        try:
            yield
        finally:
            _set_namespace(before.fileno())


def remove_leftovers() -> None:
    """Remove what dead processes have left: interfaces, namespaces, and who still runs in those."""
    names = [folder.name for folder in _FOLDER.iterdir()] if _FOLDER.is_dir() else []
    devices = [str(device["ifname"]) for device in _ip_json("link")]
    for name in filter(_is_leftover, names):
        with suppress(NetnsError):
            for pid in _ip("netns", "pids", name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _ip("netns", "del", name)
    for device in filter(_is_leftover, devices):
        with suppress(NetnsError):
            _ip("link", "del", device)


def _is_leftover(name: str) -> bool:
    match = _NAME.fullmatch(name)
    return match is not None and not Path(f"/proc/{match[1]}").exists()


def _free_block() -> ipaddress.IPv4Network:
    taken = [
        ipaddress.ip_interface(f"{address['local']}/{address['prefixlen']}").network
        for device in _ip_json("-4", "addr")
        for address in device["addr_info"]
    ]
    assert isinstance(_ADDRESSES, ipaddress.IPv4Network)
    while True:  # at random: another process may choose at the same time
        at = random.randrange(0, _ADDRESSES.num_addresses, _BLOCK)
        block = ipaddress.IPv4Network((int(_ADDRESSES.network_address) + at, 29))
        if not any(block.overlaps(other) for other in taken):
            return block


def _set_namespace(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise NetnsError(f"setns: {os.strerror(code)}")


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise NetnsError(f"{path}: {error.strerror}") from None


def _exec(namespace: str, *command: str, stdin: str | None = None) -> str:
    return _ip("netns", "exec", namespace, *command, stdin=stdin)


def _in(namespace: str, *arguments: str) -> str:
    return _ip("-n", namespace, *arguments)


def _ip_json(*arguments: str) -> list[dict[str, Any]]:
    found = json.loads(_ip("-j", *arguments) or "[]")
    return [one for one in found if one]  # "ip -j -4 addr" has {} for devices without an address


def _ip(*arguments: str, stdin: str | None = None) -> str:
    try:
        done = subprocess.run(
            ["ip", *arguments], check=False, input=stdin, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NetnsError(f"ip {' '.join(arguments)}: {error}") from None
    if done.returncode:
        output = (done.stderr or done.stdout).strip().splitlines()
        raise NetnsError(
            f"ip {' '.join(arguments)}: {output[0] if output else f'exit code {done.returncode}'}"
        )
    return done.stdout
