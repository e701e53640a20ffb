"""The cookie that stands for a login: a random number, signed with a key that is made of the token. Pure.

Whoever holds it may watch until it expires, logs out, or the token is replaced. It survives a restart of
the gateway: a screen on a wall has nobody who types.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

SESSION_S: Final = 30 * 24 * 3600
_KEY_OF: Final = b"fanlight 1 web session"
# Logged out before they expired.
_MOST_ENDED: Final = 4096


class Sessions:
    """Signs sessions, and checks them in constant time. Only those that were logged out are stored."""

    def __init__(self, token: str) -> None:
        # A key of its own, so that a session can never be taken for the proof of another protocol.
        self._key = hmac.digest(token.encode(), _KEY_OF, hashlib.sha256)
        self._ended: dict[str, None] = {}

    def begin(self, now_s: int) -> str:
        """A new session, as the value of a cookie.

        Args:
            now_s: Unix time; here and below.
        """
        text = f"{now_s + SESSION_S}.{secrets.token_hex(16)}"
        return f"{text}.{self._signature(text)}"

    def valid(self, session: str, now_s: int) -> bool:
        """Whether this gateway, or one with the same token, has begun it, and it has not ended."""
        text, _, signature = session.rpartition(".")
        # First of all, so that everything else about it is ours.
        if not hmac.compare_digest(self._signature(text).encode(), signature.encode(errors="replace")):
            return False
        return now_s < int(text.partition(".")[0]) and session not in self._ended

    def end(self, session: str, now_s: int) -> None:
        """Log out. An invalid session is ignored."""
        if self.valid(session, now_s):
            if len(self._ended) >= _MOST_ENDED:
                del self._ended[next(iter(self._ended))]
            self._ended[session] = None

    def _signature(self, text: str) -> str:
        return hmac.new(self._key, text.encode(errors="replace"), hashlib.sha256).hexdigest()
