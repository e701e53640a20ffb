"""Results ride on their frames: what real detectors found is compared with what follows from the pixels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import psutil
import pytest

from fanlight.common.model.errors import BrokerRefused
from fanlight.common.model.result import Result
from fanlight.consumer import Consumer
from scripts.lib.ports import free_ports
from tests.support.commands import running
from tests.support.detecting import DELAY_S, MAX_AGE_S, SYNC, detector, read, read_until
from tests.support.flood import broker_flood
from tests.support.hubs import hub
from tests.support.marked_stream import Marking
from tests.support.roles import as_user, channel_of
from tests.support.scrape import health, scrape
from tests.support.timing import wait_until


def test_under_sync_what_was_found_in_time_is_on_its_frame(broker_url: str, stream: str) -> None:
    with (
        Marking(broker_url, stream, codec="h264"),
        Consumer(stream, "w", url=broker_url, via="broker", results=["faces"], **SYNC) as consumer,
        detector(broker_url, stream) as detecting,
    ):
        frames = read(consumer, 20)
        first = next(at for at, frame in enumerate(frames) if frame.results)
        sent = set(detecting.sent)
        missing = [f.seq for f in frames[first:] if (f.epoch, f.seq) in sent and not f.results]
        assert consumer.stats().results.presented == sum(len(frame.results) for frame in frames)
        wait_until(
            lambda: len(missing) <= consumer.stats().results.late + detecting.out.stats().unsent,
            10,
            "those that were sent are accounted for",
        )
        counts = consumer.stats().results
        assert not counts.duplicate + counts.overflow + counts.refused + counts.excess


def test_under_latest_frames_wait_for_their_results_in_order(broker_url: str, stream: str) -> None:
    with (
        Marking(broker_url, stream, codec="h264"),
        Consumer(
            stream, "w", url=broker_url, results=["faces"], wait=DELAY_S, max_age_s=MAX_AGE_S
        ) as consumer,
    ):
        alone = read_until(consumer, lambda frames: len(frames) == 3)
        assert not any(frame.results for frame in alone)
        assert all(frame.age_s >= DELAY_S * 0.99 for frame in alone), "they have waited"
        with detector(broker_url, stream):
            read(consumer, 10)
        read_until(consumer, lambda frames: frames and not frames[-1].results)


def test_several_detectors_and_all_of_them(broker_url: str, stream: str) -> None:
    with (
        Marking(broker_url, stream),
        Consumer(stream, "two", url=broker_url, results=["faces", "cars"], **SYNC) as two,
        Consumer(stream, "every", url=broker_url, results="*", **SYNC) as every,
        detector(broker_url, stream, "faces"),
        detector(broker_url, stream, "cars"),
        detector(broker_url, stream, "dogs"),
    ):
        frames = read(two, 3, 2)
        assert {name for frame in frames for name in frame.results} == {"faces", "cars"}
        frames = read(every, 3, 3)
        assert set(frames[-1].results) == {"faces", "cars", "dogs"}


def test_coordinates_are_pixels_of_the_picture_that_one_has(broker_url: str, stream: str) -> None:
    """Small pictures for the detector and for a viewer, the stream's for another one."""
    with (
        Marking(broker_url, stream, codec="jpeg", size=(64, 48)),
        Consumer(stream, "small", url=broker_url, size=(16, 24), results=["faces"], **SYNC) as small,
        Consumer(stream, "full", url=broker_url, results=["faces"], **SYNC) as full,
        detector(broker_url, stream, size=(32, 12)),
    ):
        found = partial(read_until, enough=lambda frames: frames and frames[-1].results, other_size=True)
        (result,) = found(small)[-1].results.values()
        assert (result.boxes, result.width, result.height) == (((0, 0, 16, 24),), 16, 24)
        (result,) = found(full)[-1].results.values()
        assert (result.boxes, result.width, result.height) == (((0, 0, 64, 48),), 64, 48)


def test_frames_of_a_hub_have_results_and_detectors_may_use_it(broker_url: str, stream: str) -> None:
    with (
        Marking(broker_url, stream, codec="h264", max_age_s=MAX_AGE_S),
        hub(broker_url, stream, "--max-age", f"{MAX_AGE_S:g}s"),
        Consumer(stream, "w", url=broker_url, via="host", results=["faces"], **SYNC) as consumer,
        detector(broker_url, stream, via="host"),
    ):
        read(consumer, 10)
        assert consumer.stats().shared


def test_results_of_users_who_are_not_trusted_are_refused(broker_url: str, stream: str) -> None:
    producer, viewer = as_user(broker_url, "producer"), as_user(broker_url, "viewer")
    trust = ["producer", "detector"]
    with (
        Marking(producer, stream),
        Consumer(stream, "w", url=viewer, results=["faces", "forged"], trust=trust, **SYNC) as consumer,
        detector(as_user(broker_url, "detector"), stream, "faces"),
        detector(broker_url, stream, "forged") as forging,  # as an administrator
    ):
        wait_until(lambda: forging.sent, 15, "it detects")
        read_until(consumer, lambda _frames: consumer.stats().results.refused)
        frames = read(consumer, 3)
        assert {name for frame in frames for name in frame.results} == {"faces"}


def test_a_viewer_may_not_publish_results(broker_url: str, stream: str) -> None:
    with (
        Marking(broker_url, stream),
        detector(as_user(broker_url, "viewer"), stream) as detecting,
    ):
        wait_until(lambda: detecting.out.failure, 15, "it is refused")
        assert isinstance(detecting.out.failure, BrokerRefused)
        assert f"fanlight.{stream}.results" in str(detecting.out.failure)
        assert "rabbitmqctl set_permissions" in str(detecting.out.failure)


def test_a_deleted_exchange_comes_back(broker_url: str, stream: str) -> None:
    viewer = as_user(broker_url, "viewer")  # which may not declare it
    with (
        Marking(broker_url, stream),
        Consumer(stream, "w", url=viewer, results=["faces"], **SYNC) as consumer,
        detector(broker_url, stream),
        channel_of(broker_url) as operator,
    ):
        read(consumer, 3)
        operator.exchange_delete(f"fanlight.{stream}.results")
        newest = consumer.stats().highest_seq
        read_until(consumer, lambda frames: frames and frames[-1].results and frames[-1].seq > newest)


def test_while_nobody_listens_next_to_nothing_is_published(broker_url: str, stream: str) -> None:
    with Marking(broker_url, stream), detector(broker_url, stream) as detecting:
        wait_until(
            lambda: detecting.out.stats().unheard >= 10 and detecting.out.stats().sent == 0,
            15,
            "results are held back, or returned",
        )
        with Consumer(stream, "w", url=broker_url, results=["faces"], **SYNC) as consumer:
            read(consumer, 3)


def test_what_became_of_results_is_a_metric(broker_url: str, stream: str) -> None:
    (port,) = free_ports(1)
    where = ("--url", broker_url, "--stream", stream, "--metrics", f":{port}")
    with (
        Marking(broker_url, stream),
        detector(broker_url, stream),
        running("consumer", *where, "--sink", "null", "--results", "faces", "--wait", "300ms"),
    ):
        wait_until(lambda: health(port)[0] == 200, 20, "frames are presented")
        wait_until(lambda: scrape(port)("consumer_results_total", outcome="presented"), 15, "with results")


def test_a_hostile_detector_costs_neither_frames_nor_memory(broker_url: str, stream: str) -> None:
    """Ten MB a second of what is no result, and of the largest results, for frames that never come."""
    large = Result(
        stream=stream, name="hostile", epoch=1, seq=0, capture_ns=0, width=64, height=48,
        polygons=(((0.0, 0.0),) * 1000,) * 6,
    )  # fmt: skip
    bodies: list[dict[str, object]] = [replace(large, seq=seq).to_table() for seq in range(50)]
    bodies += [{"v": 1, "name": "x" * 50_000}, {}] * 10
    url = as_user(broker_url, "detector")
    with (
        Marking(broker_url, stream),
        Consumer(stream, "w", url=broker_url, via="broker", results="*", **SYNC) as consumer,
        detector(url, stream),
    ):
        read(consumer, 3)
        before = psutil.Process().memory_info().rss
        exchange = f"fanlight.{stream}.results"
        with broker_flood(url, stream, "results", bodies, 200, exchange=exchange):
            read_until(consumer, lambda _frames: refused(consumer))
            read_until(consumer, lambda frames: len(frames) == 30)
            assert psutil.Process().memory_info().rss - before < 128 * 2**20
        read_until(consumer, lambda frames: frames and "faces" in frames[-1].results)
        assert consumer.stats().reconnects == 0


def refused(consumer: Consumer) -> bool:
    """Whether all that can be wrong with results has been counted."""
    counts = consumer.stats().results
    return bool(counts.refused and counts.excess + counts.overflow and counts.duplicate + counts.unused)


def test_results_that_come_too_late_are_counted_and_said(
    broker_url: str, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Marking(broker_url, stream),
        Consumer(stream, "w", url=broker_url, via="broker", results=["faces"]) as consumer,
        detector(broker_url, stream),
    ):
        read_until(consumer, lambda _frames: consumer.stats().results.late > 3)
    said = [each.getMessage() for each in caplog.records if "come after their frames" in each.getMessage()]
    assert len(said) == 1
    assert said[0].startswith("results of faces come after their frames were presented; a longer --wait")
