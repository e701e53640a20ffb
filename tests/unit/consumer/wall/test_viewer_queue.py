"""What one viewer gets: bounded, in order, and decodable."""

from __future__ import annotations

import asyncio

import pytest

from fanlight.common.model.errors import StreamEnded
from fanlight.common.model.frame import Codec
from fanlight.consumer.wall.message import Description, Form, Kind
from fanlight.consumer.wall.viewer_queue import Drop, LiveFrame, ViewerQueue
from tests.unit.consumer.wall.build import MS, frame, live


class _Viewer:
    """A queue with a clock, and what it asked for."""

    def __init__(self) -> None:
        self.asked = self.told = 0
        self.now_ns = 0
        self.queue = ViewerQueue(self._ask, self._tell, now_ns=lambda: self.now_ns)

    def _ask(self) -> None:
        self.asked += 1

    def _tell(self) -> None:
        self.told += 1

    def push(self, *frames: LiveFrame) -> None:
        for each in frames:
            self.queue.push(each, self.now_ns)

    def take(self) -> list[int]:
        """The numbers of all frames that can be taken."""
        taken = []
        while (each := self.queue.take(self.now_ns)) is not None:
            taken.append(each.frame.header.seq)
        return taken


def test_a_viewer_begins_with_a_keyframe_and_asks_for_it() -> None:
    viewer = _Viewer()
    viewer.push(live(8), live(9))
    assert viewer.take() == []
    assert viewer.asked == 1
    viewer.push(live(10), live(11))
    assert viewer.take() == [10, 11]
    assert viewer.queue.drops == {Drop.AWAITING_KEY: 2}


def test_a_reader_is_told_once_until_it_has_taken_all() -> None:
    viewer = _Viewer()
    viewer.push(live(0), live(1), live(2))
    assert viewer.told == 1
    viewer.take()
    viewer.push(live(3))
    assert viewer.told == 2


def test_a_viewer_that_does_not_read_costs_bounded_memory_and_no_keyframes() -> None:
    viewer = _Viewer()
    for seq in range(1000):
        viewer.push(live(seq, size_bytes=50_000))
        viewer.now_ns += MS
        assert len(viewer.queue) * 50_000 <= 1024 * 1024
    assert viewer.asked == 0
    assert sum(viewer.queue.drops.values()) + len(viewer.queue) == 1000


def test_what_waited_for_too_long_is_dropped_when_the_reader_returns() -> None:
    viewer = _Viewer()
    viewer.push(live(0), live(1))
    viewer.now_ns = 301 * MS
    assert viewer.take() == []
    assert viewer.asked == 1
    viewer.push(live(2), live(10))
    assert viewer.take() == [10]
    assert viewer.queue.drops == {Drop.SLOW: 2, Drop.AWAITING_KEY: 1}


def test_after_a_drop_the_decoder_is_reset() -> None:
    viewer = _Viewer()
    viewer.push(live(0))
    viewer.queue.clear()
    shared = live(10)
    viewer.push(shared, live(11))
    first, second = viewer.queue.take(0), viewer.queue.take(0)
    assert first is not None
    assert second is not None
    assert (first.discontinuity, second.discontinuity) == (True, False)
    assert first is shared.restarted()  # one object for all viewers that need it
    assert viewer.queue.drops == {Drop.CLEARED: 1}


def test_a_keyframe_supersedes_what_waits_if_the_viewer_is_behind() -> None:
    viewer = _Viewer()
    viewer.push(live(8, key=True), live(9))
    viewer.now_ns = 51 * MS
    viewer.push(live(10))
    assert viewer.take() == [10]
    assert viewer.queue.drops == {Drop.SUPERSEDED: 2}


def test_a_keyframe_supersedes_nothing_if_the_viewer_is_not_behind() -> None:
    viewer = _Viewer()
    viewer.push(live(0), live(1), live(10))
    assert viewer.take() == [0, 1, 10]


def test_a_picture_larger_than_the_limit_is_passed_on_alone() -> None:
    viewer = _Viewer()
    viewer.push(live(0, Codec.JPEG, size_bytes=5_000_000), live(1, Codec.JPEG, size_bytes=5_000_000))
    assert viewer.take() == [1]


def test_what_is_superseded_keeps_its_reset() -> None:
    viewer = _Viewer()
    restarting = LiveFrame(frame(0), 0, True)
    viewer.push(restarting)
    viewer.now_ns = 100 * MS
    viewer.push(live(10))
    taken = viewer.queue.take(viewer.now_ns)
    assert taken is not None
    assert taken.discontinuity


def test_a_task_waits_for_the_next_frame() -> None:
    async def run() -> None:
        queue = ViewerQueue(lambda: None)
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.push(live(0), queue.joined_ns)
        assert (await waiting).frame.header.seq == 0
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.end(StreamEnded("over"))
        with pytest.raises(StreamEnded, match="over"):
            await waiting

    asyncio.run(run())


def test_a_message_is_built_once_for_all_viewers() -> None:
    described = Description("cam", Form.FRAMES, 5, "h264", 64, 48, 30.0, 7)
    shared = LiveFrame(frame(0), 9_000, False, described)
    assert shared.message() is shared.message()
    assert shared.message()[1:8] == bytes([Kind.H264, 1, 0, 0, 0, 0, 5])
    assert shared.restarted().message()[2] == 3
    assert shared.restarted().message()[3:] == shared.message()[3:]
    jpeg = LiveFrame(frame(0, Codec.JPEG), 0, False, described)
    assert jpeg.message()[1] == Kind.JPEG
    mp4 = LiveFrame(frame(0), 0, False, described, fragment=b"moof", init=b"ftyp")
    assert (mp4.init_message()[1], mp4.init_message()[40:]) == (Kind.MP4_INIT, b"ftyp")
    assert (mp4.message()[1], mp4.message()[40:]) == (Kind.MP4_FRAGMENT, b"moof")
