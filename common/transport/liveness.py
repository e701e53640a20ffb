"""When a connection counts as lost: the operating system's part of it, the same for every transport. Pure.

AMQP heartbeats of 10 s notice a dead network after 20 s and more. The kernel is quicker: it probes an idle
connection every second, and gives one up on which nothing was acknowledged for `SILENT_MS`.
"""

from __future__ import annotations

import errno
from typing import Final

SILENT_MS: Final = 2000
# By the names that both `socket` and pika's `tcp_options` know them by (tcp(7)).
TCP_OPTIONS: Final = {
    "TCP_USER_TIMEOUT": SILENT_MS,
    "TCP_KEEPIDLE": 1,
    "TCP_KEEPINTVL": 1,
    "TCP_KEEPCNT": 2,
}
# Where nothing answers the next attempt is made so soon: the kernel sends a SYN anew after 1 s, and takes
# longer each time. An attempt on a dead network burdens nobody.
ATTEMPT_S: Final = 2.0
PAUSE_S: Final = 0.2

_OUT: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ETIMEDOUT}
)


def network_is_out(error: BaseException) -> bool:
    """Whether this says that packets do not arrive; whoever refuses a connection is reached."""
    return isinstance(error, TimeoutError) or (isinstance(error, OSError) and error.errno in _OUT)
