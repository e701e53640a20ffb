from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from fanlight.common.model.errors import (
    BrokerRefused,
    BrokerUnavailable,
    ConfigError,
    FanlightError,
    SourceError,
)
from fanlight.common.runtime.main import DONE, FAILED, UNUSABLE, OneLineParser, run_command


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    raises, pika_level = logging.raiseExceptions, logging.getLogger("pika").level
    root_level = logging.getLogger().level
    yield
    logging.raiseExceptions = raises
    logging.getLogger("pika").setLevel(pika_level)
    logging.getLogger().setLevel(root_level)


def failing(error: BaseException) -> int:
    def body() -> None:
        raise error

    return run_command("fanlight-x", body)


def test_success_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("fanlight-x", lambda: None) == DONE
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("--fps", 0, "allowed is above 0"), UNUSABLE),
        (FanlightError("it broke"), FAILED),
        (SourceError("camera 0 is not there"), FAILED),
        (BrokerUnavailable("nothing answers"), FAILED),
        (BrokerRefused("no such vhost"), FAILED),
    ],
)
def test_a_failure_is_one_line(error: FanlightError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(error) == code
    assert capsys.readouterr() == ("", f"fanlight-x: {error}\n")


def test_an_interrupt_is_an_orderly_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(KeyboardInterrupt()) == DONE
    assert capsys.readouterr().err == ""


def test_an_internal_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())


def test_pika_is_silenced() -> None:
    run_command("fanlight-x", lambda: None)
    assert not logging.getLogger("pika").isEnabledFor(logging.CRITICAL)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--bogus", "5"], "unrecognized arguments: --bogus 5"),
        (["stray"], "unrecognized arguments: stray"),
        (["--two\nlines"], "unrecognized arguments: --two lines"),
        (["--fps"], "argument --fps: expected one argument"),
        (["--fp", "5"], "unrecognized arguments: --fp 5"),
        (["u:s3cret@h"], "unrecognized arguments:***@h"),
    ],
)
def test_an_unusable_command_line_is_one_line_on_stderr_and_exit_code_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = OneLineParser(prog="producer")
    parser.add_argument("--fps")
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(argv)
    assert caught.value.code == UNUSABLE
    assert capsys.readouterr() == ("", f"producer: {message} (see producer --help)\n")
