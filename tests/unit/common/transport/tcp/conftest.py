"""Fixtures for the tests of a listener."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fanlight.common.transport.tcp import listener
from tests.unit.common.transport.tcp.service import Owner, Service


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def service(owner: Owner) -> Iterator[Service]:
    with Service(owner) as one:
        yield one


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that looks round often, and whose clients have little time to go."""
    monkeypatch.setattr(listener, "_CHECK_INTERVAL_S", 0.02)
    monkeypatch.setattr(listener, "_CLOSE_TIMEOUT_S", 0.1)
