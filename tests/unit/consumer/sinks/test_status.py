"""`status`: the line, and where it goes."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from fanlight.common.model.errors import SinkError
from fanlight.consumer.sinks.status import StatusSink, status_line
from tests.support.timing import scaled
from tests.unit.consumer.build import ManualClock
from tests.unit.consumer.sinks.build import STATS, context

RUNNING = "c1 | 30.0 fps | age p50 12 ms, p99 31 ms | lost 0 | skipped 0"
NOTHING: dict[str, Any] = {
    "received": 0,
    "presented": 0,
    "fps": 0.0,
    "age_p50_s": None,
    "age_p99_s": None,
}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, RUNNING),
        (
            {"fps": 7.25, "age_p50_s": 0.4996, "lost": 3, "superseded": 1, "late": 2, "awaiting_key": 4},
            "c1 | 7.2 fps | age p50 500 ms, p99 31 ms | lost 3 | skipped 7",
        ),
        ({"shared": True}, "c1 | 30.0 fps | age p50 12 ms, p99 31 ms | via host | lost 0 | skipped 0"),
        ({"expired": 2}, RUNNING + " | expired 2"),
        (
            {"undecodable": 1, "malformed": 3, "reconnects": 4},
            RUNNING + " | undecodable 1 | refused 3 | reconnects 4",
        ),
        ({"blocked": True}, "c1 | broker blocked: it is short of memory or disk | lost 0 | skipped 0"),
        ({"connected": False, **NOTHING}, "c1 | connecting..."),
        ({"connected": False, "shared": True}, "c1 | reconnecting... | lost 0 | skipped 0"),
        ({"shared": True, **NOTHING}, "c1 | waiting for the producer..."),
        (
            {**NOTHING, "received": 12, "awaiting_key": 12, "no_frame": "awaiting a keyframe"},
            "c1 | awaiting a keyframe | lost 0 | skipped 12",
        ),
        (
            {**NOTHING, "received": 9, "presented": 9},
            "c1 | waiting for the producer... | lost 0 | skipped 0",
        ),
    ],
)
def test_the_line_says_how_the_stream_is_doing(changes: dict[str, Any], line: str) -> None:
    assert status_line("c1", replace(STATS, **changes)) == line


class Terminal(io.StringIO):
    """A terminal of a given width; cannot show what a real one makes of the characters."""

    def __init__(self, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setattr(os, "get_terminal_size", lambda _fd: os.terminal_size((columns, 24)))

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


def test_a_file_gets_one_plain_line_a_second() -> None:
    out, clock = io.StringIO(), ManualClock()
    sink = StatusSink(context(), out, clock.monotonic_ns)
    for _ in range(25):
        assert sink.tick()
        clock.now_ns += 100_000_000
    assert out.getvalue() == (RUNNING + "\n") * 3
    sink.close()
    assert out.getvalue() == (RUNNING + "\n") * 4


def test_a_terminal_has_the_line_redrawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    out, clock = Terminal(200, monkeypatch), ManualClock()
    figures = [STATS, STATS, replace(STATS, connected=False, **NOTHING), STATS]
    sink = StatusSink(replace(context(), stats=lambda: figures.pop(0)), out, clock.monotonic_ns)
    for step_ns in (0, 0, 250_000_000, 250_000_000):
        clock.now_ns += step_ns
        sink.tick()
    wiped = "c1 | connecting...".ljust(len(RUNNING))
    assert out.getvalue() == f"\r{RUNNING}\r{RUNNING}\r{wiped}", "what is left of a longer line is wiped"
    sink.close()
    assert out.getvalue().endswith(f"\r{RUNNING}\n")
    narrow = Terminal(20, monkeypatch)
    sink = StatusSink(context(), narrow)
    sink.tick()
    assert narrow.getvalue() == "\r" + RUNNING[:19], "one column short, or the terminal would scroll"
    sink.close()


def test_a_reader_that_goes_ends_the_consumer_without_a_traceback() -> None:
    program = (
        "import sys\n"
        "from fanlight.common.runtime.output import unblocked_output\n"
        "from fanlight.consumer.sinks import status\n"
        "from tests.unit.consumer.sinks.build import context\n"
        "status._PLAIN_INTERVAL_NS = 0\n"
        "ticks = 0\n"
        "with unblocked_output():\n"
        "    sink = status.StatusSink(context())\n"
        "    while sink.tick():\n"
        "        ticks += 1\n"
        "    sink.close()\n"
        "print('ended', ticks, file=sys.stderr)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == RUNNING + "\n"
        child.stdout.close()
        errors = child.stderr.read()
        assert child.wait(scaled(20)) == 0
    assert errors.startswith("ended ")
    assert errors.count("\n") == 1


def test_a_full_disk_is_one_sentence() -> None:
    with (
        open("/dev/full", "w", encoding="utf-8") as out,
        open(os.devnull, "w", encoding="utf-8") as nowhere,
    ):
        sink = StatusSink(context(), out)
        with pytest.raises(SinkError) as failed:
            sink.tick()
        # The text is still in the file's buffer, and closing it would fail once more.
        os.dup2(nowhere.fileno(), out.fileno())
    assert str(failed.value) == f"status cannot be written: {os.strerror(errno.ENOSPC)}"
