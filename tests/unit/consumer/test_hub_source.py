"""A hub as a source of frames, with a real ring in this host's shared memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fanlight.common.model.frame import Codec
from fanlight.common.shm.reader import Attachment
from fanlight.consumer.hub_source import IDLE_NS, LIVENESS_TIMEOUT_NS, HubSource
from fanlight.consumer.stats import ConsumerCounters
from tests.unit.consumer.build import (
    FPS,
    HEIGHT,
    MS,
    SECOND,
    WIDTH,
    Hub,
    ManualClock,
    Screen,
    own_ring,
    sharing,
)  # fmt: skip

DELAY = 150 * MS


class Viewer:
    """A source, what it counted, and what it presented."""

    def __init__(
        self,
        hub: Hub,
        clock: ManualClock,
        *,
        delay_ns: int | None = None,
        after: tuple[int, int] | None = None,
    ) -> None:
        self.counters, self.screen = ConsumerCounters(), Screen()
        self.source = HubSource(
            Attachment(hub.name, own_ring().picture_format),
            "cam",
            self.counters,
            self.screen,
            delay_ns=delay_ns,
            after=after,
            now_ns=clock.monotonic_ns,
        )

    def take(self) -> int | None:
        frame = self.source.take(0)
        return None if frame is None else frame.seq


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hub() -> Iterator[Hub]:
    with sharing(own_ring()) as hub:
        yield hub


def test_a_picture_becomes_a_frame_of_the_stream(hub: Hub, clock: ManualClock) -> None:
    hub.share(7, age_ms=12, now_ns=clock.now_ns)
    viewer = Viewer(hub, clock, after=(9, 500))  # the last frame came from another producer
    frame = viewer.source.take(0)
    assert frame is not None
    assert viewer.screen.captured_ns == [clock.now_ns - 12 * MS], "by the clock of this host"
    assert viewer.screen.due_ns == [None]
    header = frame.header
    assert (header.stream, header.codec, header.epoch, header.seq, header.capture_ns) == (
        "cam", Codec.H264, 1, 7, 1_000_007,
    )  # fmt: skip
    assert (header.width, header.height, header.key, header.fps) == (WIDTH, HEIGHT, False, FPS)
    assert frame.received_ns == 2_000_007
    assert np.array_equal(frame.image, np.full((HEIGHT, WIDTH, 3), 7, np.uint8))
    assert not frame.image.flags.writeable
    assert frame.valid


def test_pictures_that_were_overwritten_are_counted_too(clock: ManualClock) -> None:
    with sharing(own_ring(), slots=3, grace_ns=0) as hub:
        hub.share(0)
        viewer = Viewer(hub, clock)
        viewer.take()
        hub.share(*range(1, 10))
        assert viewer.take() == 9
        stats = viewer.counters.stats(0)
        assert (stats.received, stats.superseded, stats.lost) == (8, 8, 0)


def test_under_sync_a_picture_is_given_out_ahead_with_its_time(hub: Hub, clock: ManualClock) -> None:
    hub.share(0, age_ms=0, now_ns=clock.now_ns)
    viewer = Viewer(hub, clock, delay_ns=DELAY)
    due_ns = clock.now_ns + DELAY
    assert viewer.take() is None
    clock.now_ns = due_ns - int(0.75 * SECOND / FPS)
    assert viewer.take() == 0
    assert viewer.screen.due_ns == [due_ns]


# Whether the hub is still there ------------------------------------------------------------------------


def test_a_hub_is_silent_once_no_picture_came_for_a_while(hub: Hub, clock: ManualClock) -> None:
    hub.share(0, now_ns=clock.now_ns)
    viewer = Viewer(hub, clock)
    clock.now_ns += IDLE_NS
    assert not viewer.source.idle, "there is one to be shown"
    viewer.take()
    assert (viewer.source.idle, viewer.source.successor_overdue) == (False, False)
    clock.now_ns += IDLE_NS
    assert (viewer.source.idle, viewer.source.successor_overdue) == (True, True)
    hub.share(1, now_ns=clock.now_ns)
    assert not viewer.source.idle


def test_a_hub_that_closes_is_silent_at_once_and_not_overdue(hub: Hub, clock: ManualClock) -> None:
    hub.share(0, now_ns=clock.now_ns)
    viewer = Viewer(hub, clock)
    hub.segment.close()
    assert not viewer.source.idle, "its last picture is shown yet"
    assert viewer.take() == 0
    assert (viewer.source.idle, viewer.source.lost, viewer.source.successor_overdue) == (True, True, False)
    assert viewer.screen.frames[0].valid, "it stays as long as it is used"


def test_a_hub_that_is_stuck_has_left(hub: Hub, clock: ManualClock) -> None:
    hub.keep_alive(clock.now_ns)
    viewer = Viewer(hub, clock)
    left = [viewer.source.lost]
    clock.now_ns += LIVENESS_TIMEOUT_NS + 1
    left.append(viewer.source.lost)
    hub.keep_alive(clock.now_ns)
    left.append(viewer.source.lost)
    assert left == [False, True, False]
