"""How frames get from one producer to many consumers: one design per module, chosen by URL scheme."""

from __future__ import annotations

import secrets

from common.address import parse_url
from common.fanout.base import Publisher, PublisherEvents, Subscriber, SubscriberEvents

__all__ = ["Publisher", "PublisherEvents", "Subscriber", "SubscriberEvents", "publisher", "subscriber"]


def publisher(url: str, *, stream: str, max_age_s: float, events: PublisherEvents) -> Publisher:
    """The publishing side of the design that `url` names; not yet started.

    Raises:
        ConfigError: the URL cannot be used.
    """
    address = parse_url(url)
    from common.fanout.broker.publisher import BrokerPublisher

    return BrokerPublisher(address, stream=stream, max_age_s=max_age_s, events=events)


def subscriber(
    url: str, *, stream: str, name: str, max_age_s: float, events: SubscriberEvents
) -> Subscriber:
    """The receiving side of the design that `url` names; not yet started.

    Raises:
        ConfigError: the URL cannot be used.
    """
    address = parse_url(url)
    from common.fanout.broker.subscriber import BrokerSubscriber

    return BrokerSubscriber(
        address, stream=stream, name=name, suffix=secrets.token_hex(3), max_age_s=max_age_s, events=events
    )
