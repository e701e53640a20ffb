"""Commands whose standard streams the shell has closed (`>&-`)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.timing import scaled

NOBODY = "--url amqp://127.0.0.1:1 --duration 0.2s"


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"exec {sys.executable} {command}"],
        capture_output=True, text=True, timeout=scaled(60), check=False,
    )  # fmt: skip


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    "command", [f"-m consumer {NOBODY} --sink status", f"-m producer {NOBODY}", "-m consumer --help"]
)
def test_a_command_runs_as_if_redirected_to_dev_null(command: str, closed: str) -> None:
    done = shell(f"{command} {closed}")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
