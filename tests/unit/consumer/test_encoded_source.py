"""Frames that a program gets as they came."""

from __future__ import annotations

from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.pixels import FULL_BGR
from fanlight.consumer.encoded_playout import EncodedPlayout
from fanlight.consumer.encoded_source import EncodedSource
from fanlight.consumer.frame import UndecodedFrame
from fanlight.consumer.stats import Outcome
from tests.unit.consumer.build import MS, SECOND, Receiving, Screen, encoded


class Late(Screen):
    """Refuses, as what is too old by then."""

    def __init__(self) -> None:
        super().__init__()
        self.late = False

    def present(self, *args: object, **more: object) -> None:
        return None if self.late else super().present(*args, **more)  # type: ignore[arg-type, return-value]


class Bench(Receiving):
    """The receiving half, and the source that takes its frames."""

    def __init__(self) -> None:
        super().__init__(EncodedPlayout(500 * MS))
        self.screen = Late()
        self.source = EncodedSource(FULL_BGR, self.mailbox, self.receiver, self.counters, self.screen)

    def take(self) -> tuple[int, bytes] | None:
        frame = self.source.take(0)
        assert frame is None or isinstance(frame, UndecodedFrame)
        return None if frame is None else (frame.seq, frame.encoded)


def chain(first: int, count: int) -> list[EncodedFrame]:
    """H.264 that no decoder would take, from a keyframe on."""
    return [
        encoded(Codec.H264, seq, f"body {seq}".encode(), key=seq == first)
        for seq in range(first, first + count)
    ]


def test_the_bytes_come_as_they_are_in_order_and_nothing_is_decoded() -> None:
    bench = Bench()
    bench.receive(*chain(0, 3))
    assert [bench.take() for _ in range(4)] == [(0, b"body 0"), (1, b"body 1"), (2, b"body 2"), None]
    assert bench.stats.undecodable == 0
    bench.receive(encoded(Codec.JPEG, 3, b"jpeg"), encoded(Codec.JPEG, 4, b"newer"))
    assert [bench.take() for _ in range(2)] == [(4, b"newer"), None]


def test_after_one_that_was_too_old_when_it_was_due_a_keyframe_comes_next() -> None:
    bench = Bench()
    bench.receive(*chain(0, 3))
    bench.screen.late = True
    assert bench.take() is None
    bench.screen.late = False
    assert bench.take() is None
    bench.receive(*chain(3, 2))
    assert [bench.take() for _ in range(2)] == [(3, b"body 3"), (4, b"body 4")]


def test_frames_from_the_future_are_not_handed_out() -> None:
    bench = Bench()
    bench.receive(*chain(0, 2), age_ms=-60_000)
    assert bench.take() is None
    assert (0, Outcome.LATE) in bench.outcomes
    assert bench.take() is None


def test_after_an_exception_of_a_signal_handler_a_keyframe_comes_next() -> None:
    bench = Bench()
    bench.receive(*chain(0, 3))
    bench.screen.failure = KeyboardInterrupt()  # type: ignore[assignment]
    try:
        bench.take()
    except KeyboardInterrupt:
        bench.source.restart()
    assert bench.take() is None
    bench.receive(*chain(3, 1), step_ns=SECOND)
    assert bench.take() == (3, b"body 3")
