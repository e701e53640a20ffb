"""Which of a cluster's nodes to try next, after how long, how long to wait for it, and when to leave it.

Pure: time comes in, decisions go out. Every link begins at a host drawn at random, so that a load of
viewers spreads over the nodes. A frame crosses from node to node once for each node that has viewers, not
once for each viewer, so that sitting on the producer's own node would save little (rabbit_amqqueue:deliver
sends to the queues of a node together).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from fanlight.common.model.retry import backoff

Host = tuple[str, int]

# A node that is suspended, or whose packets are dropped, says nothing at all. The wait doubles with every
# round, so that a slow network is not taken for a dead cluster.
_FIRST_TIMEOUT_S: Final = 1.5
_TIMEOUT_S: Final = 5.0
# Another host is asked at once, but not by a hundred viewers in the same instant.
_SPREAD_S: Final = 0.05
# A connection that lasted for less counts as none: without a delay, a host that accepts every connection
# and closes it again would keep its clients busy.
_BRIEF_NS: Final = 1_000_000_000
PROBE_S: Final = 0.5
# Probes, not seconds: a process that was suspended itself has missed the probes as well.
_DEAD_AFTER: Final = 5


class HostRotation:
    """Not thread-safe.

    Args:
        hosts: (host, port) of every node; their order means nothing.
    """

    def __init__(self, hosts: tuple[Host, ...], rng: random.Random) -> None:
        self._rng = rng
        self._hosts = rng.sample(hosts, len(hosts))
        self._index = 0
        self._failures = 0
        self._delays: Iterator[float] = backoff(rng)
        self._established_ns: int | None = None
        self._refused: set[Host] = set()

    @property
    def current(self) -> Host:
        """The host to connect to, or that is connected to."""
        return self._hosts[self._index]

    @property
    def several(self) -> bool:
        """Whether there is another one."""
        return len(self._hosts) > 1

    @property
    def timeout_s(self) -> float:
        """How long the current host may take until all is established."""
        if not self.several:
            return _TIMEOUT_S
        rounds = self._failures // len(self._hosts)
        return min(_FIRST_TIMEOUT_S * 2.0 ** min(rounds, 8), _TIMEOUT_S)

    def established(self, now_ns: int) -> None:
        """The current host has done all that was asked of it."""
        self._established_ns = now_ns
        self._failures = 0
        self._delays = backoff(self._rng)
        self._refused.clear()

    def failed(self, now_ns: int) -> float:
        """The current host is lost, or could not be had: returns the delay before the next one is tried.

        No delay to speak of until each has been tried once, then a growing one from round to round. The one
        that was lost comes last.
        """
        brief = self._established_ns is not None and now_ns - self._established_ns < _BRIEF_NS
        self._established_ns = None
        self._failures += 1
        self._index = (self._index + 1) % len(self._hosts)
        if brief or self._failures % len(self._hosts) == 0:
            return next(self._delays)
        return self._rng.uniform(0, _SPREAD_S)

    def same_host_delay_s(self) -> float:
        """Something else went wrong, and the same host will do: the delay before it is tried again."""
        return next(self._delays)

    def refused(self) -> bool:
        """The current host refused us. True if that is final: all others have refused us too."""
        self._refused.add(self.current)
        return len(self._refused) == len(set(self._hosts))


class NodeLiveness:
    """Whether the node at the other end still answers. One connection; not thread-safe.

    A node that is suspended keeps its connections, and its kernel acknowledges what it gets. Heartbeats
    notice after 15 to 30 s: too long where there is another node to go to.
    """

    def __init__(self) -> None:
        self._received_bytes = -1
        self._unanswered = 0

    @property
    def dead(self) -> bool:
        """Whether it has not answered what it was asked 2 s ago."""
        return self._unanswered >= _DEAD_AFTER

    def ask(self, received_bytes: int, *, excused: bool) -> bool:
        """To be called every `PROBE_S`. Returns whether to ask something that every node answers by itself.

        Args:
            received_bytes: in all, so far.
            excused: the node has said that it will not answer: an alarm keeps it from reading.
        """
        heard = excused or received_bytes != self._received_bytes
        self._received_bytes = received_bytes
        self._unanswered = 0 if heard else self._unanswered + 1
        return self._unanswered == 1
