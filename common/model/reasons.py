"""Errors in words, for the end of a sentence. Pure."""

from __future__ import annotations


def reason(error: BaseException) -> str:
    """An error's own words, without the number and file name that libc and libav add."""
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
