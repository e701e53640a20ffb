"""One stream for all its viewers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

import pytest

from fanlight.common import clock
from fanlight.common.model.errors import BrokerRefused, FanlightError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.wall.feed import MOST_SIZES, Feed
from fanlight.consumer.wall.message import Form
from tests.support.timing import scaled
from tests.unit.consumer.sinks.build import encoded
from tests.unit.consumer.wall.build import ScriptedSource, frame

pytestmark = pytest.mark.usefixtures("unhurried")

MAX_AGE_NS = 3600 * 1_000_000_000
SECOND = 1_000_000_000


class _Fed:
    """A feed whose source the test plays. To be made on an event loop."""

    def __init__(self) -> None:
        self.failed: list[Feed] = []
        self.feed = Feed(
            "cam",
            ScriptedSource,
            count(1),
            MAX_AGE_NS,
            self.failed.append,
            lambda call: call(),
        )
        assert isinstance(self.feed.source, ScriptedSource)
        self.source = self.feed.source

    def deliver(self, *frames: EncodedFrame) -> None:
        now_ns = clock.monotonic_ns()  # at once, whatever comes between on a busy machine
        for each in frames:
            self.feed.deliver(each, clock.wall_ns(), now_ns)


def _on_loop(test: Callable[[_Fed], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        fed = _Fed()
        try:
            await asyncio.wait_for(test(fed), scaled(10))
        finally:
            fed.feed.stop()

    asyncio.run(run())


def test_all_viewers_of_a_form_share_one_message() -> None:
    async def test(fed: _Fed) -> None:
        queues = [fed.feed.join(Form.FRAMES, None) for _ in range(3)]
        fed.deliver(frame(0))
        messages = [(await queue.get()).message() for queue in queues]
        assert all(each is messages[0] for each in messages)

    _on_loop(test)


def test_each_form_has_an_id_of_its_own() -> None:
    async def test(fed: _Fed) -> None:
        frames, mp4 = fed.feed.join(Form.FRAMES, None), fed.feed.join(Form.MP4, None)
        fed.deliver(encoded(1)[0])
        ids = {(await queue.get()).message()[4:8] for queue in (frames, mp4)}
        assert len(ids) == 2

    _on_loop(test)


def test_frames_of_another_thread_come_in_order() -> None:
    async def test(fed: _Fed) -> None:
        queue = fed.feed.join(Form.FRAMES, None)
        frames = [frame(seq) for seq in range(9)]
        await asyncio.to_thread(lambda: [fed.source.send(each, clock.wall_ns()) for each in frames])
        assert [(await queue.get()).frame for _ in frames] == frames

    _on_loop(test)


@pytest.mark.parametrize(
    ("then", "reset"),
    [
        (frame(1), False),
        (frame(2), True),  # one is missing
        (frame(1, epoch=8), True),
        (frame(1, Codec.JPEG), True),
    ],
)
def test_decoders_are_reset_where_frames_do_not_follow(then: EncodedFrame, reset: bool) -> None:
    async def test(fed: _Fed) -> None:
        queue = fed.feed.join(Form.FRAMES, None)
        fed.deliver(frame(0), then)
        assert (await queue.get()).discontinuity  # the first one
        assert (await queue.get()).discontinuity is reset

    _on_loop(test)


def test_a_lost_picture_resets_nothing() -> None:
    async def test(fed: _Fed) -> None:
        queue = fed.feed.join(Form.FRAMES, None)
        fed.deliver(frame(0, Codec.JPEG), frame(5, Codec.JPEG))
        await queue.get()
        assert not (await queue.get()).discontinuity

    _on_loop(test)


def test_a_second_form_begins_with_what_came_before() -> None:
    async def test(fed: _Fed) -> None:
        fed.feed.join(Form.FRAMES, None)
        fed.deliver(*encoded(3))
        late = fed.feed.join(Form.MP4, None)
        assert [(await late.get()).frame.header.seq for _ in range(3)] == [0, 1, 2]

    _on_loop(test)


def test_many_requests_for_a_keyframe_are_one_until_it_comes() -> None:
    async def test(fed: _Fed) -> None:
        for _ in range(50):
            fed.feed.want_key()
        await asyncio.sleep(0.01)
        assert fed.source.key_requests == fed.feed.key_requests == 1
        fed.deliver(frame(0))
        fed.feed.want_key()  # the next one has to wait for a moment
        await asyncio.sleep(0)
        assert fed.source.key_requests == 1
        while fed.source.key_requests < 2:
            await asyncio.sleep(0.01)

    _on_loop(test)


def test_so_many_sizes_are_made_at_a_time() -> None:
    async def test(fed: _Fed) -> None:
        sizes = [(100 + number, 100) for number in range(MOST_SIZES)]
        queues = [fed.feed.join(Form.JPEG, size) for size in sizes]
        with pytest.raises(FanlightError, match=r"6 sizes already: 100x100, 101x100"):
            fed.feed.join(Form.JPEG, (1, 1))
        # What is made already, and what is not scaled, takes no further decoder.
        fed.feed.join(Form.JPEG, sizes[0])
        fed.feed.join(Form.JPEG, None)
        fed.feed.leave(queues[1])
        fed.feed.join(Form.JPEG, (1, 1))

    _on_loop(test)


def test_a_failure_reaches_all_viewers() -> None:
    async def test(fed: _Fed) -> None:
        queue = fed.feed.join(Form.FRAMES, None)
        await asyncio.to_thread(fed.source.fail, BrokerRefused("no such right"))
        with pytest.raises(BrokerRefused, match="no such right"):
            await queue.get()
        assert fed.failed == [fed.feed]

    _on_loop(test)


def test_a_loop_that_stands_still_keeps_a_bounded_number_of_frames() -> None:
    async def test(fed: _Fed) -> None:
        queue = fed.feed.join(Form.FRAMES, None)
        for seq in range(200):  # the loop has no turn meanwhile
            fed.source.send(frame(seq, key=seq == 0), clock.wall_ns())
        overrun = fed.feed.overrun
        assert overrun >= 100
        while (await queue.get()).frame.header.seq < 199 - overrun:
            pass
        fed.source.send(frame(200, key=False), clock.wall_ns())
        fed.source.send(frame(201, key=True), clock.wall_ns())
        resumed = await queue.get()
        assert (resumed.frame.header.seq, resumed.discontinuity) == (201, True)
        assert fed.feed.overrun == overrun + 1

    _on_loop(test)


def test_the_state_says_whether_frames_come() -> None:
    async def test(fed: _Fed) -> None:
        seen = []

        def check(now_ns: int) -> None:
            if fed.feed.check(now_ns):
                seen.append((fed.feed.state.live, fed.feed.state.reason))

        check(clock.monotonic_ns())
        check(clock.monotonic_ns())
        fed.deliver(frame(0))
        now_ns = clock.monotonic_ns()
        check(now_ns)
        check(now_ns + 2 * SECOND)
        fed.source.reason = "not connected"
        check(now_ns + 3 * SECOND)
        nothing = "connected, but nothing arrives"
        assert seen == [(False, nothing), (True, ""), (False, nothing), (False, "not connected")]

    _on_loop(test)


def test_nothing_is_passed_on_after_the_end() -> None:
    async def test(fed: _Fed) -> None:
        queue = fed.feed.join(Form.FRAMES, None)
        fed.feed.stop()
        fed.deliver(frame(0))
        fed.feed.want_key()
        assert queue.take(clock.monotonic_ns()) is None
        assert fed.source.key_requests == 0
        assert fed.source.stopped

    _on_loop(test)
