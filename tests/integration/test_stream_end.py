"""The end of a stream in good order, as its consumers see it, and what is no such end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import pika
import pytest

from fanlight import Consumer, Producer, StreamEnded
from fanlight.common.clock import wall_ns
from fanlight.common.model.bye import Bye
from fanlight.common.transport.amqp.topology import PREFETCH, bye_properties, exchange
from fanlight.producer.stats import ProducerStats
from tests.support.broker import with_broker_and
from tests.support.commands import Command, running
from tests.support.hubs import hub
from tests.support.marked_stream import Marking
from tests.support.roles import as_user, channel_of
from tests.support.timing import scaled, wait_until
from tests.unit.producer.source.footage import write_clip

# No frame may be too old here, however slow the machine is.
PATIENT_S = 5.0
# Then the rate of the stream is known, and so how long none may come.
KNOWN_FRAMES = 8
USER = "fanlight"


class Loop:
    """`for frame in consumer`, in a thread of its own.

    Attributes:
        seen: (epoch, seq, capture_ns) of each frame.
    """

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.seen: list[tuple[int, int, int]] = []
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)

    def __enter__(self) -> Self:
        self.consumer.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.consumer.close()
        self._thread.join()

    def _run(self) -> None:
        for frame in self.consumer:
            self.seen.append((frame.epoch, frame.seq, frame.capture_ns))

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    @property
    def away(self) -> bool:
        return self.consumer.producer_away is not None

    def wait_end(self) -> None:
        self._thread.join(scaled(20))
        assert self.over, f"the loop goes on: {self.consumer.stats()}"

    def wait_captured_after(self, moment_ns: int) -> None:
        """Wait for a frame that was captured later than that."""
        wait_until(lambda: self.seen and self.seen[-1][2] > moment_ns, 20, "frames go on")
        assert not self.over

    def wait_epoch(self, other_than: int | None = None) -> int:
        """Wait for frames of another producer than that one; its epoch."""

        def epochs() -> list[int]:
            return [epoch for epoch, _, _ in self.seen if epoch != other_than]

        wait_until(lambda: len(epochs()) > KNOWN_FRAMES, 20, "frames of a producer")
        return epochs()[-1]


def looping(url: str, stream: str, **settings: object) -> Loop:
    keywords = {"until_end": True, "max_age_s": PATIENT_S, **settings}
    return Loop(Consumer(stream, "loop", url=url, **keywords))  # type: ignore[arg-type]


def check_last(loop: Loop, stats: ProducerStats) -> None:
    """The last frame that was published was presented, and none out of order."""
    seqs = [seq for _, seq, _ in loop.seen]
    assert seqs == sorted(set(seqs))
    assert stats.published > seqs[-1] >= stats.published - 1 - stats.unsent


@contextmanager
def pattern(url: str, stream: str) -> Iterator[Command]:
    """The command of a producer, with the test pattern."""
    with running(
        "producer", "--url", url, "--stream", stream, "--source", "test", "--size", "64x48"
    ) as command:
        yield command


# An end in good order ------------------------------------------------------------------------------------


@pytest.mark.parametrize("playout", ["latest", "sync"])
def test_a_loop_ends_with_its_producer_after_the_last_frame(url: str, stream: str, playout: str) -> None:
    with looping(url, stream, playout=playout, delay_s=0.5) as loop:
        with Marking(url, stream, max_age_s=PATIENT_S) as marking:
            loop.wait_epoch()
        loop.wait_end()
        check_last(loop, marking.producer.stats())
        with pytest.raises(StreamEnded, match=f"^stream {stream} has ended$"):
            loop.consumer.read()
        assert list(loop.consumer) == []
        assert loop.consumer.stats().malformed == 0


@with_broker_and("threads")
def test_otherwise_a_loop_waits_for_the_next_producer_and_knows_that_it_is_away(
    url: str, stream: str
) -> None:
    with looping(url, stream, until_end=False) as loop:
        assert loop.away, "nobody was there yet"
        with Marking(url, stream):
            epoch = loop.wait_epoch()
            wait_until(lambda: not loop.away, 10, "it is there")
        wait_until(lambda: loop.away, 10, "it has ended")
        with Marking(url, stream):
            loop.wait_epoch(other_than=epoch)
            wait_until(lambda: not loop.away, 10, "another one is there")


def test_the_commands_of_a_file_and_of_its_consumer_end_together(
    broker_url: str, stream: str, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.avi", 25)
    trace = tmp_path / "trace.csv"
    common = ("--url", broker_url, "--stream", stream, "--max-age", f"{PATIENT_S}s")
    with running("consumer", *common, "--until-end", "--sink", f"trace:{trace}") as consumer:
        consumer.wait_line("connected")
        with running("producer", *common, "--source", str(clip), "--codec", "jpeg") as producer:
            assert producer.wait() == 0, producer.err.text
        assert consumer.wait() == 0, consumer.err.text
    assert "Traceback" not in consumer.err.text
    *_, last = trace.read_text().splitlines()
    assert "presented" in last


def test_a_consumer_that_stood_still_at_the_end_learns_of_it(broker_url: str, stream: str) -> None:
    # By then the broker has dropped every other message that it could not deliver.
    options = ("--until-end", "--sink", "null", "--max-age", "1ms")
    with running("consumer", "--url", broker_url, "--stream", stream, *options) as command:
        with Producer(stream=stream, url=broker_url, codec="raw") as out:
            wait_until(lambda: out.watched, 20, "its queue is bound")
            command.signal(signal.SIGSTOP)
            for number in range(1, 3 * PREFETCH):
                out.send(np.zeros((48, 64, 3), np.uint8))
                wait_until(partial(_published, out, number), 10, "it is published")
        command.signal(signal.SIGCONT)
        assert command.wait() == 0, command.err.text


def _published(producer: Producer, frames: int) -> bool:
    return producer.stats().published == frames


@with_broker_and("multiplex")
def test_a_killed_producer_is_away_and_its_successors_end_by_ctrl_c_is_the_end(
    url: str, stream: str
) -> None:
    with looping(url, stream) as loop:
        with pattern(url, stream) as command:
            epoch = loop.wait_epoch()
            command.signal(signal.SIGKILL)
        if url.startswith("amqp"):  # which takes seconds; without a broker it is the same
            wait_until(lambda: loop.away, 20, "it is away")
        assert not loop.over
        with pattern(url, stream) as command:
            loop.wait_epoch(other_than=epoch)
            command.signal(signal.SIGINT)
            assert command.wait() == 0
        loop.wait_end()


@pytest.mark.parametrize(
    ("url", "until_end"),
    [("broker", True), pytest.param("threads", False, marks=pytest.mark.brokerless)],
    indirect=["url"],
)
def test_a_hub_passes_the_end_on_to_its_viewers(url: str, stream: str, until_end: bool) -> None:
    options = ("--max-age", f"{PATIENT_S}s", *(("--until-end",) if until_end else ()))
    with (
        hub(url, stream, *options) as command,
        looping(url, stream, via="host") as latest,
        looping(url, stream, via="host", playout="sync", delay_s=0.5) as sync,
    ):
        with Marking(url, stream, max_age_s=PATIENT_S) as marking:
            for loop in (latest, sync):
                loop.wait_epoch()
        for loop in (latest, sync):
            loop.wait_end()
            check_last(loop, marking.producer.stats())
        if until_end:
            assert command.wait() == 0, command.err.text
        else:
            assert command.process.poll() is None


# What is no end ------------------------------------------------------------------------------------------


def say(url: str, *byes: pika.BasicProperties, stream: str) -> int:
    """Publish them past our own code; the time when all of them have reached the queues (Unix)."""
    with channel_of(url) as channel:
        channel.confirm_delivery()
        for properties in byes:
            channel.basic_publish(exchange(stream), "", b"", properties)
    return wall_ns()


def test_the_end_of_a_producer_that_was_replaced_is_not_the_end(broker_url: str, stream: str) -> None:
    with looping(broker_url, stream) as loop:
        first = Producer(stream=stream, url=broker_url, codec="raw").start()
        # It sends no more once the other one is there: after a pause of that, its frames would count again.
        wait_until(partial(_seen, loop, first), 20, "its frames are read")
        with Marking(broker_url, stream) as second:
            assert loop.wait_epoch(other_than=first.epoch) == second.producer.epoch
            first.close()
            again = bye_properties(Bye(stream, first.epoch, 0), USER)
            strange = bye_properties(Bye(stream, 7, 0), USER)
            broken = bye_properties(Bye(stream, second.producer.epoch, 0), USER)
            broken.headers = {**broken.headers, "seq": "last"}
            loop.wait_captured_after(say(broker_url, again, strange, broken, stream=stream))
            assert loop.consumer.stats().malformed == 1
        loop.wait_end()


def _seen(loop: Loop, producer: Producer) -> bool:
    """Send another picture; whether one was read."""
    producer.send(np.zeros((48, 64, 3), np.uint8))
    return bool(loop.seen)


def test_with_trust_only_a_user_that_is_trusted_ends_the_stream(broker_url: str, stream: str) -> None:
    with looping(broker_url, stream, trust=["producer"]) as loop:
        with Marking(as_user(broker_url, "producer"), stream) as marking:
            loop.wait_epoch()
            forged = bye_properties(Bye(stream, marking.producer.epoch, 0), USER)
            loop.wait_captured_after(say(broker_url, forged, stream=stream))
            assert loop.consumer.stats().malformed == 1
        loop.wait_end()
