"""What the tests of a consumer's parts are made of: a hub's ring, the receiving half, and who presents."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.control import ControlMessage
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader
from fanlight.common.model.pixels import FULL_BGR, Pixels
from fanlight.common.shm.layout import CODECS, SegmentHeader, Slot
from fanlight.common.shm.names import RingName
from fanlight.common.shm.reader import SharedPicture
from fanlight.common.shm.writer import Segment
from fanlight.consumer.account import Account
from fanlight.consumer.frame import Frame
from fanlight.consumer.mailbox import Mailbox
from fanlight.consumer.playout import Dropped, LatestPlayout, Playout
from fanlight.consumer.producer_clock import ProducerClock
from fanlight.consumer.receiver import Receiver
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.stats import Event, Outcome
from tests.support.headers import header

MS = 1_000_000
SECOND = 1000 * MS
WIDTH, HEIGHT = 16, 8
FPS = 30.0


class Hub:
    """Shares pictures of its own, as the sink `share` does; each is as grey as its seq."""

    def __init__(
        self, ring: RingName, *, epoch: int = 1, slots: int = 40, grace_ns: int = SECOND, fps: float = FPS
    ) -> None:
        described = SegmentHeader(
            format=ring.form.format, width=WIDTH, height=HEIGHT, slots=slots, epoch=epoch, grace_ns=grace_ns
        )
        self.name = ring.segment(secrets.token_hex(4))
        self.segment = Segment(self.name, described)
        self._fps = fps
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
                fps=self._fps,
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


class Screen:
    """Presents whatever comes, at once, and takes down when it was due."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.captured_ns: list[int] = []
        self.due_ns: list[int | None] = []

    def __call__(
        self,
        header: FrameHeader,
        image: Pixels,
        received_ns: int,
        captured_ns: int,
        due_ns: int | None,
        lost: int,
        picture: SharedPicture | None = None,
    ) -> Frame | None:
        frame = Frame(image, header, received_ns, received_ns, 0.0, lost, picture)
        self.frames.append(frame)
        self.captured_ns.append(captured_ns)
        self.due_ns.append(due_ns)
        return frame

    @property
    def seqs(self) -> list[int]:
        return [frame.seq for frame in self.frames]


class Receiving:
    """The receiving half of a consumer, with what it sent and said; no subscriber."""

    def __init__(self, settings: ConsumerSettings, playout: Playout | None = None) -> None:
        max_age_ns = int(settings.max_age_s * 1e9)
        self.sent: list[ControlMessage] = []
        self.outcomes: list[Outcome] = []
        self.dropped: list[Dropped] = []
        self.encoded: list[int] = []
        self.failures: list[FanlightError] = []
        self.account = Account()
        self.account.on_outcome = self.outcomes.append
        self.clock = ProducerClock(max_age_ns, self._ask_the_time)
        if playout is None:
            playout = LatestPlayout(max_age_ns)
        self.mailbox = Mailbox(playout, self.dropped.append, self.clock.now_ns)
        self.receiver = Receiver(
            settings,
            send=self.send,
            clock=self.clock,
            mailbox=self.mailbox,
            account=self.account,
            on_failed=self.failures.append,
            on_encoded=lambda frame: self.encoded.append(frame.header.seq),
        )

    def _ask_the_time(self) -> None:
        self.receiver.ask_the_time()

    def send(self, message: ControlMessage) -> None:
        assert not self.receiver._judging.locked(), "whoever sends may take their time"
        self.sent.append(message)

    @property
    def fates(self) -> list[tuple[int, Event]]:
        return [(outcome.seq, outcome.event) for outcome in self.outcomes]


def encoded(codec: Codec, seq: int, body: bytes, *, key: bool = True, epoch: int = 1) -> EncodedFrame:
    return EncodedFrame(header(seq, codec, key=key, epoch=epoch, fps=FPS), body)
