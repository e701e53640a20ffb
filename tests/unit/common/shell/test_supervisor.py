from __future__ import annotations

import signal

import pytest

from common.shell.supervisor import again, exit_code, reason


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGKILL"])
def test_after_a_crash_it_is_started_again(name: str) -> None:
    number = signal.Signals[name]
    assert again(number)
    assert name in reason(number, 1.25)
    assert "after 1.2 s" in reason(number, 1.25)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGUSR1"])
def test_after_what_somebody_sent_it_is_not(name: str) -> None:
    assert not again(signal.Signals[name])


@pytest.mark.parametrize(
    ("status", "code"), [(0, 0), (1 << 8, 1), (2 << 8, 2), (15, 143), (11 | 0x80, 139)]
)
def test_exit_codes_are_those_that_a_shell_shows(status: int, code: int) -> None:
    assert exit_code(status) == code
