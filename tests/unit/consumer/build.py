"""Parts for the tests of a consumer: a hub's ring, the receiving half, a screen, and a clock to be set."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.control import ControlMessage, KeyframeRequest, Reason
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader
from fanlight.common.model.pixels import FULL_BGR, Pixels
from fanlight.common.shm.layout import CODECS, SegmentHeader, Slot
from fanlight.common.shm.names import RingName
from fanlight.common.shm.reader import SharedPicture
from fanlight.common.shm.writer import Segment
from fanlight.consumer.delivery import Delivery
from fanlight.consumer.frame import Frame
from fanlight.consumer.mailbox import Mailbox
from fanlight.consumer.playout import Dropped, LatestPlayout, Playout
from fanlight.consumer.producer_clock import ProducerClock
from fanlight.consumer.receiver import Receiver
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.stats import ConsumerCounters, ConsumerStats, Outcome, TraceRow
from tests.support.headers import header

MS = 1_000_000
SECOND = 1000 * MS
WIDTH, HEIGHT = 16, 8
FPS = 30.0


class ManualClock:
    """The clocks of a host: they stand still until a test sets `now_ns`, which is monotonic."""

    def __init__(self) -> None:
        self.now_ns = monotonic_ns()

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns + 1_600_000_000 * SECOND


class Hub:
    """Shares pictures of its own, as the sink `share` does; their pixels are all the frame's seq."""

    def __init__(self, ring: RingName, *, epoch: int = 1, slots: int = 40, grace_ns: int = SECOND) -> None:
        described = SegmentHeader(
            format=ring.picture_format.pixel_format,
            width=WIDTH,
            height=HEIGHT,
            slots=slots,
            epoch=epoch,
            grace_ns=grace_ns,
        )
        self.name = ring.segment(secrets.token_hex(4))
        self.segment = Segment(self.name, described)

        self.keep_alive()

    def share(self, *seqs: int, age_ms: float = 5, now_ns: int | None = None) -> None:
        """Share pictures that were captured so long ago, all at the same time."""
        now_ns = monotonic_ns() if now_ns is None else now_ns
        for seq in seqs:
            slot = Slot(
                number=0,
                seq=seq,
                capture_ns=1_000_000 + seq,
                captured_ns=now_ns - int(age_ms * MS),
                written_ns=2_000_000 + seq,
                fps=FPS,
                codec_number=CODECS.index(Codec.H264),
                keyframe=0,
            )
            assert self.segment.write(np.full((HEIGHT, WIDTH, 3), seq, np.uint8), slot, now_ns)

    def keep_alive(self, now_ns: int | None = None) -> None:
        self.segment.keep_alive(monotonic_ns() if now_ns is None else now_ns)


def own_ring() -> RingName:
    """A ring that nobody else has."""
    return RingName("cam", FULL_BGR, secrets.token_hex(4))


@contextmanager
def sharing(ring: RingName, **more: int) -> Iterator[Hub]:
    """A hub that is gone at the end."""
    hub = Hub(ring, **more)
    try:
        yield hub
    finally:
        hub.segment.close()


class Screen(Delivery):
    """Presents whatever comes, at once, and records when it was due."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.captured_ns: list[int] = []
        self.due_ns: list[int | None] = []
        self.failure: Exception | None = None  # raised once, instead

    def present(
        self,
        header: FrameHeader,
        image: Pixels,
        received_ns: int,
        captured_ns: int,
        due_ns: int | None,
        lost: int,
        picture: SharedPicture | None = None,
    ) -> Frame | None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        frame = Frame(image, header, received_ns, received_ns, 0.0, lost, picture)
        self.frames.append(frame)
        self.captured_ns.append(captured_ns)
        self.due_ns.append(due_ns)
        return frame


class Receiving:
    """The receiving half of a consumer, with all that it sent and counted; no subscriber."""

    def __init__(self, playout: Playout | None = None, *, pool: str | None = None) -> None:
        settings = ConsumerSettings(stream="cam", name="c1", max_age_s=0.5, pool=pool)
        self.asking = True
        self.host = ManualClock()
        self.sent: list[ControlMessage] = []
        self.rows: list[TraceRow] = []
        self.dropped: list[Dropped] = []
        self.encoded: list[int] = []
        self.ended = 0
        self.failures: list[FanlightError] = []
        self.counters = ConsumerCounters()
        self.counters.on_trace = self.rows.append
        self.clock = ProducerClock(
            500 * MS,
            lambda: self.receiver.request_time(),  # noqa: PLW0108 - it comes later
            monotonic_ns=self.host.monotonic_ns,
            wall_ns=self.host.wall_ns,
        )
        if playout is None:
            playout = LatestPlayout(500 * MS)
        self.mailbox = Mailbox(playout, self.dropped.append, self.clock.now_ns)
        self.receiver = Receiver(
            settings,
            send=self.send,
            clock=self.clock,
            mailbox=self.mailbox,
            counters=self.counters,
            on_failed=self.failures.append,
            on_encoded=lambda frame: self.encoded.append(frame.header.seq),
            waits=lambda: self.asking,
            on_ended=self._count_end,
        )

    def _count_end(self) -> None:
        self.ended += 1

    def send(self, message: ControlMessage) -> None:
        assert not self.receiver.admission._lock.locked(), "sending may take its time"
        self.sent.append(message)

    def receive(self, *frames: EncodedFrame, age_ms: int = 10, step_ns: int = SECOND // 30) -> None:
        """Let frames arrive, each a thirtieth of a second after the one before."""
        for frame in frames:
            self.host.now_ns += step_ns
            header = frame.header._replace(capture_ns=self.clock.now_ns() - age_ms * MS)
            self.receiver.on_frame(EncodedFrame(header, frame.body), self.host.wall_ns())

    @property
    def requested(self) -> list[Reason]:
        """Why keyframes were requested."""
        return [message.reason for message in self.sent if isinstance(message, KeyframeRequest)]

    @property
    def stats(self) -> ConsumerStats:
        return self.counters.stats(self.host.now_ns)

    @property
    def outcomes(self) -> list[tuple[int, Outcome]]:
        return [(row.seq, row.outcome) for row in self.rows]


def encoded(codec: Codec, seq: int, body: bytes, *, key: bool = True, epoch: int = 1) -> EncodedFrame:
    return EncodedFrame(header(seq, codec, key=key, epoch=epoch, fps=FPS), body)
