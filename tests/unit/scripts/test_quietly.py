"""Commands whose output is shown only where it matters."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from scripts.lib.quietly import run_quietly
from tests.support.timing import scaled


def sh(command: str, timeout_s: float | None = None) -> list[str] | None:
    return run_quietly(["sh", "-c", command], {}, timeout_s=timeout_s)


def test_what_works_is_quiet_and_what_fails_shows_its_lines() -> None:
    assert sh("echo one; echo two >&2") is None
    assert sh("echo one; echo; echo two >&2; exit 3") == ["one", "two"]
    assert sh("exit 3") == ["exit code 3"]
    assert sh("yes | head -c 1000000; printf '\\377'; exit 1") is not None, (
        "more than a pipe holds, no UTF-8"
    )


def test_what_takes_too_long_is_ended() -> None:
    assert sh("echo $$; exec sleep 1000", timeout_s=0.2) == ["no answer within 0.2 s"]


def test_progress_names_the_time_and_the_last_line_while_it_runs(tmp_path: Path) -> None:
    """The command ends only once its progress was shown."""
    os.mkfifo(tmp_path / "go")
    shown: list[str] = []

    def progress(text: str) -> None:
        shown.append(text)
        if text.endswith("downloading"):
            (tmp_path / "go").write_text("\n")

    command = ["sh", "-c", f"echo collecting; echo downloading; read line <{tmp_path}/go"]
    assert run_quietly(command, {}, progress=progress, every_s=0.05, timeout_s=scaled(20)) is None
    assert re.fullmatch(r"\d+ s: downloading", shown[-1])


def test_an_interrupted_command_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def progress(_text: str) -> None:
        if pid.exists() and pid.read_text():
            raise KeyboardInterrupt

    command = ["sh", "-c", f"echo $$ >{pid}; exec sleep 1000"]
    with pytest.raises(KeyboardInterrupt):
        run_quietly(command, {}, progress=progress, every_s=0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
