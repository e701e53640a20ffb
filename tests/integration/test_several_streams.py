"""A consumer of several streams, each read by a thread of its own; and pairs by capture time."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from fanlight import BrokerRefused, Consumer, Frame, StreamEnded, pairs
from fanlight.common.codec import decoder
from fanlight.common.codec.base import Decoder
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader
from fanlight.common.transport.amqp.permissions import PERMISSIONS
from fanlight.consumer.stats import Outcome
from scripts.private_node import VHOST, PrivateNode
from tests.integration.test_programs_threads import OwnError, one_signal, raise_own
from tests.support.hubs import files_of, hub
from tests.support.marked_stream import Marking, Watcher, is_marked
from tests.support.timing import scaled, wait_until


@pytest.fixture
def names(stream: str) -> list[str]:
    return [f"{stream}-left", f"{stream}-right"]


@contextmanager
def both_on_air(url: str, names: list[str], fps: float = 30) -> Iterator[None]:
    with Marking(url, names[0], fps=fps), Marking(url, names[1], fps=fps):
        yield


def read_each(consumer: Consumer, count: int) -> dict[str, list[Frame]]:
    """At least so many frames of each stream, all of them checked."""
    frames: dict[str, list[Frame]] = {name: [] for name in consumer.streams}
    deadline_s = time.monotonic() + scaled(20)
    while min(map(len, frames.values())) < count:
        assert time.monotonic() < deadline_s, {name: len(each) for name, each in frames.items()}
        frame = consumer.read(timeout_s=0.5)
        if frame is not None:
            assert is_marked(frame) or not frame.valid
            assert frame.age_s <= 0.5
            frames[frame.stream].append(frame)
    for each in frames.values():
        assert [frame.seq for frame in each] == sorted({frame.seq for frame in each})
    return frames


def more_than(consumer: Consumer, name: str, received: int) -> bool:
    return consumer.stats(name).received > received


def reading_threads() -> int:
    return len([thread for thread in threading.enumerate() if thread.name.startswith("read ")])


def all_have_ended() -> None:
    """Closing has a time limit, which a busy machine may exceed."""
    wait_until(lambda: not reading_threads(), 10, "the reading threads have ended")


@pytest.mark.parametrize("playout", ["latest", "sync"])
def test_frames_of_all_come_and_each_stream_has_its_own_honest_counts(
    broker_url: str, names: list[str], playout: str
) -> None:
    with both_on_air(broker_url, names):
        with Consumer(streams=names, url=broker_url, via="broker", playout=playout) as consumer:
            frames = read_each(consumer, 20)
            time_out = consumer.read(timeout_s=0)
            for name in names:
                got = len(frames[name]) + (time_out is not None and time_out.stream == name)
                assert consumer.stats(name).presented == got
        all_have_ended()
    for name in names:
        stats = consumer.stats(name)
        # The others waited when it was closed.
        assert stats.received >= stats.presented + sum(getattr(stats, drop) for drop in list(Outcome)[1:])


def test_a_slow_program_gets_the_newest_of_each_in_turn(broker_url: str, names: list[str]) -> None:
    with (
        both_on_air(broker_url, names, fps=60),
        Consumer(streams=names, url=broker_url, via="broker") as consumer,
    ):
        read_each(consumer, 1)
        served: Counter[str] = Counter()
        while min(served[name] for name in names) < 5:
            for name in names:  # meanwhile newer ones come of each
                received = consumer.stats(name).received
                wait_until(partial(more_than, consumer, name, received + 2), 20, "newer frames")
            frame = consumer.read(timeout_s=scaled(10))
            assert frame is not None
            served[frame.stream] += 1
        for name in names:
            stats = consumer.stats(name)
            assert stats.superseded + stats.late >= 5


def test_a_stream_that_is_dead_does_not_stop_the_others(broker_url: str, names: list[str]) -> None:
    with (
        Marking(broker_url, names[0]),
        Consumer(streams=names, url=broker_url, via="broker") as consumer,
    ):
        for _ in range(10):
            frame = consumer.read(timeout_s=scaled(10))
            assert frame is not None
            assert frame.stream == names[0]
        assert not consumer.failures
        with Marking(broker_url, names[1]):
            read_each(consumer, 5)


@pytest.fixture
def one_allowed(settled_node: PrivateNode, names: list[str]) -> str:
    """The broker's address for a user who may read the first stream, but not the second."""
    readable = rf"^(amq\.gen-.*|fanlight\.(control|{names[0]}))$"
    settled_node.ctl("add_user", names[0], "secret")
    settled_node.ctl(
        "set_permissions",
        "-p",
        VHOST,
        names[0],
        PERMISSIONS["consumer"][0],
        PERMISSIONS["consumer"][1],
        readable,
    )
    return settled_node.url.replace("fanlight:fanlight@", f"{names[0]}:secret@")


@pytest.mark.brokerless
def test_a_stream_that_is_refused_does_not_stop_the_others(
    settled_node: PrivateNode, one_allowed: str, names: list[str]
) -> None:
    with (
        Marking(settled_node.url, names[0]),
        Marking(settled_node.url, names[1]),
        Consumer(streams=names, url=one_allowed, via="broker") as consumer,
    ):
        while not consumer.failures:
            assert consumer.read(timeout_s=scaled(10)) is not None
        assert [type(error) for error in consumer.failures.values()] == [BrokerRefused]
        wait_until(lambda: consumer.ended == (names[1],), 10, "its thread has ended")
        for _ in range(10):
            frame = consumer.read(timeout_s=scaled(10))
            assert frame is not None
            assert frame.stream == names[0]
        with pytest.raises(BrokerRefused, match=names[1]):
            next(pairs(consumer))
    all_have_ended()


def test_the_error_is_raised_when_all_are_refused(broker_url: str, names: list[str]) -> None:
    unknown = broker_url.replace("fanlight:fanlight@", "nobody:nothing@")
    with Consumer(streams=names, url=unknown) as consumer:
        for _ in range(2):
            with pytest.raises(BrokerRefused):
                consumer.read(timeout_s=scaled(20))
        assert set(consumer.failures) == set(names)


@pytest.mark.parametrize("zero_copy", [False, True])
def test_streams_come_from_hubs_where_there_are_some(
    broker_url: str, names: list[str], zero_copy: bool
) -> None:
    with (
        both_on_air(broker_url, names),
        hub(broker_url, names[0]),
        Consumer(streams=names, url=broker_url, zero_copy=zero_copy) as consumer,
    ):
        while not consumer.stats(names[0]).shared:
            read_each(consumer, 1)
        read_each(consumer, 10)
        assert not consumer.stats(names[1]).shared


def test_it_may_be_the_hub_of_all_its_streams(broker_url: str, names: list[str]) -> None:
    with both_on_air(broker_url, names):
        with (
            Consumer(streams=names, url=broker_url, share=True) as sharing,
            Watcher(Consumer(names[0], url=broker_url, via="host")) as left,
            Watcher(Consumer(names[1], url=broker_url, via="host")) as right,
        ):
            left.wait_flow()  # it shares them all, whether its program reads or not
            right.wait_flow()
            read_each(sharing, 3)
        assert not left.faults() + right.faults()
    wait_until(lambda: not [file for name in names for file in files_of(name)], 10, "no file is left")


def test_it_ends_when_the_last_of_its_streams_has_ended(broker_url: str, names: list[str]) -> None:
    with (
        ExitStack() as left,
        Consumer(streams=names, url=broker_url, via="broker", until_end=True) as consumer,
    ):
        left.enter_context(Marking(broker_url, names[0]))
        with Marking(broker_url, names[1]):
            read_each(consumer, 3)
        while consumer.ended != (names[1],):
            assert consumer.read(timeout_s=scaled(10)) is not None
        assert not list(pairs(consumer))
        left.close()
        assert {frame.stream for frame in consumer} <= {names[0]}
        with pytest.raises(StreamEnded, match=f"{names[0]}, {names[1]} has ended"):
            consumer.read()
        assert not consumer.failures


def test_frames_that_are_not_decoded_come_with_all_that_they_refer_to(
    broker_url: str, names: list[str]
) -> None:
    """A frame that one call has left is kept: the next one refers to it."""
    decoders: dict[str, Decoder] = {name: decoder(Codec.H264) for name in names}
    last: dict[str, FrameHeader] = {}
    shown: Counter[str] = Counter()
    with (
        Marking(broker_url, names[0], codec="h264"),
        Marking(broker_url, names[1], codec="h264"),
        Consumer(streams=names, url=broker_url, via="broker", decode=False) as consumer,
    ):
        while min(shown[name] for name in names) < 40:
            frame = consumer.read(timeout_s=0.01)
            if frame is None:
                continue
            header, before = frame.header, last.get(frame.stream)
            if before is None or (header.epoch, header.seq) != (before.epoch, before.seq + 1):
                assert header.key
            decoders[frame.stream].decode(EncodedFrame(header, frame.encoded))
            last[frame.stream] = header
            shown[frame.stream] += 1


def test_one_that_nobody_keeps_ends(broker_url: str, names: list[str]) -> None:
    before = set(threading.enumerate())
    consumer = Consumer(streams=names, url=broker_url).start()
    assert reading_threads() == 2
    del consumer
    gc.collect()
    wait_until(lambda: not set(threading.enumerate()) - before, 10, "its threads have ended")


def test_all_threads_that_read_are_told_that_it_was_closed(broker_url: str, names: list[str]) -> None:
    consumer = Consumer(streams=names, url=broker_url).start()
    told: list[str] = []

    def read() -> None:
        try:
            consumer.read()
        except StreamEnded as error:
            told.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    consumer.close()
    for reader in readers:
        reader.join(scaled(10))
    assert len(told) == 4
    with pytest.raises(StreamEnded):
        consumer.start()


def read_for_ever(consumer: Consumer) -> None:
    while True:
        consumer.read()


def test_a_signal_handler_may_raise_through_a_read(broker_url: str, names: list[str]) -> None:
    with (
        both_on_air(broker_url, names, fps=60),
        Consumer(streams=names, url=broker_url, via="broker") as consumer,
    ):
        for seed in range(40):
            with contextlib.suppress(OwnError), one_signal(raise_own, seed):
                read_for_ever(consumer)
        read_each(consumer, 5)


def test_a_signal_handler_may_close_it(broker_url: str, names: list[str]) -> None:
    with both_on_air(broker_url, names):
        for seed in range(5):
            consumer = Consumer(streams=names, url=broker_url, via="broker").start()
            read_each(consumer, 1)
            with one_signal(consumer.close, seed), pytest.raises(StreamEnded):
                read_for_ever(consumer)
            all_have_ended()


def interrupt_at_first(consumer: Consumer) -> None:
    for _ in consumer:
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_passes_through_and_closes_in_order(broker_url: str, names: list[str]) -> None:
    with both_on_air(broker_url, names):
        consumer = Consumer(streams=names, url=broker_url, via="broker")
        with pytest.raises(KeyboardInterrupt), consumer:
            interrupt_at_first(consumer)
    all_have_ended()
