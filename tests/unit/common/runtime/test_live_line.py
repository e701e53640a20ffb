"""A log line and the live line of a terminal never share a row, as a real terminal shows it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
from typing import Final

from tests.support.timing import scaled

# A port that nothing listens on: the link logs that it fails, while the status is redrawn.
COMMAND: Final = (
    *("-m", "consumer", "--url", "tcp+multiplex://127.0.0.1:1", "--name", "c1"),
    *("--sink", "status", "--duration", "2s"),
)
# Many lines of both at once, from two threads.
CROWD: Final = """
import logging, sys, threading
from fanlight.common.runtime.live_line import LIVE_LINE, LogHandler

logging.basicConfig(handlers=[LogHandler(sys.stderr)], format="log: %(message)s")
log = threading.Thread(target=lambda: [logging.warning("line %d", n) for n in range(300)])
log.start()
n = 0
while log.is_alive() or n < 300:
    n += 1
    LIVE_LINE.draw(sys.stdout, "live " + "x" * (1 + n % 50))
log.join()
LIVE_LINE.end()
"""


def rows(*arguments: str, stderr_to_terminal: bool = True) -> list[str]:
    """Run Python on a terminal; the rows as they stand there at the end."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 200))
    stderr = theirs if stderr_to_terminal else subprocess.DEVNULL
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.DEVNULL, stdout=theirs, stderr=stderr
    ) as child:
        os.close(theirs)
        output = b""
        try:
            while chunk := read(ours):
                output += chunk
            assert child.wait(scaled(20)) == 0
        finally:
            child.kill()
            os.close(ours)
    return shown(output.decode())


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux: nobody has the other side open any more
        return b""


def shown(text: str) -> list[str]:
    """What a terminal makes of printed characters, \\r and \\n."""
    done: list[str] = []
    row: list[str] = []
    at = 0
    for character in text:
        if character == "\r":
            at = 0
        elif character == "\n":
            done.append("".join(row).rstrip())
            row, at = [], 0
        else:
            row[at : at + 1] = character
            at += 1
    return [*done, "".join(row).rstrip()]


def test_the_status_of_a_consumer_stays_below_its_log() -> None:
    *log, status, end = rows(*COMMAND)
    assert log
    assert [row for row in log if not row.startswith("consumer: ") or " | " in row] == []
    assert (status, end) == ("c1 | connecting...", "")


def test_without_a_log_on_the_terminal_one_row_is_redrawn() -> None:
    assert rows(*COMMAND, stderr_to_terminal=False) == ["c1 | connecting...", ""]


def test_lines_of_two_threads_do_not_mix() -> None:
    *log, live, end = rows("-c", CROWD)
    assert log == [f"log: line {n}" for n in range(300)]
    assert re.fullmatch("live x+", live)
    assert end == ""


def test_a_log_that_is_no_terminal_leaves_the_line_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CROWD], capture_output=True, timeout=scaled(20), check=True
    )
    assert done.stdout.count(b"\n") == 1
    assert done.stderr.count(b"\n") == 300
