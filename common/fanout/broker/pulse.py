"""Whether the node at the other end is still there, where heartbeats would take too long to tell.

A node that is suspended, or whose network is gone, keeps its connections open and says nothing. Heartbeats
notice after 15 to 30 s: 10 s is as often as is reasonable for a hundred viewers, and pika looks every 15 s.
With another node to go to, that is too long. So a link that has received nothing for half a second asks a
question that every node answers by itself, and after two seconds more without a byte it leaves.

Pure: it is shown how many bytes have been received, and says what to do.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

LOOK_S: Final = 0.5
# Looks, not seconds: a process that was suspended itself has missed the looks as well.
_DEAD_AFTER: Final = 5


class Verdict(Enum):
    """What to do."""

    NOTHING = auto()
    ASK = auto()
    LEAVE = auto()


class Pulse:
    """One connection. Not thread-safe."""

    def __init__(self) -> None:
        self._received_bytes = -1
        self._silent_looks = 0

    def look(self, received_bytes: int, *, excused: bool) -> Verdict:
        """To be called every `LOOK_S`.

        Args:
            received_bytes: in all, so far.
            excused: the node has said that it will not answer: an alarm keeps it from reading.
        """
        if excused or received_bytes != self._received_bytes:
            self._received_bytes = received_bytes
            self._silent_looks = 0
            return Verdict.NOTHING
        self._silent_looks += 1
        if self._silent_looks >= _DEAD_AFTER:
            return Verdict.LEAVE
        return Verdict.ASK if self._silent_looks == 1 else Verdict.NOTHING
