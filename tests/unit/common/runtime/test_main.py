from __future__ import annotations

import logging

import pytest

from fanlight.common.model.errors import (
    BrokerRefused,
    ConfigError,
    FanlightError,
)
from fanlight.common.runtime.main import DONE, FAILED, UNUSABLE, OneLineParser, run_command


def failing(error: BaseException | None) -> int:
    def body() -> None:
        if error is not None:
            raise error

    return run_command("fanlight-x", body)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_success_and_an_interrupt_are_an_orderly_end(
    error: BaseException | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(error) == DONE
    assert capsys.readouterr() == ("", "")
    assert not logging.getLogger("pika").isEnabledFor(logging.CRITICAL), "pika is silenced"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("--fps", 0, "allowed is above 0"), UNUSABLE),
        (FanlightError("it broke"), FAILED),
        (BrokerRefused("no such vhost"), FAILED),
    ],
)
def test_a_failure_is_one_line(error: FanlightError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(error) == code
    assert capsys.readouterr() == ("", f"fanlight-x: {error}\n")


def test_an_internal_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--bogus", "5"], "unrecognized arguments: --bogus ***"),
        (["stray"], "unrecognized arguments: stray"),
        (["--two\nlines"], "unrecognized arguments: --two ***"),
        (["--fps"], "argument --fps: expected one argument"),
        (["--fp", "5"], "unrecognized arguments: --fp ***"),
        (["--password", "s3cret", "-x", "--y"], "unrecognized arguments: --password *** -x --y"),
        (["--token=s3cret"], "unrecognized arguments: --token=***"),
        (["u:s3cret@h"], "unrecognized arguments: ***@h"),
    ],
)
def test_an_unusable_command_line_is_one_line_on_stderr_and_exit_code_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = OneLineParser(prog="producer", called="python -m producer")
    parser.add_argument("--fps")
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(argv)
    assert caught.value.code == UNUSABLE
    assert capsys.readouterr() == ("", f"producer: {message} (see python -m producer --help)\n")
