"""Frame headers for tests."""

from __future__ import annotations

from scripts.lib.headers import header

__all__ = ["header"]
