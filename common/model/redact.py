"""Removes secrets from texts that are logged or printed.

The only code that recognises secrets. When in doubt it removes too much.
"""

from __future__ import annotations

import re
from typing import Final

# From the first colon of a possible `USER:PASSWORD@` to the last @: an unescaped password may contain any
# character, including slashes, spaces and @.
_BEFORE_AT: Final = re.compile(
    r"""(?<![^\s='"(,])([A-Za-z][\w+.-]*://)?([^\s:@='"]*):(?!//[^\s:@]*@).*@""", re.DOTALL
)
# `USER:PASSWORD` without a host. HOST:PORT is no secret, and tcp+... URLs have no user names.
_WITHOUT_AT: Final = re.compile(
    r"""((?<![\w.+-])(?!tcp\+)[A-Za-z][\w+.-]*://[^\s:@/\[\]]+:)(?!\d{1,5}(?:[/,?#\s'")]|$))[^\s@/]+"""
)
# URLs of cameras have passwords and tokens in the query, some in the path.
_URL: Final = re.compile(r"://\S+")
_IN_QUERY: Final = re.compile(
    r"([?&;/](?:pass\w*|pwd|pw|\w*token|\w*key|secret|auth|sig\w*)=)[^&;/#\s]+", re.IGNORECASE
)


def without_secrets(text: str) -> str:
    """The text, with everything in its URLs that may be a secret replaced by `***`."""
    text = _WITHOUT_AT.sub(r"\1***", _BEFORE_AT.sub(r"\1\2:***@", text))
    return _URL.sub(lambda url: _IN_QUERY.sub(r"\1***", url[0]), text)
