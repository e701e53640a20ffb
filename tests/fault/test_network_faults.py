"""Bad lines, each alone: cut, silent, jittery, lossy, slow; between the broker and producer or consumer.

And without a broker, between these two. Every frame is looked at: nothing old, nothing out of
order, no pixel of another frame; and who is not behind the bad line notices nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import pytest

from scripts.lib import netns
from scripts.private_node import scripts_folder
from tests.support.bad_line import Place, Scene, made_place, streaming, wait_long
from tests.support.timing import scaled, wait_until

RECOVERY_S = 2.0
# The longest that a consumer on a good line goes without a frame, on a machine with other things to do.
PAUSE_S = 1.0
SIZE = (640, 360)
FPS = 30
# Four streams over the same line at once: it takes a quarter of the time, on a machine of two cores too.
EVERYBODY = ("producer", "consumer", "threads", "multiplex")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    reason = netns.unavailable()
    if reason is not None:
        pytest.skip(reason)
    if scripts_folder() is None:
        pytest.skip("rabbitmq-server is not installed; scripts/test installs it where it may")
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
    """Streams over a line that the test makes bad and good again; what must never be is looked for."""
    with ExitStack() as stack:
        entered = [
            stack.enter_context(
                streaming(place, f"{stream}-{far}", far, codec=codec, size=size, proxied=proxied)
            )
            for far in whom
        ]
        began_s = time.monotonic()
        yield entered
        for scene in entered:
            scene.wait_flow()
            assert scene.faults() == []
            assert scene.feeder.producer.failure is None
            if scene.bystander is not None:
                assert scene.bystander.longest_pause_s(began_s) < scaled(PAUSE_S)
                assert scene.bystander.consumer.stats().reconnects == 0


def recovered(entered: list[Scene], since_s: float) -> None:
    for scene in entered:
        assert scene.recovered_s(since_s) < scaled(RECOVERY_S)


def reconnects(scene: Scene) -> int:
    return scene.watcher.consumer.stats().reconnects


def lines(caplog: pytest.LogCaptureFixture, of: str) -> list[logging.LogRecord]:
    """What the part with that title has said."""
    return [record for record in caplog.records if record.getMessage().startswith(of)]


def title(stream: str, far: str) -> str:
    """Of who is behind the line."""
    role = "producer" if far == "producer" else "consumer"
    return f"fanlight {role} {stream}-{far}" + ("" if far == "producer" else " far")


def test_packets_vanish_for_longer_than_tcp_is_given(
    place: Place, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Heartbeats would need 20 s; it is said once that the network is silent, and once that it is back."""
    caplog.set_level(logging.INFO)
    with scenes(place, stream) as entered:
        caplog.clear()
        entered[0].link.drop(True)
        wait_long(4)
        entered[0].link.drop(False)
        recovered(entered, time.monotonic())
        for scene, far in zip(entered, EVERYBODY, strict=True):
            wait_said(caplog, stream, far, "connected to")
            everything = lines(caplog, title(stream, far))
            assert len(said(caplog, stream, far, "the network is silent")) == 1, everything
            assert len(said(caplog, stream, far, "connected to")) == 1, everything
            times = [record.created for record in everything if record.levelno >= logging.WARNING]
            assert all(later - earlier >= 0.9 for earlier, later in pairwise(times)), everything
            assert reconnects(scene) == (0 if far == "producer" else 1)


def said(caplog: pytest.LogCaptureFixture, stream: str, far: str, what: str) -> list[logging.LogRecord]:
    return [record for record in lines(caplog, title(stream, far)) if what in record.getMessage()]


def wait_said(caplog: pytest.LogCaptureFixture, stream: str, far: str, what: str) -> None:
    wait_until(lambda: said(caplog, stream, far, what), 2, f"{what!r} is said")


def test_packets_vanish_for_a_moment(place: Place, stream: str) -> None:
    """The connections hold. What then arrives at once is old, and the next picture needs a keyframe."""
    with scenes(place, stream, codec="h264", size=SIZE) as entered:
        entered[0].link.drop(True)
        wait_long(0.9)
        entered[0].link.drop(False)
        recovered(entered, time.monotonic())
        assert [reconnects(scene) for scene in entered] == [0, 0, 0, 0]


def test_packets_get_lost(place: Place, stream: str) -> None:
    with scenes(place, stream) as entered:
        entered[0].link.loss(0.05)
        began_s = time.monotonic()
        wait_long(2.5)
        for scene in entered:
            assert scene.shown_since(began_s) > 2.5 * FPS / 3
        entered[0].link.loss(0)
        recovered(entered, time.monotonic())
        assert [reconnects(scene) for scene in entered] == [0, 0, 0, 0]


@pytest.mark.parametrize("pair", [EVERYBODY[:2], EVERYBODY[2:]], ids=["broker", "without-a-broker"])
def test_a_slow_line_takes_streams_that_fit(place: Place, stream: str, pair: tuple[str, ...]) -> None:
    with scenes(place, stream, pair, codec="h264", size=SIZE) as entered:
        entered[0].link.rate("1mbit")
        began_s = time.monotonic()
        wait_long(2.5)
        for scene in entered:
            assert scene.shown_since(began_s) > 2.5 * FPS / 2
            assert reconnects(scene) == 0


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
        wait_long(2.5)
        # What waits in its system's buffers would come through one day, and be old.
        assert sender.stats().published_bytes - before < 2 * 2.5 * 125_000
        entered[0].link.rate(None)
        recovered(entered, time.monotonic())
        assert [reconnects(scene) for scene in entered] == [0, 0, 0, 0]
        assert [record for record in lines(caplog, "fanlight") if record.levelno >= logging.WARNING] == []
        for scene, far in zip(entered, EVERYBODY, strict=True):
            stats = scene.feeder.producer.stats()
            seen = scene.watcher.consumer.stats()
            dropped = (
                stats.skipped + stats.stale + stats.unsent if far == "producer" else seen.lost + seen.late
            )
            assert dropped > 20


def test_frames_come_at_odd_intervals(place: Place, stream: str) -> None:
    with scenes(place, stream, proxied=True) as entered:
        for scene in entered:
            assert scene.proxy is not None
            scene.proxy.jitter_s = 0.1
        began_s = time.monotonic()
        wait_long(2.5)
        for scene in entered:
            assert scene.proxy is not None
            assert scene.shown_since(began_s) > 2.5 * FPS / 3
            scene.proxy.clear()
        recovered(entered, time.monotonic())
        assert [reconnects(scene) for scene in entered] == [0, 0, 0, 0]


def test_a_connection_is_cut(place: Place, stream: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with scenes(place, stream, proxied=True) as entered:
        for reset in (True, False):
            wait_long(1.1)  # within a second of the last line there would be none
            caplog.clear()
            for scene, far in zip(entered, EVERYBODY, strict=True):
                assert scene.proxy is not None
                assert scene.proxy.cut(reset=reset, refuse=True) >= 1
                wait_said(caplog, stream, far, "attempt 2")
                scene.proxy.admit()
            recovered(entered, time.monotonic())
            for far in EVERYBODY:
                wait_said(caplog, stream, far, "connected to")
                assert len(said(caplog, stream, far, "connected to")) == 1


def test_who_answers_only_with_its_system_is_waited_for(place: Place, stream: str) -> None:
    """As a broker that is suspended: packets are acknowledged, while there is room, and not read."""
    with scenes(place, stream, proxied=True) as entered:
        for scene in entered:
            assert scene.proxy is not None
            scene.proxy.hold = True
        wait_long(4)
        for scene in entered:
            assert scene.proxy is not None
            assert scene.proxy.connections >= 1
            scene.proxy.hold = False
        recovered(entered, time.monotonic())
        assert [reconnects(scene) for scene in entered] == [0, 0, 0, 0]
