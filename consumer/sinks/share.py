"""`share`: makes this consumer the hub of its host, whose decoded pictures other consumers map."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fanlight.common import clock
from fanlight.common.model.errors import SharingError, SinkError
from fanlight.common.model.pixels import PixelFormat
from fanlight.common.shm import locks, private_folder
from fanlight.common.shm.layout import CODECS, SegmentHeader, Slot, slots_for
from fanlight.common.shm.names import RingName, source_of
from fanlight.common.shm.writer import Segment
from fanlight.consumer.sinks.base import Sink
from fanlight.consumer.stats import ConsumerStats

if TYPE_CHECKING:
    from fanlight.consumer.frame import Frame
    from fanlight.consumer.settings import ConsumerSettings

_LOG: Final = logging.getLogger(__name__)

# After receiving frames for this long without sharing any, the hub stops writing its liveness time.
_STALLED_NS: Final = 500_000_000
_RETRY_NS: Final = 5_000_000_000
_MIB: Final = 1024 * 1024
# A source that exceeds the rate in its headers gets more slots, up to this rate.
_HIGHEST_FPS: Final = 1000.0
# The extra slots are removed after this time without exceeding the header's rate.
_CALM_NS: Final = 10_000_000_000
_CALM_RATIO: Final = 1.1


class ShareSink(Sink):
    """Writes every presented frame to a ring in shared memory, and wakes its viewers.

    A second hub of the same host, stream and form is on standby, and takes over when the first one ends.

    Args:
        now_ns: the monotonic clock.
        ended: whether the stream has ended in good order, and its last frame was presented.

    Raises:
        SinkError: this host has no shared memory.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        stats: Callable[[], ConsumerStats],
        now_ns: Callable[[], int] = clock.monotonic_ns,
        *,
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        if not private_folder.can_share():
            raise SinkError(f"share needs Linux and {private_folder.SHARED_MEMORY}")
        self._ring = RingName(settings.stream, settings.picture_format, source_of(settings.address))
        self._grace_s = settings.max_age_s
        self._stats = stats
        self._now_ns = now_ns
        self._ended = ended
        self._leadership = locks.Leadership(self._ring)
        self._leads: bool | None = None
        self._segment: Segment | None = None
        self._made_for: tuple[object, ...] = ()
        self._rate = SlotRate(now_ns())
        self._progress = Progress(now_ns())
        self._failed_ns: int | None = None
        self._failure = ""
        self._remove_stale()
        self._lead()

    def present(self, frame: Frame) -> None:
        if not self._leads:
            return
        now_ns = self._now_ns()
        header = frame.header
        self._rate.observe(header.fps, now_ns)
        segment = self._segment_for(frame, now_ns)
        if segment is None:
            return
        slot = Slot(
            number=0,
            seq=header.seq,
            capture_ns=header.capture_ns,
            captured_ns=max(0, now_ns - (clock.wall_ns() - frame.presented_ns) - int(frame.age_s * 1e9)),
            written_ns=clock.wall_ns(),
            fps=header.fps,
            codec_number=CODECS.index(header.codec),
            keyframe=header.key,
        )
        if segment.write(frame.image, slot, now_ns, header.meta.encode() if header.meta else b""):
            self._progress.shared(now_ns)
        else:
            self._rate.exceeded(header.fps)

    def tick(self) -> bool:
        self._lead()
        now_ns, stats = self._now_ns(), self._stats()
        if self._segment is not None and not self._segment.is_found:
            self._drop_segment()
        if self._segment is not None:
            self._segment.set_ended(self._ended())
            if self._progress.serves(stats, now_ns):
                self._segment.keep_alive(now_ns)
        return True

    def close(self) -> None:
        if self._segment is not None:
            self._segment.set_ended(self._ended())
        self._drop_segment()
        self._leadership.release()

    def _lead(self) -> None:
        try:
            leads = self._leadership.acquire()
        except SharingError as error:
            self._failed(error, self._now_ns())
            return
        if leads == self._leads:
            return
        if not leads:
            _LOG.info(
                "share: another hub of this host shares %s (%s); standing by",
                self._ring.stream,
                self._ring.picture_format,
            )
        elif self._leads is not None:
            _LOG.info("share: taking over %s (%s)", self._ring.stream, self._ring.picture_format)
            self._remove_stale()
        self._leads = leads

    def _remove_stale(self) -> None:
        files = locks.remove_stale()
        if files:
            _LOG.info(
                "share: removed %d leftover %s of a killed hub", files, "file" if files == 1 else "files"
            )

    def _segment_for(self, frame: Frame, now_ns: int) -> Segment | None:
        height, width = frame.image.shape[:2]
        if self._ring.picture_format.pixel_format is PixelFormat.I420:
            height = height * 2 // 3
        fps = self._rate.fps(frame.header.fps)
        made_for = (frame.epoch, width, height, fps)
        if made_for == self._made_for and self._segment is not None:
            return self._segment
        if self._failed_ns is not None and now_ns - self._failed_ns < _RETRY_NS:
            return None
        self._drop_segment()
        described = SegmentHeader(
            format=self._ring.picture_format.pixel_format,
            width=width,
            height=height,
            slots=slots_for(self._grace_s, fps),
            epoch=frame.epoch,
            grace_ns=int(self._grace_s * 1e9),
        )
        try:
            self._segment = Segment(self._ring.segment(secrets.token_hex(4)), described)
        except SharingError as error:
            self._failed(error, now_ns)
            return None
        self._failed_ns, self._failure, self._made_for = None, "", made_for
        self._segment.keep_alive(now_ns)
        _LOG.info(
            "share: %s as %s %dx%d, %d slots, %.0f MiB",
            self._ring.stream, self._ring.picture_format.pixel_format, width, height, described.slots,
            described.memory_bytes / _MIB,
        )  # fmt: skip
        return self._segment

    def _failed(self, error: SharingError, now_ns: int) -> None:
        self._failed_ns = now_ns
        if str(error) != self._failure:
            self._failure = str(error)
            _LOG.warning("share: %s; consumers get the stream itself", error)

    def _drop_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()


class SlotRate:
    """The frame rate that the number of slots is based on: the header's, or a higher actual one. Pure."""

    def __init__(self, now_ns: int) -> None:
        self._fastest_fps = 0.0
        self._since_ns, self._frames = now_ns, 0

    def fps(self, header_fps: float) -> float:
        return max(header_fps, self._fastest_fps)

    def exceeded(self, header_fps: float) -> None:
        """A frame found no free slot: increase the rate."""
        self._fastest_fps = min(_HIGHEST_FPS, 2 * self.fps(header_fps))

    def observe(self, header_fps: float, now_ns: int) -> None:
        """A frame arrived: return to the header's rate if it has not been exceeded for 10 s."""
        self._frames += 1
        passed_ns = now_ns - self._since_ns
        if passed_ns < _CALM_NS:
            return
        if self._frames <= _CALM_RATIO * header_fps * passed_ns / 1e9:
            self._fastest_fps = 0.0
        self._since_ns, self._frames = now_ns, 0


class Progress:
    """Decides whether the hub is live: it is connected, and shares what it receives. Pure."""

    def __init__(self, now_ns: int) -> None:
        self._shared_ns = now_ns
        self._received = 0

    def shared(self, now_ns: int) -> None:
        self._shared_ns = now_ns

    def serves(self, stats: ConsumerStats, now_ns: int) -> bool:
        came, self._received = stats.received > self._received, stats.received
        if not came:
            self._shared_ns = max(self._shared_ns, now_ns - _STALLED_NS // 2)  # nothing to share
        return stats.connected and now_ns - self._shared_ns < _STALLED_NS
