"""Real users at both ends of real connections."""

from __future__ import annotations

import os
import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from fanlight.common.transport.tcp.peer_user import other_user
from tests.support.timing import scaled
from tests.support.users import as_nobody, python_of_others

CLOSED = r"reset by peer|not connected"
# Those of this machine, including what others reach it by.
BEYOND = [
    address.address
    for addresses in psutil.net_if_addrs().values()
    for address in addresses
    if address.family == socket.AF_INET and not address.address.startswith("127.")
]
EVERY_ADDRESS = pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.9.9.9", *BEYOND[:1]]
)

# Connects to a port and keeps the connection.
VISITOR = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))):
    print("connected", flush=True)
    sys.stdin.read()
"""
# Listens at a port, and accepts each connection.
HOST = """
import socket, sys
listening = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
listening.bind((sys.argv[1], 0))
listening.listen()
print(listening.getsockname()[1], flush=True)
kept = [listening.accept()[0]]
kept[0].send(b"here")
sys.stdin.read()
"""


@contextmanager
def another_user(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process of the user nobody."""
    with subprocess.Popen(
        [python_of_others(), "-c", script, *map(str, arguments)],
        **as_nobody(), cwd="/", text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def listening_at(host: str) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.bind((host, 0))
    listening.listen()
    return listening


@contextmanager
def connected(host: str = "127.0.0.1") -> Iterator[tuple[socket.socket, socket.socket]]:
    with listening_at(host) as listening:
        client = socket.create_connection(listening.getsockname()[:2])
        accepted, _ = listening.accept()
        with client, accepted:
            yield client, accepted


@EVERY_ADDRESS
def test_a_process_of_ones_own_is_no_other_user(host: str) -> None:
    with connected(host) as (client, accepted):
        assert other_user(client) is other_user(accepted) is None


@EVERY_ADDRESS
def test_another_user_is_known_by_name_whoever_connects(host: str) -> None:
    with listening_at(host) as listening:
        port = listening.getsockname()[1]
        with another_user(VISITOR, host, port), listening.accept()[0] as accepted:
            assert other_user(accepted) == "nobody"
    with another_user(HOST, host) as there:
        assert there.stdout is not None
        port = int(there.stdout.readline())
        with socket.create_connection((host, port), scaled(5)) as client:
            assert client.recv(4) == b"here"
            assert other_user(client) == "nobody"
            there.kill()
            there.wait()
            with pytest.raises(OSError, match=CLOSED):
                other_user(client)


@pytest.mark.parametrize("linger_s", [None, 0])
def test_an_end_that_is_closed_is_nobodys(linger_s: int | None) -> None:
    """Whoever has gone after sending cannot be known, be it by an orderly end or a reset."""
    with connected() as (client, accepted):
        accepted.send(b"something")
        if linger_s is not None:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, linger_s))
        accepted.close()
        with pytest.raises(OSError, match=CLOSED):
            other_user(client)


def test_without_descriptors_nobody_is_let_in_unasked() -> None:
    with connected() as (client, _):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                other_user(client)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_other_sockets_have_no_other_user() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert other_user(ours) is None


def test_root_is_no_other_user_to_anybody() -> None:
    ask = (
        "import os, socket, sys\n"
        "from fanlight.common.transport.tcp.peer_user import other_user\n"
        "listening = socket.create_server(('127.0.0.1', 0))\n"
        "client = socket.create_connection(listening.getsockname())\n"  # as root
        "os.setuid(65534)\n"
        "accepted, _ = listening.accept()\n"
        "print(other_user(accepted))\n"
        "other = socket.create_connection(listening.getsockname())\n"
        "accepted, _ = listening.accept()\n"
        "print(other_user(accepted))\n"
    )
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=scaled(20)
    )
    assert done.stdout.split() == ["None", "None"]
