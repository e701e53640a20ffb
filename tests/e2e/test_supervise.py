"""A command that native code crashes: seen without a supervisor, started again with one."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import Command, run, running
from tests.support.crashing import Crasher, alive, child_of, pss_kib
from tests.support.timing import scaled, wait_until

BOTH = ("producer", "consumer")
QUIET = {"producer": (), "consumer": ("--sink", "null")}
UP = "nothing answers"  # its link says so: the command is at work


@pytest.fixture
def url() -> Iterator[str]:
    """A port that is ours and where nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"amqp://127.0.0.1:{held.getsockname()[1]}/fanlight"


def supervised(command: Command) -> int:
    """The process that does the work."""
    command.wait_line(UP)
    child = child_of(command.process.pid)
    assert child
    return child


def again(command: Command, former: int) -> int:
    """Likewise after a crash."""
    begun_s = command.wait_line("is up again").at_s
    at_work = f"{command.program} is at work again"
    wait_until(lambda: any(UP in x.text and x.at_s > begun_s for x in command.err.lines), 15, at_work)
    child = child_of(command.process.pid)
    assert child not in (0, former)
    return child


@pytest.mark.parametrize("program", BOTH)
def test_a_crash_in_native_code_is_said_and_the_command_started_again(
    program: str, url: str, tmp_path: Path
) -> None:
    crasher = Crasher(tmp_path)
    with running(
        program, *QUIET[program], "--url", url, "--supervise", environment=crasher.environment
    ) as command:
        first = supervised(command)
        crasher.crash()
        said = command.wait_line("crashed after").text
        assert said.startswith(f"{program}: ")
        assert "SIGSEGV in native code" in said
        assert "starting again in" in said
        second = again(command, first)
        assert alive(second)
        command.signal(signal.SIGTERM)
        assert command.wait(2.0) == 0
        assert not alive(second)


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL])
def test_other_hard_ends_are_told_apart_and_the_command_started_again(
    number: signal.Signals, url: str
) -> None:
    with running("consumer", *QUIET["consumer"], "--url", url, "--supervise") as command:
        first = supervised(command)
        os.kill(first, number)
        assert number.name in command.wait_line("starting again").text
        again(command, first)
        command.signal(signal.SIGINT)
        assert command.wait(2.0) == 0


def test_without_a_supervisor_a_crash_says_where_and_ends_with_its_signal(url: str, tmp_path: Path) -> None:
    crasher = Crasher(tmp_path)
    with running("consumer", *QUIET["consumer"], "--url", url, environment=crasher.environment) as command:
        command.wait_line(UP)
        crasher.crash()
        assert command.wait(10) == -signal.SIGSEGV
        assert "Segmentation fault" in command.err.text
        assert "string_at" in command.err.text


def test_the_supervisor_is_small_and_loads_nothing_of_ours(url: str) -> None:
    with running("consumer", *QUIET["consumer"], "--url", url, "--supervise") as command:
        supervised(command)
        maps = Path(f"/proc/{command.process.pid}/maps").read_text()
        assert [name for name in ("numpy", "libav", "_ssl", "opencv") if name in maps] == []
        assert pss_kib(command.process.pid) < 10_000


def test_sigterm_ends_both_in_good_order(url: str) -> None:
    with running("producer", "--url", url, "--supervise") as command:
        child = supervised(command)
        began_s = time.monotonic()
        command.signal(signal.SIGTERM)
        assert command.wait(2.0) == 0, command.err.text
        assert time.monotonic() - began_s < scaled(2.0)
        assert not alive(child)


def test_what_a_terminal_sends_to_the_group_reaches_the_command_once(url: str) -> None:
    # Twice would end it at once, with a code of its own.
    with running("producer", "--url", url, "--supervise") as command:
        child = supervised(command)
        assert os.getpgid(child) == child
        assert os.getpgid(command.process.pid) != child
        command.signal(signal.SIGINT)
        assert command.wait(2.0) == 0


def test_the_command_ends_when_its_supervisor_is_killed(url: str) -> None:
    with running("consumer", *QUIET["consumer"], "--url", url, "--supervise") as command:
        child = supervised(command)
        command.signal(signal.SIGKILL)
        wait_until(lambda: not alive(child), 2.0)


def test_what_does_not_end_in_time_is_killed(url: str) -> None:
    with running("consumer", *QUIET["consumer"], "--url", url, "--supervise") as command:
        child = supervised(command)
        os.kill(child, signal.SIGSTOP)
        command.signal(signal.SIGTERM)
        assert command.wait(6.0) == 128 + signal.SIGKILL
        assert "did not end within" in command.err.text
        assert not alive(child)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--sink", "null", "--duration", "0.3s"), 0), (("--bogus", "1"), 2), (("--sink", "foo"), 2)],
)
def test_the_exit_code_is_the_commands_and_nothing_is_started_again(
    arguments: tuple[str, ...], code: int, url: str
) -> None:
    ended, command = run("consumer", *arguments, "--url", url, environment={"FANLIGHT_SUPERVISE": "1"})
    assert ended == code, command.err.text
    assert "starting again" not in command.err.text


def test_a_source_that_fails_is_not_started_again(url: str, tmp_path: Path) -> None:
    broken = tmp_path / "a.mp4"
    broken.write_bytes(b"not a video")
    ended, command = run("producer", "--source", str(broken), "--url", url, "--supervise")
    assert ended == 1, command.err.text
    assert "starting again" not in command.err.text
