"""Fixtures for every test, and the rule that CI skips nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import settings

from tests.support.broker import broker_url, settled_node, stream, url
from tests.support.timing import scaled

__all__ = ["broker_url", "settled_node", "stream", "url"]

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)
# A machine under load is slow at any example; examples that hang end with the test's time limit.
settings.register_profile("fanlight", deadline=None)
settings.load_profile("fanlight")

# Under `nohup` and in the background of a shell they are ignored, and by all that the tests start: tests of
# them would test nothing.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# The time limit of a whole test is stretched as its deadlines are.
os.environ.setdefault("PYTEST_TIMEOUT", f"{scaled(120):g}")

_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "docker: needs a Docker engine with Compose, and port 5672")
    config.addinivalue_line("markers", "brokerless: does without the shared broker: once is enough")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one: a broker or a tool that is missing there must be noticed."""
    report = yield
    return _not_in_ci(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that is skipped while it is imported."""
    report = yield
    return _not_in_ci(report)


def _not_in_ci(report: _Report) -> _Report:
    if _CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} (CI=true does not allow a skipped test)"
    return report
