"""The directory with an operator, a user who may not announce, and one who announces anything."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final

import psutil
import pytest
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel

from fanlight.common.model.announcement import MOST_STREAMS
from fanlight.common.transport.amqp import announcer
from fanlight.consumer import Consumer
from scripts.private_node import VHOST, PrivateNode
from tests.support.directory import Listing
from tests.support.doctor import examine, problems
from tests.support.marked_stream import Marking, Watcher
from tests.support.raw_headers import Raw, RawProperties
from tests.support.roles import as_user, channel_of
from tests.support.timing import scaled, wait_until

EXCHANGE: Final = "fanlight.streams"
PROPERTIES: Final = BasicProperties(type="announcement", user_id="producer")


def test_an_exchange_that_an_operator_deletes_is_declared_again(node: PrivateNode, stream: str) -> None:
    with Listing(node.url) as listing, Marking(node.url, stream):
        listing.wait_for(stream)
        with channel_of(node.url) as operator:
            operator.exchange_delete(EXCHANGE)
        # News: what was heard before is still listed.
        with Watcher(Consumer(stream, "w", url=node.url, via="broker"), exact=False):
            wait_until(lambda: listing.watched(stream), 15, "it is listed as watched")


def test_a_broker_that_was_killed_is_listed_again(node: PrivateNode, stream: str) -> None:
    with Listing(node.url) as listing, Marking(node.url, stream) as marking:
        listing.wait_for(stream)
        node.kill()
        listing.wait_gone(stream)
        node.restart(timeout_s=scaled(60), empty=True)
        assert listing.wait_for(stream, 20).epoch == marking.producer.epoch


def test_who_may_not_announce_publishes_all_the_same_and_is_told(
    node: PrivateNode, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(announcer, "_REFUSED_S", 0.1)
    stream = f"plain-{secrets.token_hex(3)}"
    node.ctl("add_user", "plain", "plain")
    allow(node, r"^fanlight\.(control|plain-)")
    with (
        Listing(node.url) as listing,
        Marking(as_user(node.url, "plain"), stream) as marking,
        Watcher(Consumer(stream, "w", url=node.url, via="broker")) as watcher,
    ):
        wait_until(lambda: said(caplog), 15, "it says so")
        code, found = examine(
            "producer", "--doctor", "--url", as_user(node.url, "plain"), "--stream", stream
        )
        (checked,) = [text for check, (_, text) in found.items() if " at " in check]
        assert (code, problems(found)) == (0, {})
        assert "may publish, but not announce" in checked
        wait_until(lambda: watcher.last, 15, "the stream is on")
        assert stream not in listing.streams
        assert "appears in no list of streams" in said(caplog)[0]
        assert "fanlight.streams" in said(caplog)[0]
        assert "rabbitmqctl set_permissions" in said(caplog)[0]
        count = len(watcher.seen)
        allow(node, r"^fanlight\.(control|plain-|streams$)")
        listing.wait_for(stream, 20)
        wait_until(lambda: len(watcher.seen) > count + 10, 20, "the stream goes on")
        assert len(said(caplog)) == 1, "once, although it was refused again and again"
        assert marking.producer.failure is None
        assert watcher.consumer.stats().reconnects == 0
    assert not watcher.faults()


def allow(node: PrivateNode, pattern: str) -> None:
    """What `plain` may declare, write and read."""
    node.ctl("set_permissions", "-p", VHOST, "plain", pattern, f"{pattern}|^amq", r"^fanlight\.control")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == announcer.__name__]


@pytest.fixture
def liar(node: PrivateNode) -> Iterator[BlockingChannel]:
    """A channel of somebody who knows the producers' password."""
    with channel_of(as_user(node.url, "producer")) as channel:
        yield channel


def test_what_is_no_announcement_is_refused_and_the_list_goes_on(
    node: PrivateNode, stream: str, liar: BlockingChannel
) -> None:
    viewer = as_user(node.url, "viewer")
    with Listing(viewer) as listing, Marking(node.url, stream):
        real = listing.wait_for(stream)
        table = json.loads(real.to_json())
        bodies = [b"", b"{}", b"\xff" * 100, b"[" * 4000, bytes(2**20)]
        bodies += [json.dumps(table | wrong).encode() for wrong in ({"stream": "<img>"}, {"fps": -1})]
        for body in bodies:
            liar.basic_publish(EXCHANGE, "", body, PROPERTIES)
        liar.basic_publish(EXCHANGE, "", real.to_json(), BasicProperties(type="other"))
        crash = RawProperties({"x": Raw(b"T" + b"\xff" * 8)})  # a table that pika cannot parse
        liar.basic_publish(EXCHANGE, "", b"{}", crash)
        wait_until(lambda: listing.directory.refused >= len(bodies) + 2, 20, "all are counted")
        with Watcher(Consumer(stream, "w", url=viewer, via="broker"), exact=False):
            wait_until(lambda: listing.watched(stream), 20, "the list goes on")
        assert not {"<img>", ""} & set(listing.streams)


def test_a_flood_of_streams_is_bounded_and_those_before_it_stay(
    node: PrivateNode, stream: str, liar: BlockingChannel
) -> None:
    viewer = as_user(node.url, "viewer")
    with Listing(viewer) as listing, Marking(node.url, stream):
        real = listing.wait_for(stream)
        before, changes = psutil.Process().memory_info().rss, listing.changes
        lies = [replace(real, stream=f"lie-{n}", epoch=n).to_json() for n in range(MOST_STREAMS + 100)]
        sent = 0
        while not listing.directory.refused:
            assert sent < 10 * len(lies), "it is never full"
            for lie in lies:
                liar.basic_publish(EXCHANGE, "", lie, PROPERTIES)
            sent += len(lies)
            with suppress(AssertionError):  # the queue drops what is not read in time
                wait_until(lambda: listing.directory.refused, 2)
        assert len(listing.streams) <= MOST_STREAMS
        assert stream in listing.streams
        assert listing.changes - changes < sent / 10, "not told of each"
        assert psutil.Process().memory_info().rss - before < 16 * 2**20
        wait_until(lambda: not any(name.startswith("lie-") for name in listing.streams), 20, "all expire")
        listing.wait_for(stream)  # of a flood its own announcements may be lost, too
