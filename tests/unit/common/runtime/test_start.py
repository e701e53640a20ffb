from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.timing import scaled

ROOT = Path(__file__).parents[4]


def run(code: str, *, shell: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"from fanlight.common.runtime import start\n{code}"]
    if shell:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=scaled(20)
    )


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_before_anything_runs_is_an_orderly_end(number: str) -> None:
    done = run(
        f"import os, signal; start.prepare(); os.kill(os.getpid(), signal.{number}); os.write(1, b'x')"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_nohup_is_heeded() -> None:
    code = "import os, signal; start.prepare(); os.kill(os.getpid(), signal.SIGHUP); print('on')"
    assert run(f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{code}").stdout == "on\n"


@pytest.mark.parametrize(("later_s", "code"), [(0.4, 0), (0.5, 143), (5.0, 143)])
def test_a_second_signal_ends_the_process_unless_it_is_the_same_one(later_s: float, code: int) -> None:
    done = run(
        "assert start.stopping.signalled(15, 7.0)\n"
        f"assert not start.stopping.signalled(15, 7.0 + {later_s})"
    )
    assert done.returncode == code, done.stderr


def test_a_signal_while_python_shuts_down_changes_nothing() -> None:
    done = run(
        "import os\nclass Late:\n  def __del__(self, kill=os.kill, me=os.getpid()): kill(me, 15)\n"
        "late = Late(); start.prepare()"
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "packages"),
    [("producer --doctor", "."), ("consumer --sink null", "."), ("consumer.wall", "'.[wall]'")],
)
def test_packages_that_are_not_installed_are_one_line(command: str, packages: str) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", *command.split()],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=scaled(20),
    )  # fmt: skip
    assert done.returncode == 1
    assert re.fullmatch(
        r"(producer|consumer|wall): No module named '\w+': install its packages, with Python 3\.11"
        rf" or newer: pip install -c constraints.txt {re.escape(packages)}\n",
        done.stderr,
    ), done.stderr


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-", "<&-"])
def test_standard_streams_that_are_closed_are_opened(closed: str) -> None:
    code = (
        "import socket, sys; start.prepare(); sys.stdout.write('x')\n"
        "sys.stderr.write('x'); sys.stdin.read()"
        "\nassert socket.socket().fileno() > 2"
    )
    assert run(code, shell=closed).returncode == 0
