"""Names of exchanges and queues, and the arguments that keep a queue fresh.

Length and age limits count ready messages only, so they do nothing under automatic acknowledgement or
without a prefetch limit (rabbitmq-website, docs/maxlength): the subscriber uses neither.
"""

from __future__ import annotations

import math
from typing import Final

CONTROL_EXCHANGE: Final = "fanlight.control"

# Messages in flight to one consumer. They are beyond the queue's limits, so this bounds what a stopped
# consumer finds on its return; acknowledging several at once needs a few.
PREFETCH: Final = 8
ACK_EVERY: Final = 4

# The rate that the length limit is sized for; the age limit does the rest.
_HIGHEST_USUAL_FPS: Final = 60


def exchange(stream: str) -> str:
    """The fanout exchange of a stream."""
    return f"fanlight.{stream}"


def consumer_queue(stream: str, name: str, suffix: str) -> str:
    """One consumer's own queue, readable for operators in RabbitMQ's console."""
    return f"fanlight.{stream}.{name}.{suffix}"


def control_queue(stream: str, suffix: str) -> str:
    """The producer's own queue for what consumers ask and report."""
    return f"{CONTROL_EXCHANGE}.{stream}.{suffix}"


def freshness_arguments(max_age_s: float) -> dict[str, object]:
    """Queue arguments that let the broker drop what nobody may present any more, oldest first."""
    return {
        "x-max-length": max(1, math.ceil(max_age_s * _HIGHEST_USUAL_FPS)),
        "x-message-ttl": max(1, math.ceil(max_age_s * 1000)),
        "x-overflow": "drop-head",
    }
