"""Transports from one producer to many consumers: RabbitMQ or plain TCP, selected by the URL's scheme."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fanlight.common.model.address import Address, BrokerAddress, Design
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.credentials import Credentials
from fanlight.common.model.errors import ConfigError, FanlightError
from fanlight.common.model.frame import LARGEST, Limits
from fanlight.common.transport.base import (
    MAX_CLIENTS,
    DirectorySubscriber,
    IntraPublisher,
    PoolSubscriber,
    Publisher,
    PublisherEvents,
    ResultsPublisher,
    ResultsSubscriber,
    Subscriber,
    SubscriberEvents,
)

if TYPE_CHECKING:
    from fanlight.common.model.result import Result

__all__ = [
    "DirectorySubscriber",
    "IntraPublisher",
    "PoolSubscriber",
    "Publisher",
    "PublisherEvents",
    "ResultsPublisher",
    "ResultsSubscriber",
    "Subscriber",
    "SubscriberEvents",
    "directory",
    "pool_subscriber",
    "publisher",
    "results",
    "results_publisher",
    "subscriber",
]

_NO_CREDENTIALS: Final = Credentials()


def publisher(
    url: str,
    credentials: Credentials = _NO_CREDENTIALS,
    *,
    stream: str,
    max_age_s: float,
    events: PublisherEvents,
    max_clients: int = MAX_CLIENTS,
    payload_frames: int = 1,
    intra_only: bool = True,
) -> Publisher:
    """Make the publisher for `url`, not yet started.

    Args:
        credentials: added to the URL.
        max_clients: without a broker only: further ones are refused.
        payload_frames: with `tcp+threads` only: how many frames are sent together.
        intra_only: whether every frame stands alone. If not, there is a branch for pools.

    Raises:
        ConfigError: the URL or the credentials cannot be used.
    """
    address = credentials.address(url)
    if isinstance(address, BrokerAddress):
        from fanlight.common.transport.amqp.publisher import BrokerPublisher

        return BrokerPublisher(
            address, stream=stream, max_age_s=max_age_s, events=events, intra_only=intra_only
        )
    if address.design is Design.THREADS:
        from fanlight.common.transport.tcp.threads import ThreadsPublisher

        return ThreadsPublisher(
            address,
            stream=stream,
            max_age_s=max_age_s,
            events=events,
            max_clients=max_clients,
            payload_frames=payload_frames,
        )
    from fanlight.common.transport.tcp.multiplex import MultiplexPublisher

    return MultiplexPublisher(
        address, stream=stream, max_age_s=max_age_s, events=events, max_clients=max_clients
    )


def subscriber(
    url: str,
    credentials: Credentials = _NO_CREDENTIALS,
    *,
    stream: str,
    name: str,
    max_age_s: float,
    events: SubscriberEvents,
    follow: bool = True,
    trust: tuple[str, ...] = (),
    limits: Limits = LARGEST,
    until_end: bool = False,
) -> Subscriber:
    """Make the subscriber for `url`, not yet started.

    Args:
        credentials: added to the URL.
        follow: whether to receive the stream from the start.
        trust: users whose frames are accepted; empty for all. With a broker only.
        limits: largest accepted picture and body.
        until_end: whether the end of the stream must not be missed, as by a process that stands still.

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
        until_end=until_end,
    )


def pool_subscriber(
    url: str,
    credentials: Credentials = _NO_CREDENTIALS,
    *,
    stream: str,
    pool: str,
    name: str,
    max_age_s: float,
    events: SubscriberEvents,
    trust: tuple[str, ...] = (),
    limits: Limits = LARGEST,
    until_end: bool = False,
) -> PoolSubscriber:
    """Make a member of a pool, not yet started; the other arguments are those of `subscriber`.

    Args:
        until_end: whether it has to learn that the stream has ended, which takes a connection.

    Raises:
        ConfigError: the URL or the credentials cannot be used.
    """
    address = credentials.address(url)
    if not isinstance(address, BrokerAddress):
        raise ConfigError("--pool", pool, "only a broker has pools: see --url")
    from fanlight.common.transport.amqp.pool_subscriber import BrokerPoolSubscriber

    return BrokerPoolSubscriber(
        address,
        stream=stream,
        pool=pool,
        name=name,
        max_age_s=max_age_s,
        events=events,
        trust=trust,
        limits=limits,
        until_end=until_end,
    )


def directory(
    url: str,
    credentials: Credentials = _NO_CREDENTIALS,
    *,
    name: str = "list",
    on_change: Callable[[tuple[Announcement, ...]], None],
    on_failed: Callable[[FanlightError], None],
    trust: tuple[str, ...] = (),
) -> DirectorySubscriber:
    """Make the subscriber of the directory of streams, not yet started.

    Args:
        credentials: added to the URL.
        name: shown to operators.
        on_change: given the live streams, sorted by name; see `DirectorySubscriber`.
        on_failed: called once, in its thread, if no further attempt is made.
        trust: users whose announcements are accepted; empty for all. With a broker only.

    Raises:
        ConfigError: the URL or the credentials cannot be used.
    """
    address = credentials.address(url)
    if not isinstance(address, BrokerAddress):
        from fanlight.common.transport.tcp.directory import TcpDirectory

        return TcpDirectory(address, name=name, on_change=on_change, on_failed=on_failed)
    from fanlight.common.transport.amqp.directory import BrokerDirectory

    return BrokerDirectory(address, name=name, trust=trust, on_change=on_change, on_failed=on_failed)


def results(
    url: str,
    credentials: Credentials = _NO_CREDENTIALS,
    *,
    stream: str,
    name: str = "results",
    on_result: Callable[[Result], None],
    on_failed: Callable[[FanlightError], None],
    trust: tuple[str, ...] = (),
) -> ResultsSubscriber:
    """Make the subscriber of what detectors find in a stream, not yet started.

    Args:
        credentials: added to the URL.
        name: shown to operators.
        on_result: called in its thread with each result, of any detector and in any order; must return
            at once.
        on_failed: called once, in its thread, if no further attempt is made.
        trust: users whose results are accepted; empty for all.

    Raises:
        ConfigError: the URL or the credentials cannot be used, or there is no broker.
    """
    address = _broker(credentials.address(url))
    from fanlight.common.transport.amqp.results import BrokerResultsSubscriber

    return BrokerResultsSubscriber(
        address, stream=stream, name=name, trust=trust, on_result=on_result, on_failed=on_failed
    )


def results_publisher(
    url: str, credentials: Credentials = _NO_CREDENTIALS, *, stream: str, name: str
) -> ResultsPublisher:
    """Make the publisher of a detector's results, not yet started.

    Args:
        credentials: added to the URL.
        name: of the detector.

    Raises:
        ConfigError: the URL or the credentials cannot be used, or there is no broker.
    """
    address = _broker(credentials.address(url))
    from fanlight.common.transport.amqp.results import BrokerResultsPublisher

    return BrokerResultsPublisher(address, stream=stream, name=name)


def _broker(address: Address) -> BrokerAddress:
    if not isinstance(address, BrokerAddress):
        raise ConfigError("--url", str(address), "results need a broker: allowed is amqp:// or amqps://")
    return address
