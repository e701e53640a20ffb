"""Who is live: producers announce themselves, and the list follows."""

from __future__ import annotations

import json
import signal
import time

import pytest

import fanlight
from fanlight.common import transport
from fanlight.common.model.errors import BrokerRefused, BrokerUnavailable, TokenRefused
from fanlight.common.model.frame import Codec
from fanlight.consumer import Consumer
from tests.support.broker import tcp_url
from tests.support.commands import run, running
from tests.support.directory import Listing
from tests.support.marked_stream import Marking, Watcher
from tests.support.roles import as_user
from tests.support.timing import wait_until

TOKEN = "0123456789abcdef"


def test_a_stream_is_listed_from_its_start_to_its_end(url: str, stream: str) -> None:
    before_ns = time.time_ns()
    with Listing(url) as listing:
        with Marking(url, stream, codec="jpeg", size=(64, 48), fps=25) as marking:
            wait_until(lambda: listing.wait_for(stream).width, 20, "it has a picture")
            found = listing.wait_for(stream)
            assert (found.codec, found.width, found.height, found.fps) == (Codec.JPEG, 64, 48, 25)
            assert found.epoch == marking.producer.epoch
            assert before_ns <= found.since_ns <= time.time_ns()
            assert not found.watched
            with Watcher(Consumer(stream, "w", url=url, via="broker"), exact=False):
                wait_until(lambda: listing.watched(stream), 20, "it is watched")
            wait_until(lambda: not listing.watched(stream), 20, "it is watched no longer")
        listing.wait_gone(stream)


def test_a_program_asks_once(url: str, stream: str) -> None:
    with Listing(url) as listing, Marking(url, stream):
        listing.wait_for(stream)
        told: list[object] = []

        def is_told() -> bool:
            # On a busy machine an announcement may come too late for who asks.
            told[:] = [each for each in fanlight.streams(url=url) if each.stream == stream]
            return bool(told)

        wait_until(is_told, 30, "it is listed")
    (found,) = told
    assert isinstance(found, fanlight.Announcement)
    assert found.codec is Codec.RAW


@pytest.mark.brokerless
def test_a_program_does_not_wait_for_ever() -> None:
    with pytest.raises(BrokerUnavailable, match="no list of streams within 500ms"):
        fanlight.streams(url=tcp_url("threads"), timeout_s=0.5)


def test_who_dies_without_a_word_is_listed_no_longer(url: str, stream: str) -> None:
    flags = ("--url", url, "--stream", stream, "--size", "64x48")
    with Listing(url) as listing, running("producer", *flags) as producer:
        epoch = listing.wait_for(stream, 20).epoch
        producer.signal(signal.SIGKILL)
        listing.wait_gone(stream)
        with running("producer", *flags):
            assert listing.wait_for(stream, 20).epoch != epoch


@pytest.mark.brokerless
def test_who_stands_still_is_listed_no_longer_and_again(stream: str) -> None:
    url = tcp_url("multiplex")
    flags = ("--url", url, "--stream", stream, "--size", "64x48")
    with Listing(url) as listing, running("producer", *flags) as producer:
        epoch = listing.wait_for(stream, 20).epoch
        producer.signal(signal.SIGSTOP)
        listing.wait_gone(stream)
        producer.signal(signal.SIGCONT)
        assert listing.wait_for(stream).epoch == epoch


@pytest.mark.brokerless
@pytest.mark.parametrize("design", ["threads", "multiplex"])
def test_without_a_broker_the_list_needs_the_token(design: str, stream: str) -> None:
    url = tcp_url(design)
    with Marking(url, stream, token=TOKEN):
        assert [each.stream for each in fanlight.streams(url=url, token=TOKEN)] == [stream]
        for token in (None, "another token...."):
            with pytest.raises(TokenRefused):
                fanlight.streams(url=url, token=token)


def test_the_roles_announce_and_list_and_trust_tells_them_apart(broker_url: str, stream: str) -> None:
    producer, viewer = as_user(broker_url, "producer"), as_user(broker_url, "viewer")
    with (
        Listing(viewer) as listing,
        Listing(viewer, trust=("producer",)) as trusting,
        Listing(viewer, trust=("fanlight",)) as other,
        Marking(producer, stream),
    ):
        assert listing.wait_for(stream).epoch == trusting.wait_for(stream).epoch
        wait_until(lambda: other.directory.refused and other.directory.complete, 20)
        assert stream not in other.streams
    with pytest.raises(BrokerRefused):
        fanlight.streams(url=viewer.replace("viewer:viewer", "viewer:wrong"))


def test_a_publisher_that_announces_nothing_is_watched_all_the_same(broker_url: str, stream: str) -> None:
    """As those of earlier versions."""
    url = broker_url
    events = transport.PublisherEvents()
    publisher = transport.publisher(url, stream=stream, max_age_s=0.5, events=events)
    publisher.start()
    try:
        with Listing(url) as listing, Consumer(stream, "w", url=url, via="broker"):
            wait_until(lambda: publisher.watched, 15, "it has a consumer")
            wait_until(lambda: listing.directory.complete, 20, "the list is complete")
            assert stream not in listing.streams
        assert publisher.failure is None
    finally:
        publisher.stop(2)


def test_the_command_writes_a_table(broker_url: str, stream: str) -> None:
    with Listing(broker_url) as listing, Marking(broker_url, stream, size=(64, 48)):
        wait_until(lambda: listing.wait_for(stream).width, 20, "it has a picture")
        listed: list[list[str]] = []

        def is_listed() -> bool:
            code, command = run("consumer", "--list", "--url", broker_url)
            head, *listed[:] = (line.text.split()[:4] for line in command.out.lines)
            assert (code, command.err.text, head[:3]) == (0, "", ["STREAM", "CODEC", "SIZE"])
            return any(line[0] == stream for line in listed)

        wait_until(is_listed, 60, "it is listed")
    assert [stream, "raw", "64x48", "30"] in listed


@pytest.mark.brokerless
def test_the_command_writes_json(stream: str) -> None:
    url = tcp_url("threads")
    with Listing(url) as listing, Marking(url, stream, size=(64, 48)):
        wait_until(lambda: listing.wait_for(stream).width, 20, "it has a picture")
        code, command = run("consumer", "--list", "--json", "--url", url)
    (found,) = json.loads(command.out.text)
    assert (code, command.err.text, found["stream"], found["width"]) == (0, "", stream, 64)
    assert found["epoch"].isdigit()


@pytest.mark.brokerless
def test_the_command_ends_at_a_signal_and_lists_nothing() -> None:
    with running("consumer", "--list", "--url", tcp_url("threads")) as command:
        command.wait_line("is the producer running?")
        command.signal(signal.SIGINT)
        assert command.wait() == 0
    assert command.out.text == ""
