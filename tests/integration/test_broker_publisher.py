"""A publisher alone, against a real broker: whether anybody watches, and what is not sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fanlight.common import transport
from fanlight.common.model.errors import BrokerRefused
from fanlight.common.transport.base import Publisher
from tests.support.fanout_events import Events, frame
from tests.support.roles import channel_of
from tests.support.timing import scaled, wait_until


@contextmanager
def publishing(url: str, stream: str, max_age_s: float = 10.0) -> Iterator[tuple[Publisher, Events]]:
    events = Events()
    publisher = transport.publisher(url, stream=stream, max_age_s=max_age_s, events=events)
    publisher.start()
    try:
        yield publisher, events
    finally:
        publisher.stop(2)


def test_it_knows_whether_a_queue_is_bound(broker_url: str, stream: str) -> None:
    with publishing(broker_url, stream) as (publisher, events), channel_of(broker_url) as channel:
        events.wait("connected")
        assert not publisher.wait_ready(0.3)
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, f"fanlight.{stream}")
        assert publisher.wait_ready(scaled(15))
        events.wait("keyframe needed")
        publisher.publish(frame(stream, 7))
        assert publisher.wait_ready(scaled(15)), "it is sent"
        for _, properties, body in channel.consume(queue, inactivity_timeout=scaled(15)):
            assert properties is not None
            if properties.content_type == "application/x-raw-bgr":
                assert (properties.headers["seq"], body) == (7, bytes(6))
                break
        channel.cancel()
        channel.queue_delete(queue)
        publisher.publish(frame(stream, 8))
        wait_until(lambda: not publisher.watched, 20, "the frame came back")


def test_what_grew_too_old_is_not_sent(broker_url: str, stream: str) -> None:
    with publishing(broker_url, stream) as (publisher, events), channel_of(broker_url) as channel:
        events.wait("connected")
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, f"fanlight.{stream}")
        assert publisher.wait_ready(scaled(15))
        publisher.publish(frame(stream, 1, age_s=10.1))
        events.wait("stale")
        assert publisher.wait_ready(scaled(15))


def test_an_exchange_that_is_deleted_is_declared_again(broker_url: str, stream: str) -> None:
    with publishing(broker_url, stream) as (publisher, events), channel_of(broker_url) as channel:
        events.wait("connected")
        channel.exchange_delete(f"fanlight.{stream}")
        events.wait("disconnected")
        events.wait("connected")
        channel.exchange_declare(f"fanlight.{stream}", passive=True)
        assert publisher.failure is None


def test_who_waits_for_it_returns_when_it_ends(broker_url: str, stream: str) -> None:
    with publishing(broker_url, stream) as (publisher, _):
        publisher.stop(2)
        assert not publisher.wait_ready(60)
        publisher.stop(2)
    with publishing(broker_url.replace(":fanlight@", ":wrong@"), stream) as (refused, _):
        assert not refused.wait_ready(60)
        assert isinstance(refused.failure, BrokerRefused)
        with pytest.raises(BrokerRefused, match="user name or password"):
            raise refused.failure
