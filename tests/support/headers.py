"""The header of a frame that a test has at hand."""

from __future__ import annotations

from scripts.lib.headers import header

__all__ = ["header"]
