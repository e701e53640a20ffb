"""When a client that is behind should get a keyframe to go on with. Pure."""

from __future__ import annotations

from typing import Final

ASK_EVERY_NS: Final = 500_000_000


class Behind:
    """Whoever stays behind needs a keyframe; a new client, which gets old frames first, does not."""

    def __init__(self) -> None:
        self._since_ns: int | None = None

    def needs_key(self, stale: bool, now_ns: int) -> bool:
        """True twice a second while what is next for it stays `stale`."""
        if not stale:
            self._since_ns = None
        elif self._since_ns is None:
            self._since_ns = now_ns
        elif now_ns - self._since_ns >= ASK_EVERY_NS:
            self._since_ns = now_ns
            return True
        return False
