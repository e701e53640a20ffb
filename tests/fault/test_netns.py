"""The network namespaces of the fault tests: they lose packets as they are told to, and leave nothing."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.lib import netns
from scripts.lib.netns import Netns, remove_leftovers
from tests.support.commands import ROOT
from tests.support.timing import scaled

MAKES = """
import sys
from scripts.lib.netns import Netns
net = Netns()
print(net.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", autouse=True)
def _available() -> None:
    reason = netns.unavailable()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def net() -> Iterator[Netns]:
    with Netns() as made:
        yield made


@pytest.fixture
def pair(net: Netns) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The guest's end of a datagram way, and the host's."""
    host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with net.entered():
        guest = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with host, guest:
        host.bind((net.host_address, 0))
        guest.bind((net.guest_address, 0))
        host.connect(guest.getsockname())
        guest.connect(host.getsockname())
        yield guest, host


def arrived(sender: socket.socket, receiver: socket.socket, count: int, *, size: int = 10) -> int:
    """How many of so many datagrams arrive."""
    for _ in range(count):
        sender.send(bytes(size))
    receiver.settimeout(0.2)
    got = 0
    try:
        while got < count:
            receiver.recv(size)
            got += 1
    except TimeoutError:
        pass
    return got


def test_packets_are_dropped_lost_at_random_and_kept_back(
    net: Netns, pair: tuple[socket.socket, socket.socket]
) -> None:
    net.link.drop(True)
    assert arrived(*pair, 50) == 0
    net.link.clear()
    net.link.loss(0.3)
    assert 90 < arrived(*pair, 200) < 190
    net.link.clear()
    net.link.rate("100kbit", queue_ms=50)
    assert 0 < arrived(*pair, 100, size=1000) < 100
    net.link.clear()
    assert arrived(*pair, 50, size=1000) == 50


def test_what_a_killed_process_left_is_removed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAKES], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as maker:
        assert maker.stdout is not None
        place = Path("/run/netns") / maker.stdout.readline().strip()
        assert place.exists()
        remove_leftovers()
        assert place.exists(), "it is still somebody's"
        maker.send_signal(signal.SIGKILL)
        maker.wait(scaled(10))
    remove_leftovers()
    assert not place.exists()
