"""Leaves secrets out of texts for people: the only code that knows what secrets look like.

In doubt it hides too much.
"""

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
    r"""((?<![\w.+-])(?!tcp\+)[A-Za-z][\w+.-]*://[^\s:@/\[\]]+:)(?!\d{1,5}(?:[/,?#\s'")]|$))[^\s@/]+"""
)
# Cameras take passwords and tokens in the query of a URL, some in its path.
_URL: Final = re.compile(r"://\S+")
_IN_QUERY: Final = re.compile(
    r"([?&;/](?:pass\w*|pwd|pw|\w*token|\w*key|secret|auth|sig\w*)=)[^&;/#\s]+", re.IGNORECASE
)


def without_secrets(text: str) -> str:
    """The text with all that may be a secret in a URL replaced by `***`."""
    text = _WITHOUT_AT.sub(r"\1***", _BEFORE_AT.sub(r"\1\2:***@", text))
    return _URL.sub(lambda url: _IN_QUERY.sub(r"\1***", url[0]), text)
