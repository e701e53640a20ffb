"""Checks of the fields of untrusted messages, which all formats on the wire share. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fanlight.common.model.errors import WireFormatError

MAX_INT63: Final = 2**63 - 1
STREAM_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
STREAM_NAME_RULE: Final = "1 to 64 letters, digits, '-' or '_'"


def name(table: Mapping[str, object], field: str = "stream") -> str:
    """The name of a stream, or another one of that form. Raises WireFormatError, as all of these."""
    value = table.get(field)
    if not isinstance(value, str) or not STREAM_NAME.fullmatch(value):
        raise WireFormatError(field, value, STREAM_NAME_RULE)
    return value


def whole(table: Mapping[str, object], field: str, low: int = 0, high: int = MAX_INT63) -> int:
    """A whole number."""
    value = table.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise WireFormatError(field, value, f"a whole number from {low} to {high}")
    # The `repr` of pika's integer type ends in L.
    return int(value)


def truth(table: Mapping[str, object], field: str, default: bool | None = None) -> bool:
    """A switch; None for one that may not be missing."""
    value = table.get(field, default)
    if not isinstance(value, bool):
        raise WireFormatError(field, value, "true or false")
    return value
