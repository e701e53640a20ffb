"""A subscriber alone, against a real broker: when it follows, and what flows while it does not."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from fanlight.common import transport
from fanlight.common.model.control import ClockRequest
from fanlight.common.transport.amqp.subscriber import BrokerSubscriber
from scripts.lib.tcp_proxy import TcpProxy
from tests.support.fanout_events import Events, frame
from tests.support.timing import scaled, wait_until


class Pair:
    """A publisher, and a subscriber that is not connected yet."""

    def __init__(self, url: str, stream: str, *, follow: bool) -> None:
        self.stream = stream
        self.sent, self.got = Events(), Events()
        # No frame grows too old on a loaded machine.
        self.publisher = transport.publisher(url, stream=stream, max_age_s=10, events=self.sent)
        subscriber = transport.subscriber(
            url, stream=stream, name="w", max_age_s=10, events=self.got, follow=follow
        )
        assert isinstance(subscriber, BrokerSubscriber)
        self.subscriber = subscriber

    def answered(self, asked_ns: int) -> bool:
        """Whether the producer answers: right after its start its control queue may not be there yet."""
        self.subscriber.send(ClockRequest(stream=self.stream, name="w", asked_ns=asked_ns))
        try:
            self.got.wait(f"clock {asked_ns}", 0.5)
        except queue.Empty:
            return False
        return True

    def sends(self, seq: int) -> None:
        assert self.publisher.wait_ready(scaled(15))
        self.publisher.publish(frame(self.stream, seq))

    def comes(self, seq: int) -> None:
        self.sends(seq)
        assert self.got.frame().header.seq == seq


@contextmanager
def pair(url: str, stream: str, *, follow: bool) -> Iterator[Pair]:
    made = Pair(url, stream, follow=follow)
    made.publisher.start()
    made.sent.wait("connected")
    try:
        yield made
    finally:
        made.subscriber.stop(2)
        made.publisher.stop(2)


def test_it_follows_from_the_beginning(broker_url: str, stream: str) -> None:
    with pair(broker_url, stream, follow=True) as made:
        made.subscriber.start()
        made.got.wait("connected")
        for seq in range(10):
            made.comes(seq)
        assert made.got.threads == {f"fanlight consumer {stream} w"}
    made.got.wait("disconnected")


def test_without_following_it_stands_and_only_frames_are_missing(broker_url: str, stream: str) -> None:
    with pair(broker_url, stream, follow=False) as made:
        made.subscriber.count_waiting()
        made.subscriber.start()
        made.got.wait("connected")
        wait_until(lambda: made.answered(7), 20, "the producer answers")
        assert not made.publisher.wait_ready(0.3), "nobody watches"
        wait_until(lambda: made.subscriber.waiting == 0, 20, "its queue is there")
        assert made.got.frames.empty()
        made.subscriber.follow_stream(True)
        made.got.wait("following")
        made.comes(1)
        made.subscriber.follow_stream(False)
        made.subscriber.send(ClockRequest(stream=stream, name="w", asked_ns=8))
        made.got.wait("clock 8")  # the queue is unbound by then
        made.sends(2)
        wait_until(lambda: not made.publisher.watched, 20, "the frame came back")
        assert made.got.frames.empty()


@pytest.mark.parametrize("follow", [True, False])
def test_it_may_be_told_while_it_is_being_set_up(broker_url: str, stream: str, follow: bool) -> None:
    with pair(broker_url, stream, follow=not follow) as made:
        made.subscriber.start()
        for number in range(20):  # whenever the last one arrives, it counts
            made.subscriber.follow_stream(bool(number % 2) is follow)
        made.got.wait("connected")
        if follow:
            made.comes(1)
        else:
            with pytest.raises(queue.Empty):
                made.got.frames.get(timeout=0.5)
            wait_until(lambda: not made.publisher.wait_ready(0.0), 20, "nobody watches")


@pytest.mark.parametrize("jitter_s", [None, 0.3], ids=["a broker that stands still", "a slow line"])
def test_the_end_is_clean_whenever_it_comes(
    broker_url: str, stream: str, caplog: pytest.LogCaptureFixture, jitter_s: float | None
) -> None:
    """Timers of forty links, of which each is due at some time while its channel closes."""
    parts = urlsplit(broker_url)
    with TcpProxy(str(parts.hostname), parts.port or 5672) as proxy:
        url = proxy.url_through(broker_url)
        pairs = [Pair(url, f"{stream}-{number}", follow=True) for number in range(20)]
        for pair in pairs:
            pair.subscriber.count_waiting()
            pair.subscriber.start()
            pair.publisher.start()
        for pair in pairs:
            pair.got.wait("connected", 20)
            pair.sent.wait("connected", 20)
        if jitter_s is None:
            proxy.hold = True
        else:
            proxy.jitter_s = jitter_s
        took_s: list[float] = []

        def stop(pair: Pair, delay_s: float) -> None:
            threading.Event().wait(delay_s)
            began_s = time.monotonic()
            pair.subscriber.stop(2)
            pair.publisher.stop(2)
            took_s.append(time.monotonic() - began_s)

        threads = [
            threading.Thread(target=stop, args=(pair, number / 20)) for number, pair in enumerate(pairs)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(scaled(20))
        assert len(took_s) == 20
        assert max(took_s) <= scaled(4)
    assert not [thread.name for thread in threading.enumerate() if stream in thread.name]
    assert not [record.getMessage() for record in caplog.records if record.exc_info]
    assert "internal error" not in caplog.text
