"""Ten thousand control messages a second cost at most two keyframes a second, and the stream goes on."""

from __future__ import annotations

import contextlib
import time

import psutil
import pytest

from fanlight.common.transport.amqp.interval_acks import INTERVAL_S, MOST_AT_ONCE
from fanlight.common.transport.tcp.handshake import MESSAGES_AT_ONCE, MESSAGES_PER_S
from fanlight.consumer import Consumer
from fanlight.producer.stats import MOST_NAMES
from tests.support.broker import tcp_url
from tests.support.flood import broker_flood, keyframe_request, receiver_report, tcp_flood
from tests.support.marked_stream import Marking, Watcher
from tests.support.roles import as_user
from tests.support.timing import wait_until

FLOOD_PER_S = 10_000
FLOOD_S = 2.0
HEARD_PER_S = MOST_AT_ONCE / INTERVAL_S


@pytest.mark.parametrize("clients", [1, 5])
def test_a_flood_of_keyframe_requests_costs_two_keyframes_a_second(
    broker_url: str, stream: str, clients: int
) -> None:
    viewer = as_user(broker_url, "viewer")
    with (
        Marking(as_user(broker_url, "producer"), stream, codec="h264", size=(128, 96), gop_s=60) as marking,
        Watcher(Consumer(stream, "w", url=viewer, via="broker"), exact=False) as watcher,
    ):
        wait_until(lambda: watcher.last, 15, "the stream is on")
        bodies = [keyframe_request(stream)]
        with contextlib.ExitStack() as stack:
            before, began_s = marking.producer.stats(), time.monotonic()
            floods = [
                stack.enter_context(
                    broker_flood(viewer, stream, "keyframe_request", bodies, FLOOD_PER_S // clients)
                )
                for _ in range(clients)
            ]
            wait_until(lambda: time.monotonic() - began_s > FLOOD_S, 20)
            stats, took_s = marking.producer.stats(), time.monotonic() - began_s
            watcher.wait_flow()
            assert sum(flood.sent for flood in floods) > 2 * HEARD_PER_S * FLOOD_S, "it was a flood"
        heard = stats.keyframe_requests - before.keyframe_requests
        assert FLOOD_S <= heard <= HEARD_PER_S * took_s + 2 * MOST_AT_ONCE
        assert 2 <= stats.keyframes - before.keyframes <= 2 * took_s + 1
        count = len(watcher.seen)
        wait_until(lambda: len(watcher.seen) > count + 10, 20, "the stream goes on")
        wait_until(lambda: "w" in marking.producer.stats().consumers, 20, "who reports is heard again")
        assert watcher.consumer.stats().reconnects == 0
    assert not watcher.faults()


def test_a_flood_of_reports_under_ever_new_names_does_not_grow_the_producer(
    broker_url: str, stream: str
) -> None:
    viewer = as_user(broker_url, "viewer")
    bodies = [receiver_report(stream, f"nobody-{number:056}") for number in range(20_000)]
    with (
        Marking(as_user(broker_url, "producer"), stream) as marking,
        Watcher(Consumer(stream, "w", url=viewer, via="broker")) as watcher,
    ):
        wait_until(lambda: watcher.last, 15, "the stream is on")
        with broker_flood(viewer, stream, "receiver_report", bodies, FLOOD_PER_S) as flood:
            wait_until(lambda: len(marking.producer.stats().consumers) > MOST_NAMES / 2, 20, "it is heard")
            before = psutil.Process().memory_info().rss
            sent = flood.sent
            wait_until(lambda: flood.sent > sent + FLOOD_S * FLOOD_PER_S, 20, "it goes on")
            assert len(marking.producer.stats().consumers) <= MOST_NAMES
            assert psutil.Process().memory_info().rss - before < 16 * 2**20
        wait_until(lambda: set(marking.producer.stats().consumers) == {"w"}, 20, "they are forgotten")
        assert watcher.consumer.stats().reconnects == 0
    assert not watcher.faults()


@pytest.mark.brokerless
@pytest.mark.parametrize("design", ["threads", "multiplex"])
def test_a_flooding_client_is_disconnected_and_costs_no_keyframe(design: str, stream: str) -> None:
    url = tcp_url(design)
    with (
        Marking(url, stream, codec="h264", size=(128, 96), gop_s=60) as marking,
        Watcher(Consumer(stream=stream, name="w", url=url, via="broker"), exact=False) as watcher,
    ):
        wait_until(lambda: watcher.last, 15, "the stream is on")
        before, began_s = marking.producer.stats(), time.monotonic()
        with contextlib.ExitStack() as stack:
            floods = [stack.enter_context(tcp_flood(url, stream, 1000)) for _ in range(10)]
            wait_until(lambda: all(flood.ended for flood in floods), 20, "all are disconnected")
        count = len(watcher.seen)
        wait_until(lambda: len(watcher.seen) > count + 30, 20, "the stream goes on")
        stats, took_s = marking.producer.stats(), time.monotonic() - began_s
        assert stats.refused - before.refused == 10
        assert (
            10
            <= stats.keyframe_requests - before.keyframe_requests
            <= 10 * (MESSAGES_AT_ONCE + took_s * MESSAGES_PER_S)
        )
        assert 1 <= stats.keyframes - before.keyframes <= 2 * took_s + 1
        assert watcher.consumer.stats().reconnects == 0
    assert not watcher.faults()
