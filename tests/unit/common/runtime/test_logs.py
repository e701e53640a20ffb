from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import datetime

import pytest

from fanlight.common.model.errors import ConfigError, FanlightError
from fanlight.common.runtime.logs import LogFormat, error_line, formatter, requested_format
from fanlight.common.runtime.main import Load, command_line, run_command
from fanlight.common.runtime.settings import Operation
from tests.support.timing import scaled

CREATED_S = 1_700_000_000.25


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, None)
    made = logging.LogRecord("fanlight.x", logging.WARNING, __file__, 1, message, arguments, info)
    made.created = CREATED_S
    return made


@pytest.mark.parametrize("error", [None, ValueError("broken")])
def test_a_record_is_one_object_and_an_exception_one_field(error: BaseException | None) -> None:
    made = record('%s said\n"%d"', "camera", 3, error=error)
    line = formatter("producer", LogFormat.JSON).format(made)
    assert "\n" not in line
    fields = json.loads(line)
    assert fields.pop("exception", None) == (error and "ValueError: broken")
    assert fields == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "program": "producer",
        "logger": "fanlight.x",
        "message": 'camera said\n"3"',
    }


def test_text_is_the_program_and_the_message() -> None:
    assert formatter("producer", LogFormat.TEXT).format(record("%d frames", 3)) == "producer: 3 frames"
    assert error_line("producer", LogFormat.TEXT, "no") == "producer: no\n"


def test_file_names_that_are_not_text_can_be_written() -> None:
    line = error_line("producer", LogFormat.JSON, "\udcff é 摄").removesuffix("\n")
    assert line.isascii()
    assert json.loads(line)["message"] == "\udcff é 摄"


@pytest.mark.parametrize(
    ("argv", "environment", "form"),
    [
        ([], {}, LogFormat.TEXT),
        (["--log-format", "json"], {}, LogFormat.JSON),
        (["--log-format=json", "--nonsense"], {}, LogFormat.JSON),
        (["--log-format"], {}, LogFormat.TEXT),
        (["--log-format", "xml"], {}, LogFormat.TEXT),
        ([], {"FANLIGHT_LOG_FORMAT": "json"}, LogFormat.JSON),
        (["--log-format", "text"], {"FANLIGHT_LOG_FORMAT": "json"}, LogFormat.TEXT),
    ],
)
def test_the_format_is_known_before_the_rest_is_read(
    argv: list[str], environment: dict[str, str], form: LogFormat
) -> None:
    assert requested_format(argv, environment) is form


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigError("--fps", 0, "above 0"), 2), (FanlightError("broke"), 1)]
)
def test_the_last_line_is_an_object_too(
    error: FanlightError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def body() -> None:
        raise error

    assert run_command("x", body, LogFormat.JSON) == code
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["program"], line["message"]) == ("error", "x", str(error))
    datetime.fromisoformat(line["time"])


@pytest.mark.parametrize("bad", [["--nonsense"], ["--metrics", "nowhere"], ["--stall"]])
def test_bad_arguments_are_reported_as_one_object(
    bad: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def body(load: Load) -> None:
        load(Operation)
        raise AssertionError("it ran")

    def run() -> int:
        try:
            return command_line("x", "", (), ["--log-format", "json", *bad], body)
        except SystemExit as ended:
            return int(str(ended.code))

    assert run() == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["level"] == "error"


@pytest.mark.parametrize("body", ["lambda: 1 // 0", "failing.run_in_thread"])
def test_an_uncaught_exception_is_an_object_too(body: str) -> None:
    code = (
        "import threading\n"
        "class failing:\n"
        "    def run_in_thread():\n"
        "        thread = threading.Thread(target=lambda: 1 // 0)\n"
        "        thread.start()\n"
        "        thread.join()\n"
        "from fanlight.common.runtime.main import run_command\n"
        "from fanlight.common.runtime.logs import LogFormat\n"
        f"run_command('x', {body}, LogFormat.JSON)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=scaled(30)
    )
    line = json.loads(done.stderr)
    assert line["level"] == "critical"
    assert "ZeroDivisionError" in line["exception"]
