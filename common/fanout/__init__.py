"""How frames get from one producer to many consumers: one design per module, chosen by URL scheme."""

from __future__ import annotations

import secrets

from common.address import parse_url
from common.fanout.base import Publisher, PublisherEvents, Sharing, Subscriber, SubscriberEvents

__all__ = [
    "Publisher",
    "PublisherEvents",
    "Sharing",
    "Subscriber",
    "SubscriberEvents",
    "publisher",
    "sharing",
    "subscriber",
]


def publisher(url: str, *, stream: str, max_age_s: float, events: PublisherEvents) -> Publisher:
    """The publishing side of the design that `url` names; not yet started.

    Raises:
        ConfigError: the URL cannot be used.
    """
    address = parse_url(url)
    from common.fanout.broker.publisher import BrokerPublisher

    return BrokerPublisher(address, stream=stream, max_age_s=max_age_s, events=events)


def subscriber(
    url: str,
    *,
    stream: str,
    name: str,
    max_age_s: float,
    events: SubscriberEvents,
    share: str | None = None,
    follow: bool = True,
) -> Subscriber:
    """The receiving side of the design that `url` names; not yet started.

    Args:
        share: see `topology.share_exchange`: receive what a hub shares there; None if nothing is wanted.
        follow: receive the stream itself, from the beginning.

    Raises:
        ConfigError: the URL cannot be used.
    """
    address = parse_url(url)
    from common.fanout.broker.subscriber import BrokerSubscriber

    return BrokerSubscriber(
        address,
        stream=stream,
        name=name,
        suffix=secrets.token_hex(3),
        max_age_s=max_age_s,
        events=events,
        share=share,
        follow=follow,
    )


def sharing(url: str, *, stream: str, name: str, share: str) -> Sharing:
    """A hub's way to the consumers of its host; not yet started. Arguments: as of `subscriber`.

    Raises:
        ConfigError: the URL cannot be used.
    """
    address = parse_url(url)
    from common.fanout.broker.sharing import BrokerSharing

    return BrokerSharing(address, stream=stream, name=name, suffix=secrets.token_hex(3), share=share)
