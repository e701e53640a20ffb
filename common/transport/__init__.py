"""How frames get from one producer to many consumers: one design per module, chosen by URL scheme."""

from __future__ import annotations

from typing import Final

from fanlight.common.model.address import BrokerAddress, Design
from fanlight.common.model.credentials import Credentials
from fanlight.common.model.frame import LARGEST, Limits
from fanlight.common.transport.base import Publisher, PublisherEvents, Subscriber, SubscriberEvents

__all__ = [
    "Publisher",
    "PublisherEvents",
    "Subscriber",
    "SubscriberEvents",
    "publisher",
    "subscriber",
]

NOTHING: Final = Credentials()


def publisher(
    url: str,
    credentials: Credentials = NOTHING,
    *,
    stream: str,
    max_age_s: float,
    events: PublisherEvents,
    payload_frames: int = 1,
) -> Publisher:
    """The publishing side of the design that `url` names; not yet started.

    Args:
        credentials: added to the URL.
        payload_frames: of the threads design: how many frames are sent as one.

    Raises:
        ConfigError: the URL or the credentials cannot be used.
    """
    address = credentials.address(url)
    if isinstance(address, BrokerAddress):
        from fanlight.common.transport.amqp.publisher import BrokerPublisher

        return BrokerPublisher(address, stream=stream, max_age_s=max_age_s, events=events)
    if address.design is Design.THREADS:
        from fanlight.common.transport.tcp.threads import ThreadsPublisher

        return ThreadsPublisher(
            address, stream=stream, max_age_s=max_age_s, events=events, payload_frames=payload_frames
        )
    from fanlight.common.transport.tcp.multiplex import MultiplexPublisher

    return MultiplexPublisher(address, stream=stream, max_age_s=max_age_s, events=events)


def subscriber(
    url: str,
    credentials: Credentials = NOTHING,
    *,
    stream: str,
    name: str,
    max_age_s: float,
    events: SubscriberEvents,
    follow: bool = True,
    trust: tuple[str, ...] = (),
    limits: Limits = LARGEST,
) -> Subscriber:
    """The receiving side of the design that `url` names; not yet started.

    Args:
        credentials: added to the URL.
        follow: receive the stream itself, from the beginning.
        trust: the users whose frames are taken; empty for everybody's. With a broker only.
        limits: of pictures and bodies; what is larger is refused.

    Raises:
        ConfigError: the URL or the credentials cannot be used.
    """
    address = credentials.address(url)
    if not isinstance(address, BrokerAddress):
        from fanlight.common.transport.tcp.subscriber import TcpSubscriber

        return TcpSubscriber(address, stream=stream, name=name, events=events, follow=follow, limits=limits)
    from fanlight.common.transport.amqp.subscriber import BrokerSubscriber

    return BrokerSubscriber(
        address,
        stream=stream,
        name=name,
        max_age_s=max_age_s,
        events=events,
        follow=follow,
        trust=trust,
        limits=limits,
    )
