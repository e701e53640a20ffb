"""What the tests of this folder share."""

from __future__ import annotations

import threading

import pytest

from fanlight.common.transport import cleartext


@pytest.fixture
def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not warned yet."""
    monkeypatch.setattr(cleartext, "_once", threading.Lock())
