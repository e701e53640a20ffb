"""Tells a network that has fallen silent from a peer that has nothing to say, or no time. Pure.

Heartbeats of 10 s notice it after 20 s and more. TCP_USER_TIMEOUT would be sooner, but ends a connection to
a peer that does not read for a while (a broker that is suspended or short of memory) as well, though its
system answers for it. So does nothing here: what counts is that even the systems do not answer each other.
"""

from __future__ import annotations

import errno
from enum import Enum, auto
from typing import Final

from common.fanout.tcp_info import TcpInfo

CHECK_EVERY_S: Final = 0.5
# After a blackout TCP sends again at 0.2, 0.6, 1.4, 3.0, 6.2 s from its beginning: whoever gives up now
# and connects anew, once a second, is sooner on its feet than whoever waits for the next of these.
SILENT_S: Final = 1.5
# A packet may get lost, and its repetition.
_FRUITLESS: Final = 2
# After a silence, or where nothing answers, the next attempt is made so soon: a system sends a SYN anew
# after 1 s, and may take longer from then on. A line that is out is burdened by nobody.
ATTEMPT_S: Final = 2.0
PAUSE_S: Final = 0.2
_QUIET_MS: Final = 1000
# An answer may be as old as what it answers, and the system's clock ticks in up to 10 ms.
_TICK_MS: Final = 20

_OUT: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ETIMEDOUT}
)
SAYS: Final = "the network is silent: nothing is acknowledged"


class NetworkSilent(OSError):
    """A connection was given up."""

    def __init__(self) -> None:
        super().__init__(errno.ETIMEDOUT, SAYS)


def line_is_out(error: BaseException) -> bool:
    """Whether this says that packets do not arrive; whoever refuses is reached."""
    return isinstance(error, TimeoutError) or (isinstance(error, OSError) and error.errno in _OUT)


class Verdict(Enum):
    """What to do."""

    FINE = auto()
    ASK = auto()
    """Nothing has come for a while, and nothing is due: send something to be acknowledged."""
    DEAD = auto()
    """Nothing has come for long, though there was something to answer."""


class Silence:
    """Of one connection; to be asked every `CHECK_EVERY_S`."""

    def __init__(self) -> None:
        self._checked_s: float | None = None
        self._waits_since_s: float | None = None

    def check(self, info: TcpInfo | None, now_s: float) -> Verdict:
        """`now_s` is monotonic."""
        before_s, self._checked_s = self._checked_s, now_s
        if info is None:
            return Verdict.FINE
        if not _unanswered(info):
            self._waits_since_s = None
            quiet = info.heard_ms >= _QUIET_MS and not info.unacked and not info.probes
            return Verdict.ASK if quiet else Verdict.FINE
        # It was sent after the last look, or after what came last; when exactly, nobody knows.
        since_s = before_s if self._waits_since_s is None else self._waits_since_s
        heard_s = now_s - info.heard_ms / 1000
        self._waits_since_s = heard_s if since_s is None else max(since_s, heard_s)
        tried = max(info.retransmits, info.probes)
        dead = tried >= _FRUITLESS and now_s - self._waits_since_s >= SILENT_S
        return Verdict.DEAD if dead else Verdict.FINE


def _unanswered(info: TcpInfo) -> bool:
    if info.probes:  # counted from the last answer on
        return True
    # A peer that has no room acknowledges nothing, but answers.
    return info.unacked > 0 and info.heard_ms > info.sent_ms + _TICK_MS
