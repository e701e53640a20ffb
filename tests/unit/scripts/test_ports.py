"""Ports for tests that run side by side."""

from __future__ import annotations

import socket
import subprocess
import sys

from scripts.lib.ports import LOOPBACK, free_ports, is_free

ASK = "from scripts.lib.ports import free_ports; print(*free_ports(300)); input()"


def test_no_port_is_given_twice() -> None:
    given = [free_ports(1)[0] for _ in range(200)]
    assert len(set(given)) == 200


def test_two_programs_are_given_different_ports() -> None:
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    given = []
    for program in programs:
        assert program.stdout is not None
        given.append({int(port) for port in program.stdout.readline().split()})
    for program in programs:
        program.communicate("\n")
    assert [len(ports) for ports in given] == [300, 300]
    assert not given[0] & given[1]


def test_a_port_where_somebody_listens_is_not_free() -> None:
    (port,) = free_ports(1)
    assert is_free(port)
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
