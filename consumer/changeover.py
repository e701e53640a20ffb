"""By which way the frames come: through the broker, or by reference to what a hub of this host shares.

Pure. The queue is always bound to the hub's exchange; what is decided is whether to the stream's as well.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from common import units

# After so long without a frame it is worth a look whether the hub is still there.
LOOK_AFTER_S: Final = 0.1
# It says so ten times a second.
BEAT_TIMEOUT_NS: Final = 600_000_000
# A hub was there, and has not sent anything: perhaps it serves the clients of another broker.
_FIRST_TIMEOUT_NS: Final = 500_000_000


class Via(StrEnum):
    """Ways for frames to come."""

    AUTO = "auto"
    BROKER = "broker"
    HOST = "host"


via_value: Final = units.one_of(Via, " or ")
"""A way by its name."""


class Changeover:
    """Not thread-safe.

    Args:
        hub_there: whether a hub is at work on this host; only a hint.
    """

    def __init__(self, via: Via, *, hub_there: bool) -> None:
        self._via = via
        self._follows = via is Via.BROKER or (via is Via.AUTO and not hub_there)
        self._heard = False
        self._joined_ns: int | None = None

    @property
    def follows_stream(self) -> bool:
        """Whether the stream itself is to be received."""
        return self._follows

    @property
    def looks_for_hub(self) -> bool:
        """Whether either way may be taken."""
        return self._via is Via.AUTO

    def joined(self, now_ns: int) -> None:
        """The subscription stands, perhaps anew (monotonic time)."""
        self._joined_ns = now_ns

    def referred(self) -> bool:
        """A reference came that can be used. True if this changes `follows_stream`."""
        self._heard = True
        changed = self._follows and self._via is not Via.BROKER
        if changed:
            self._follows = False
        return changed

    def silence(self, now_ns: int, *, hub_alive: bool, beat_ns: int | None) -> bool:
        """Nothing came for `LOOK_AFTER_S`. True if this changes `follows_stream`.

        Args:
            now_ns: monotonic time.
            hub_alive: whether the process lives whose references came last.
            beat_ns: when it last said that it is at work (monotonic time); None if none ever came.
        """
        if self._follows or self._via is not Via.AUTO:
            return False
        if self._joined_ns is None:
            return False
        if not self._heard or beat_ns is None:
            lost = now_ns - self._joined_ns >= _FIRST_TIMEOUT_NS
        else:
            lost = not hub_alive or now_ns - beat_ns > BEAT_TIMEOUT_NS
        self._follows = lost
        return lost
