"""Fixtures of the tests of shared memory."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the rings are; not there yet."""
    return tmp_path / "rings"
