"""The text of an exception, for use at the end of a sentence. Pure."""

from __future__ import annotations

from fanlight.common.model.redact import without_secrets


def reason(error: BaseException) -> str:
    """The message of an exception, without the error number and file name that libc and libav add."""
    return without_secrets(str(getattr(error, "strerror", None) or error)) or type(error).__name__
