"""Consumers and detectors with the roles of broker/definitions.json: who waits, who is refused."""

from __future__ import annotations

import logging
import time

import pytest

from fanlight.common.model.frame import Codec
from fanlight.common.transport.amqp.topology import frame_properties
from fanlight.consumer import Consumer
from tests.support.commands import at_most_one_a_second
from tests.support.headers import header
from tests.support.marked_stream import Marking, Watcher
from tests.support.roles import as_user, channel_of
from tests.support.timing import wait_until


def records_of(caplog: pytest.LogCaptureFixture, module: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == module]


def at_most_one_line_a_second(records: list[logging.LogRecord]) -> bool:
    return at_most_one_a_second([record.created for record in records])


def test_a_viewer_waits_for_the_producer_and_for_one_that_comes_back(
    broker_url: str, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    producer, viewer = as_user(broker_url, "producer"), as_user(broker_url, "viewer")
    with Watcher(Consumer(stream, "w", url=viewer)) as watcher:
        link = "fanlight.common.transport.amqp.link"
        wait_until(lambda: len(records_of(caplog, link)) >= 2, 20, "it says what it waits for, and again")
        waiting = records_of(caplog, link)
        says = f"no exchange 'fanlight.{stream}' yet: waiting for its producer"
        assert all(says in record.getMessage() for record in waiting)
        assert at_most_one_line_a_second(waiting)
        with Marking(producer, stream):
            wait_until(lambda: watcher.last, 20, "its first frame")
            with channel_of(broker_url) as operator:
                operator.exchange_delete(f"fanlight.{stream}")
            watcher.wait_captured(time.monotonic())
        with channel_of(broker_url) as operator:  # nobody is there now to declare it again
            operator.exchange_delete(f"fanlight.{stream}")
        said = len(records_of(caplog, link))
        wait_until(lambda: len(records_of(caplog, link)) > said, 20, "it says what it waits for")
        with Marking(producer, stream):
            came = len(watcher.seen)
            wait_until(lambda: len(watcher.seen) > came, 20, "frames of the next producer")
    assert not watcher.faults()
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


def test_frames_of_a_user_who_is_not_trusted_are_refused(
    broker_url: str, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    producer, viewer = as_user(broker_url, "producer"), as_user(broker_url, "viewer")
    with (
        Marking(producer, stream) as marking,
        Watcher(Consumer(stream, "w", url=viewer, trust=["producer"])) as watcher,
        # A forged frame is not too old, however slow the machine is.
        Watcher(Consumer(stream, "v", url=viewer, max_age_s=10), exact=False) as trusting,
        channel_of(broker_url) as forging,
    ):
        wait_until(lambda: watcher.last and trusting.last, 15, "the stream is on")
        forging.confirm_delivery()
        for seq in range(30):
            forged = header(seq, Codec.RAW, stream=stream, epoch=2**60, capture_ns=time.time_ns())
            properties = frame_properties(forged, "fanlight")
            forging.basic_publish(f"fanlight.{stream}", "", bytes(64 * 48 * 3), properties)
        count = len(watcher.seen)
        wait_until(lambda: len(watcher.seen) > count + 3, 20, "the stream goes on")
        wait_until(
            lambda: any(seen.epoch == 2**60 for seen in trusting.seen), 10, "the other one trusts all"
        )
        assert 1 <= watcher.consumer.stats().malformed <= 30
        assert {seen.epoch for seen in watcher.seen} == {marking.producer.epoch}
    assert not watcher.faults()
    records = records_of(caplog, "fanlight.consumer.receiver")
    told = [record for record in records if "user_id" in record.getMessage()]
    assert told
    assert "user_id is 'fanlight': allowed is --trust, which is producer" in told[0].getMessage()
    assert at_most_one_line_a_second(told)
