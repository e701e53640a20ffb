"""Bad networks, each fault alone: cut, silent, jittery, lossy, slow; between the broker and its clients.

And without a broker, between producer and consumer. Every frame is checked: none is old, none out of order,
none has pixels of another frame; and a consumer that is not behind the bad line keeps its stream.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from scripts.lib import netns
from scripts.lib.tcp_proxy import TcpProxy
from tests.support.bad_line import Place, Scene, made_place, streaming, wait_long
from tests.support.broker import require_rabbitmq
from tests.support.timing import scaled, wait_until

RECOVERY_S = 2.0
SIZE = (640, 360)
# Shorter than TCP_USER_TIMEOUT whatever the retransmission timeout is (it doubles, so that 0.9 s of
# silence may cost 2.1 s), longer than the age at which frames are dropped.
MOMENT_S = 0.6
FAULT_S = 2.5
# Four streams over the same line at once: it takes a quarter of the time, on a machine of two cores too.
EVERYBODY = ("producer", "consumer", "threads", "multiplex")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    reason = netns.unavailable()
    if reason is not None:
        pytest.skip(reason)
    require_rabbitmq()
    with made_place() as made:
        yield made


@contextmanager
def scenes(
    place: Place,
    stream: str,
    whom: tuple[str, ...] = EVERYBODY,
    *,
    codec: str = "raw",
    size: tuple[int, int] = (64, 48),
    proxied: bool = False,
) -> Iterator[list[Scene]]:
    """Streams over a line that the test makes bad and good again; at the end all of them flow."""
    with ExitStack() as stack:
        entered = [
            stack.enter_context(
                streaming(place, f"{stream}-{far}", far, codec=codec, size=size, proxied=proxied)
            )
            for far in whom
        ]
        yield entered
        for scene in entered:
            scene.wait_flow()
            assert scene.faults() == []
            assert scene.feeder.producer.failure is None
            if scene.bystander is not None:
                assert scene.bystander.consumer.stats().reconnects == 0


def hold(entered: list[Scene], seconds: float) -> float:
    """Let a fault last; a consumer on a good line gets frames meanwhile. When it began (monotonic)."""
    began_s = time.monotonic()
    wait_long(seconds)
    for scene in entered:
        if scene.bystander is not None:
            scene.bystander.wait_captured(began_s)
    return began_s


def recovered(entered: list[Scene]) -> None:
    """From now on each consumer soon has a frame that was captured later."""
    now_s = time.monotonic()
    for scene in entered:
        assert scene.watcher.wait_captured(now_s, 1, timeout_s=30) < scaled(RECOVERY_S)


def flowing(entered: list[Scene], began_s: float) -> None:
    """While the fault lasts, frames come all the same, and connections hold."""
    for scene in entered:
        scene.watcher.wait_captured(began_s, 25)
    assert reconnects(entered) == [0] * len(entered)


def reconnects(entered: list[Scene]) -> list[int]:
    return [scene.watcher.consumer.stats().reconnects for scene in entered]


def lines(
    caplog: pytest.LogCaptureFixture, stream: str, far: str, part: str = ""
) -> list[logging.LogRecord]:
    """What the client behind the line has logged."""
    producer = far == "producer"
    title = f"fanlight producer {stream}-{far}" if producer else f"fanlight consumer {stream}-{far} far"
    records = [record for record in caplog.records if record.getMessage().startswith(title)]
    return [record for record in records if part in record.getMessage()]


def wait_line(caplog: pytest.LogCaptureFixture, stream: str, far: str, part: str) -> None:
    wait_until(lambda: lines(caplog, stream, far, part), 20, f"{part!r} is logged")


def test_packets_vanish_for_longer_than_tcp_is_given(
    place: Place, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Heartbeats would need 20 s. One line says that the network is silent, one that it is back."""
    caplog.set_level(logging.INFO)
    with scenes(place, stream) as entered:
        caplog.clear()
        entered[0].link.drop(True)
        began_s = hold(entered, 4)
        entered[0].link.drop(False)
        recovered(entered)
        for far in EVERYBODY:
            wait_line(caplog, stream, far, "connected to")
            everything = lines(caplog, stream, far)
            assert len(lines(caplog, stream, far, "the network is silent")) == 1, everything
            assert len(lines(caplog, stream, far, "connected to")) == 1, everything
            warnings = [record for record in everything if record.levelno >= logging.WARNING]
            assert len(warnings) <= time.monotonic() - began_s + 1, everything
        assert reconnects(entered) == [0, 1, 1, 1]  # the first watches a producer behind the line


def test_packets_vanish_for_a_moment(place: Place, stream: str) -> None:
    """The connections hold. What then arrives at once is old, and the next picture needs a keyframe."""
    with scenes(place, stream, codec="h264", size=SIZE) as entered:
        entered[0].link.drop(True)
        wait_long(MOMENT_S)
        entered[0].link.drop(False)
        recovered(entered)
        assert reconnects(entered) == [0, 0, 0, 0]


def test_packets_get_lost(place: Place, stream: str) -> None:
    with scenes(place, stream) as entered:
        entered[0].link.loss(0.05)
        flowing(entered, hold(entered, FAULT_S))
        entered[0].link.loss(0)
        recovered(entered)
        assert reconnects(entered) == [0, 0, 0, 0]


@pytest.mark.parametrize("pair", [EVERYBODY[:2], EVERYBODY[2:]], ids=["broker", "without-a-broker"])
def test_a_slow_line_takes_streams_that_fit(place: Place, stream: str, pair: tuple[str, ...]) -> None:
    with scenes(place, stream, pair, codec="h264", size=SIZE) as entered:
        entered[0].link.rate("1mbit")
        flowing(entered, hold(entered, FAULT_S))


def test_a_slow_line_drops_of_a_stream_that_does_not_fit(
    place: Place, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Frames are dropped, not connections; and it does not take longer to recover for having been slow."""
    caplog.set_level(logging.INFO)
    with scenes(place, stream, codec="jpeg", size=SIZE) as entered:
        caplog.clear()
        sender = entered[0].feeder.producer
        before = sender.stats().published_bytes
        entered[0].link.rate("1mbit")
        began_s = hold(entered, FAULT_S)
        # What waits in its system's buffers would come through one day, and be old.
        sent = sender.stats().published_bytes - before
        assert sent < 2 * (time.monotonic() - began_s) * 125_000
        entered[0].link.rate(None)
        recovered(entered)
        assert reconnects(entered) == [0, 0, 0, 0]
        assert all(dropped(scene, far) for scene, far in zip(entered, EVERYBODY, strict=True))
        warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert [record for record in warnings if record.getMessage().startswith("fanlight")] == []


def dropped(scene: Scene, far: str) -> int:
    """Frames that were dropped before the line, wherever that is."""
    if far == "producer":
        sent = scene.feeder.producer.stats()
        return sent.skipped + sent.stale + sent.unsent
    received = scene.watcher.consumer.stats()
    return received.lost + received.late


def test_frames_come_at_odd_intervals(place: Place, stream: str) -> None:
    with scenes(place, stream, proxied=True) as entered:
        for proxy in proxies(entered):
            proxy.jitter_s = 0.1
        flowing(entered, hold(entered, FAULT_S))
        for proxy in proxies(entered):
            proxy.clear()
        recovered(entered)
        assert reconnects(entered) == [0, 0, 0, 0]


def test_a_connection_is_cut(place: Place, stream: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with scenes(place, stream, proxied=True) as entered:
        for reset in (True, False):
            caplog.clear()
            for proxy, far in zip(proxies(entered), EVERYBODY, strict=True):
                assert proxy.cut(reset=reset, refuse=True) >= 1
                wait_line(caplog, stream, far, "; attempt ")  # known reasons are logged more seldom
                proxy.admit()
            recovered(entered)
            for far in EVERYBODY:
                wait_line(caplog, stream, far, "connected to")
                assert len(lines(caplog, stream, far, "connected to")) == 1


def test_a_peer_that_acknowledges_and_does_not_read_is_waited_for(place: Place, stream: str) -> None:
    """As a broker that is suspended: packets are acknowledged, while there is room, and not read."""
    with scenes(place, stream, proxied=True) as entered:
        for proxy in proxies(entered):
            proxy.hold = True
        hold(entered, 4)
        for proxy in proxies(entered):
            assert proxy.connections >= 1
            proxy.hold = False
        recovered(entered)
        assert reconnects(entered) == [0, 0, 0, 0]


def proxies(entered: list[Scene]) -> list[TcpProxy]:
    return [scene.proxy for scene in entered if scene.proxy is not None]
