"""Socket options by which the kernel detects a dead connection, common to all transports. Pure.

AMQP heartbeats of 10 s detect a dead network after 20 s or more. The kernel probes an idle connection every
second, and closes one on which nothing was acknowledged for `SILENT_MS`.
"""

from __future__ import annotations

import errno
from typing import Final

SILENT_MS: Final = 2000
# By the names in `socket`, which pika's `tcp_options` uses too (tcp(7)).
TCP_OPTIONS: Final = {
    "TCP_USER_TIMEOUT": SILENT_MS,
    "TCP_KEEPIDLE": 1,
    "TCP_KEEPINTVL": 1,
    "TCP_KEEPCNT": 2,
}
# Limits of an attempt to connect and of the pause after it, while the network is down. Short, since the
# kernel repeats a SYN after 1 s and then ever more slowly; attempts on a dead network cause no load.
ATTEMPT_S: Final = 2.0
PAUSE_S: Final = 0.2

_OUT: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ETIMEDOUT}
)


def network_is_out(error: BaseException) -> bool:
    """Whether the error means that packets do not arrive. A refused connection does not."""
    return isinstance(error, TimeoutError) or (isinstance(error, OSError) and error.errno in _OUT)
