"""Names of exchanges and queues, the arguments that keep a queue fresh, the properties of messages.

Length and age limits count ready messages only, so they do nothing under automatic acknowledgement or
without a prefetch limit (rabbitmq-website, docs/maxlength): the subscriber uses neither.
"""

from __future__ import annotations

import math
import secrets
from typing import TYPE_CHECKING, Final

from pika import BasicProperties

from fanlight.common.model import control
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.bye import Bye
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import APP_ID, PROBE_CONTENT_TYPE, FrameHeader, Limits

if TYPE_CHECKING:
    from fanlight.common.model.result import Result

CONTROL_EXCHANGE: Final = "fanlight.control"
# Fanout: what is live.
STREAMS_EXCHANGE: Final = "fanlight.streams"
# A queue that the broker names: permissions for such names give no right to declare or bind an exchange, as
# those for names of one's own choice would.
SERVER_NAMED: Final = ""
# RabbitMQ's pseudo-queue for answers to the asking channel (docs/direct-reply-to).
DIRECT_REPLY: Final = "amq.rabbitmq.reply-to"
TRANSIENT: Final = 1

# Messages in flight to one consumer. They are beyond the queue's limits, so this bounds what a stopped
# consumer finds on its return; acknowledging several at once needs a few.
PREFETCH: Final = 8
ACK_EVERY: Final = 4

# The rate that the length limit is sized for; the age limit does the rest.
_HIGHEST_USUAL_FPS: Final = 60
_END_TTL_S: Final = 60.0


def exchange(stream: str) -> str:
    """The fanout exchange of a stream."""
    return f"fanlight.{stream}"


def intra_exchange(stream: str) -> str:
    """The fanout exchange of the pictures that stand alone, of a stream whose frames do not: for pools."""
    return f"fanlight.{stream}.intra"


def pool_queue(stream: str, pool: str) -> str:
    """The queue that the members of a pool share."""
    return f"fanlight.{stream}.pool.{pool}"


def results_exchange(stream: str) -> str:
    """The fanout exchange of what detectors found in a stream."""
    return f"fanlight.{stream}.results"


def new_suffix() -> str:
    """Makes the name of a producer's queue unique.

    A new one for each connection: after a loss of the network the broker considers the previous connection
    alive for up to half a minute, and keeps its exclusive queue locked.
    """
    return secrets.token_hex(3)


def consumer_tag(stream: str, name: str) -> str:
    """Names a consumer in RabbitMQ's console, where its queue has a name that the broker generated."""
    return f"fanlight.{stream}.{name}"


def control_queue(stream: str, suffix: str) -> str:
    """The producer's own queue for what consumers ask and report."""
    return f"{CONTROL_EXCHANGE}.{stream}.{suffix}"


def freshness_arguments(max_age_s: float, *, until_end: bool = False) -> dict[str, object]:
    """Queue arguments with which the broker drops frames that are too old to be presented, oldest first.

    Args:
        until_end: the end of the stream, which nothing follows, is kept for a consumer that stands still
            for a while. As many frames are kept with it as otherwise; they are dropped when they arrive.
    """
    ttl_s = max(max_age_s, _END_TTL_S) if until_end else max_age_s
    return {
        "x-max-length": max(1, math.ceil(max_age_s * _HIGHEST_USUAL_FPS)),
        "x-message-ttl": max(1, math.ceil(ttl_s * 1000)),
        "x-overflow": "drop-head",
    }


def pool_arguments(max_age_s: float) -> dict[str, object]:
    """Arguments of the queue of a pool: the newest frame waits for the next idle member, and no other.

    It is deleted with its last consumer, or after a minute if it never had one.
    """
    return freshness_arguments(max_age_s) | {"x-max-length": 1, "x-expires": 60_000}


def frame_properties(header: FrameHeader, user: str) -> BasicProperties:
    """Properties of a message that holds a frame."""
    return BasicProperties(
        content_type=header.codec.content_type,
        headers=header.to_amqp(),
        delivery_mode=TRANSIENT,
        timestamp=header.capture_ns // 1_000_000_000,
        user_id=user,
        app_id=APP_ID,
    )


def frame_header(
    properties: BasicProperties, body_size: int, *, stream: str, trust: frozenset[str], limits: Limits
) -> FrameHeader:
    """The header of a message that holds a frame of the stream.

    Args:
        trust: users whose frames are accepted, as the broker verifies them; empty for everybody's.

    Raises:
        WireFormatError: not a frame, or one of another user or stream.
    """
    header = FrameHeader.from_amqp(
        properties.headers,
        content_type=properties.content_type,
        app_id=properties.app_id,
        body_size=body_size,
        limits=limits,
    )
    check_user(properties, trust)
    if header.stream != stream:
        raise WireFormatError("stream", header.stream, repr(stream))
    return header


def bye_properties(bye: Bye, user: str) -> BasicProperties:
    """Properties of the empty message that ends a stream: to readers that do not know it, a probe."""
    return BasicProperties(
        content_type=PROBE_CONTENT_TYPE,
        type=Bye.TYPE,
        headers=bye.to_amqp(),
        delivery_mode=TRANSIENT,
        user_id=user,
        app_id=APP_ID,
    )


def read_bye(properties: BasicProperties, *, stream: str, trust: frozenset[str]) -> Bye:
    """The end of a stream; `trust` as above. Raises WireFormatError."""
    bye = Bye.from_amqp(properties.headers, app_id=properties.app_id)
    check_user(properties, trust)
    if bye.stream != stream:
        raise WireFormatError("stream", bye.stream, repr(stream))
    return bye


def check_user(properties: BasicProperties, trust: frozenset[str]) -> None:
    """Raises WireFormatError: somebody else has sent it."""
    if trust and properties.user_id not in trust:
        raise WireFormatError("user_id", properties.user_id, f"--trust, which is {','.join(sorted(trust))}")


def announcement(properties: BasicProperties, body: bytes, *, trust: frozenset[str]) -> Announcement:
    """Parse a message of `fanlight.streams`; `trust` as above. Raises WireFormatError."""
    if properties.type != Announcement.TYPE:
        raise WireFormatError("type", properties.type, repr(Announcement.TYPE))
    check_user(properties, trust)
    return Announcement.from_json(body)


def control_properties(
    message: control.ControlMessage | Announcement | type[Result],
    user: str,
    *,
    reply_to: str | None = None,
) -> BasicProperties:
    """Properties of a control message, an announcement, or any result."""
    return BasicProperties(
        content_type=control.CONTENT_TYPE,
        type=message.TYPE,
        app_id=APP_ID,
        user_id=user,
        delivery_mode=TRANSIENT,
        reply_to=reply_to,
    )
