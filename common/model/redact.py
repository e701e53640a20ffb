"""Leaves passwords out of what people get to read. Rather hides too much."""

from __future__ import annotations

import re
from typing import Final

# From the first colon of what may be `USER:PASSWORD@` to the last @: an unescaped password may hold
# anything, slashes, spaces and further @ included.
_BEFORE_AT: Final = re.compile(
    r"""(?<![^\s='"(,])([A-Za-z][\w+.-]*://)?([^\s:@='"]*):(?!//[^\s:@]*@).*@""", re.DOTALL
)
# `USER:PASSWORD` whose host was forgotten. HOST:PORT may be read, and without a broker there are no users.
_WITHOUT_AT: Final = re.compile(
    r"""((?<![\w.+-])(?!tcp\+)[A-Za-z][\w.+-]*://[^\s:@/\[\]]+:)(?!\d{1,5}(?:[/,?#\s'")]|$))[^\s@/]+"""
)


def without_passwords(text: str) -> str:
    """The text with all that may be the password of a URL replaced by `***`."""
    return _WITHOUT_AT.sub(r"\1***", _BEFORE_AT.sub(r"\1\2:***@", text))
