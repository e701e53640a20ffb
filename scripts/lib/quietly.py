"""Runs a program whose output is of interest only if it fails, or if it takes long."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def run_quietly(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path | None = None,
    timeout_s: float | None = None,
    progress: Callable[[str], None] | None = None,
    every_s: float = 5.0,
) -> list[str] | None:
    """None if it worked, else what it printed, line by line, or a line that says how it ended.

    Args:
        environment: beside that of this process.
        progress: called every `every_s` with the time so far and the last line.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        output = _output(process, timeout_s, progress, every_s)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if output is None:
        process.kill()
        process.wait()
        return [f"no answer within {timeout_s:g} s"]
    code = process.wait()
    return None if code == 0 else _lines(output) or [f"exit code {code}"]


def _output(
    process: subprocess.Popen[bytes],
    timeout_s: float | None,
    progress: Callable[[str], None] | None,
    every_s: float,
) -> bytes | None:
    """All that it prints until it ends; None if that takes longer than `timeout_s`."""
    assert process.stdout is not None
    began_s = shown_s = time.monotonic()
    output = b""
    with process.stdout as pipe:
        while True:
            if select.select([pipe], [], [], every_s if timeout_s is None else min(every_s, timeout_s))[0]:
                chunk = os.read(pipe.fileno(), 1 << 16)
                if not chunk:
                    return output
                output += chunk
            now_s = time.monotonic()
            if timeout_s is not None and now_s - began_s >= timeout_s:
                return None
            if progress is not None and now_s - shown_s >= every_s:
                shown_s = now_s
                progress(": ".join([f"{now_s - began_s:.0f} s", *_lines(output)[-1:]]))


def _lines(output: bytes) -> list[str]:
    return [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
