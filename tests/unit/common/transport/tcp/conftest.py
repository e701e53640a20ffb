"""Fixtures for the tests of a door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fanlight.common.transport.tcp import listener
from tests.unit.common.transport.tcp.desk import Desk, House


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def house(desk: Desk) -> Iterator[House]:
    with House(desk) as one:
        yield one


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A door that looks round often, and whose clients have little time to go."""
    monkeypatch.setattr(listener, "_LOOK_ROUND_S", 0.02)
    monkeypatch.setattr(listener, "_LEAVE_S", 0.1)
