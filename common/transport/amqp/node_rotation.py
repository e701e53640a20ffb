"""Which of a cluster's nodes to try next, after how long, how long to wait for it, and when to leave it.

Pure: time is an argument. Every link begins at a random host, so that viewers are distributed over the
nodes. A frame is sent between nodes once for each node with viewers, not once for each viewer, so that
connecting to the producer's own node would save little (rabbit_amqqueue:deliver sends to all queues of a
node together).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from fanlight.common.model.retry import backoff

Host = tuple[str, int]

# A node that is suspended, or whose packets are dropped, sends nothing. The timeout doubles with every
# round, so that a slow network is not mistaken for a dead cluster.
_FIRST_TIMEOUT_S: Final = 1.5
_TIMEOUT_S: Final = 5.0
# Another host is tried at once, but not by a hundred viewers in the same instant.
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
        """The connection to the current host is set up completely."""
        self._established_ns = now_ns
        self._failures = 0
        self._delays = backoff(self._rng)
        self._refused.clear()

    def failed(self, now_ns: int) -> float:
        """The current host was lost or not reached: returns the delay before the next one is tried.

        Almost no delay until each host has been tried once, then one that grows from round to round. The
        host that was lost is tried last.
        """
        brief = self._established_ns is not None and now_ns - self._established_ns < _BRIEF_NS
        self._established_ns = None
        self._failures += 1
        self._index = (self._index + 1) % len(self._hosts)
        if brief or self._failures % len(self._hosts) == 0:
            return next(self._delays)
        return self._rng.uniform(0, _SPREAD_S)

    def same_host_delay_s(self) -> float:
        """The delay after an error that is not one of the host, which is tried again."""
        return next(self._delays)

    def refused(self) -> bool:
        """The current host refused the connection. True if that is final: all others have refused, too."""
        self._refused.add(self.current)
        return len(self._refused) == len(set(self._hosts))


class NodeLiveness:
    """Detects that the node at the other end of one connection does not answer. Not thread-safe.

    A suspended node keeps its connections, and its kernel acknowledges what arrives. Heartbeats detect it
    after 15 to 30 s: too late where another node is available.
    """

    def __init__(self) -> None:
        self._received_bytes = -1
        self._unanswered = 0

    @property
    def dead(self) -> bool:
        """Whether a request was not answered within 2 s."""
        return self._unanswered >= _DEAD_AFTER

    def ask(self, received_bytes: int, *, excused: bool) -> bool:
        """To be called every `PROBE_S`. Returns whether to send a request that a working node answers.

        Args:
            received_bytes: total number of bytes received so far.
            excused: the node has an alarm and has announced that it reads nothing.
        """
        alive = excused or received_bytes != self._received_bytes
        self._received_bytes = received_bytes
        self._unanswered = 0 if alive else self._unanswered + 1
        return self._unanswered == 1
