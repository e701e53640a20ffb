"""A machine too slow for its viewers, simulated: `sync` shows about as many frames as `latest`.

Pure: the work of a consumer takes time on a clock that only this file steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fanlight.common.model.frame import Codec
from fanlight.consumer.playout import LatestPlayout, ReceivedFrame, SyncPlayout
from tests.unit.consumer.test_playout import DELAY, INTERVAL, MAX_AGE, MS, arrived

FRAMES = 1000
TRANSIT = 10 * MS


@dataclass(frozen=True)
class Work:
    """What a frame costs, in frame intervals: to decode, to convert to pixels, and to show."""

    decode: float
    pixels: float
    show: float


class Run:
    """One consumer from its first frame to its last, as `StreamSource` and `Decoding` drive it."""

    def __init__(self, playout: LatestPlayout | SyncPlayout, work: Work, codec: Codec) -> None:
        self.playout = playout
        self.work = work
        self.now_ns = 0
        self.coming = [
            arrived(n, n * INTERVAL, key=n % 50 == 0, codec=codec) for n in reversed(range(FRAMES))
        ]
        self.decoded: set[int] = set()
        self.prepared: int | None = None
        self.shown: list[int] = []
        self.ages_ns: list[int] = []
        while self.coming:
            self.receive()
            self.take()

    def receive(self) -> None:
        """What arrived while work was done."""
        while self.coming and self.coming[-1].header.capture_ns + TRANSIT <= self.now_ns:
            assert not self.playout.push(self.coming.pop()).broken

    def take(self) -> None:
        step = self.playout.take(self.now_ns)
        for frame in step.decode:
            if not frame.header.codec.intra_only:
                self.decode(frame)
        if step.frame is not None:
            self.show(step.frame)
        elif step.prepare is not None:
            self.convert(step.prepare)
            self.prepared = step.prepare.header.seq
        elif step.decode_ahead is not None:
            self.decode(step.decode_ahead)
        elif not step.decode:
            arrives_ns = self.coming[-1].header.capture_ns + TRANSIT if self.coming else self.now_ns
            due_ns = arrives_ns if step.wait_ns is None else self.now_ns + step.wait_ns
            self.now_ns = min(arrives_ns, due_ns)

    def show(self, frame: ReceivedFrame) -> None:
        seq = frame.header.seq
        if self.prepared != seq:
            self.convert(frame)
        self.shown.append(seq)
        self.ages_ns.append(self.now_ns - frame.header.capture_ns)
        self.spend(self.work.show)

    def convert(self, frame: ReceivedFrame) -> None:
        self.decode(frame)
        self.spend(self.work.pixels)

    def decode(self, frame: ReceivedFrame) -> None:
        if frame.header.seq not in self.decoded:
            self.decoded.add(frame.header.seq)
            self.spend(self.work.decode)

    def spend(self, intervals: float) -> None:
        self.now_ns += int(intervals * INTERVAL)


SLOW = [Work(0.1, 0.1, 1.1), Work(0.3, 0.2, 0.8), Work(0.7, 0.2, 0.4)]
CASES = [*((codec, work) for codec in (Codec.H264, Codec.JPEG) for work in SLOW)]
# Where each frame stands alone, those that are skipped cost nothing.
CASES.append((Codec.JPEG, Work(0.9, 0.1, 0.3)))


@pytest.mark.parametrize(("codec", "work"), CASES, ids=str)
@pytest.mark.parametrize("decoded_ahead", [2, 4])
def test_sync_shows_about_as_many_frames_as_latest_and_stays_in_step(
    codec: Codec, work: Work, decoded_ahead: int
) -> None:
    assert work.decode + work.pixels + work.show == pytest.approx(1.3)
    latest = Run(LatestPlayout(MAX_AGE), work, codec)
    sync = Run(SyncPlayout(DELAY, MAX_AGE, decoded_ahead), work, codec)
    assert len(sync.shown) >= 0.9 * len(latest.shown)
    assert max(sync.ages_ns) <= DELAY + 2 * INTERVAL
    assert sync.shown == sorted(set(sync.shown))
