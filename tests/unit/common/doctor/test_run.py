from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Iterator

import pytest

from common.doctor.finding import Check, Finding, note, ok, problem
from common.doctor.run import report
from common.errors import FanlightError
from common.shell.logs import LogFormat


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


def run(*checks: Check, form: LogFormat = LogFormat.TEXT) -> tuple[int, list[str]]:
    out = io.StringIO()
    code = report("x", checks, form, out)
    return code, out.getvalue().splitlines()


def test_findings_come_in_order_with_what_to_do() -> None:
    code, lines = run(
        Check("a", 5, lambda: [ok("a", "fine"), note("b", "so so", "look at it")]),
        Check("c", 5, lambda: [problem("c", "broken", "mend it")]),
    )
    assert code == 1
    assert [line.split() for line in lines] == [
        ["ok", "a", "fine"],
        ["note", "b", "so", "so"],
        ["->", "look", "at", "it"],
        ["PROBLEM", "c", "broken"],
        ["->", "mend", "it"],
        ["x:", "problems:", "1"],
    ]


def test_notes_are_no_problem() -> None:
    code, lines = run(Check("a", 5, lambda: [note("a", "so so")]))
    assert (code, lines[-1]) == (0, "x: nothing is wrong")


def test_json_is_one_object_per_finding() -> None:
    code, lines = run(Check("a", 5, lambda: [problem("a", "broken", "mend it")]), form=LogFormat.JSON)
    (said,) = [json.loads(line) for line in lines]
    del said["time"]
    assert code == 1
    assert said == {
        "level": "error", "program": "x", "logger": "doctor", "message": "broken", "check": "a",
        "verdict": "problem", "advice": "mend it",
    }  # fmt: skip


def test_what_hangs_is_left_behind_and_what_it_found_is_told() -> None:
    released = threading.Event()

    def hang() -> Iterator[Finding]:
        yield ok("a", "fine")
        released.wait(30)

    began_s = time.monotonic()
    code, lines = run(Check("a", 0.2, hang), Check("b", 0.2, hang))
    assert time.monotonic() - began_s < 5
    assert code == 1
    assert [line.split()[0] for line in lines] == ["ok", "PROBLEM", "->", "ok", "PROBLEM", "->", "x:"]
    released.set()


def test_what_raises_is_a_problem() -> None:
    def refused() -> list[Finding]:
        raise FanlightError("the broker said no")

    def broken() -> list[Finding]:
        raise ZeroDivisionError("by zero")

    code, lines = run(Check("a", 5, refused), Check("b", 5, broken))
    assert code == 1
    assert "the broker said no" in lines[0]
    assert "ZeroDivisionError: by zero" in lines[1]
