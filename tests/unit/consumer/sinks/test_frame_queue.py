"""Frames that wait to be written: whole ones, from a keyframe on, and a bounded number."""

from __future__ import annotations

from dataclasses import replace

from fanlight.common.model.frame import Codec
from fanlight.consumer.sinks.frame_queue import FrameQueue
from tests.unit.consumer.sinks.build import encoded


def left_in(queue: FrameQueue) -> list[int]:
    queue.close()
    taken = []
    while (item := queue.take()) is not None:
        taken.append(item[0].header.seq)
    return taken


def test_a_recording_starts_at_a_keyframe_and_so_does_every_epoch() -> None:
    frames, queue = encoded(20), FrameQueue()
    for frame in frames[1:]:
        queue.put(frame, 0)
    for frame in frames[10:]:
        queue.put(replace(frame, header=frame.header._replace(epoch=8)), 0)
    assert queue.left_out == 0, "what came before the recording began is not missing from it"
    assert left_in(queue) == [*range(15, 20), *range(15, 20)]


def test_a_full_queue_leaves_out_whole_frames_up_to_a_keyframe() -> None:
    frames, queue = encoded(60), FrameQueue(max_frames=20)
    for frame in frames[:40]:
        queue.put(frame, 0)
    taken = [queue.take() for _ in range(20)]
    for frame in frames[40:]:
        queue.put(frame, 0)
    assert [item and item[0].header.seq for item in taken] == list(range(20))
    assert queue.left_out == 25
    assert left_in(queue) == [*range(45, 60)]


def test_the_queue_is_bounded_by_bytes_too_but_always_takes_one_frame() -> None:
    frames = encoded(6, of=Codec.RAW)
    for max_bytes, expected in ((3 * len(frames[0].body), [0, 1, 2]), (1, [0])):
        queue = FrameQueue(max_bytes=max_bytes)
        for frame in frames:
            queue.put(frame, 0)
        assert (queue.left_out, left_in(queue)) == (6 - len(expected), expected)
