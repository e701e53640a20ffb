"""One stream, for all its viewers: one source while there are any."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from fanlight.common import clock
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader
from fanlight.common.model.freshness import ANSWERED_INTERVAL_NS, KEYFRAME_REQUEST_INTERVAL_NS
from fanlight.consumer.wall.message import Form
from fanlight.consumer.wall.source import OnFrame, Source
from fanlight.consumer.wall.track import GopCache, Post, Track
from fanlight.consumer.wall.viewer_queue import LiveFrame, ViewerQueue

# Without a frame for this long, or for some intervals of a slower stream, its picture stands still.
_STILL_NS: Final = 1_000_000_000
_STILL_FRAMES: Final = 3
# Frames on their way to the event loop: two seconds at 30 fps.
_MOST_POSTED: Final = 60
# Each size has a decoder and an encoder of its own.
MOST_SIZES: Final = 6

MakeSource = Callable[[str, OnFrame, Callable[[FanlightError], None]], Source]


class State(NamedTuple):
    """Whether frames come.

    Attributes:
        since_ns: Unix time at which this began.
        reason: why none come; empty while they do.
    """

    live: bool
    since_ns: int
    reason: str


class Feed:
    """Belongs to the event loop.

    Args:
        make_source: called with functions for frames and for a failure, which any thread may call.
        numbers: ids for tracks.
        on_failed: called with it, on the loop, if the stream cannot be received; its viewers know why.
        in_background: runs a function that waits, such as for the end of a thread.

    Attributes:
        state: whether frames come, as of the last `check`.
        key_requests: sent so far.
        overrun: frames that the event loop did not take in time.
        not_made: frames of which no JPEG picture was made.
    """

    def __init__(
        self,
        stream: str,
        make_source: MakeSource,
        numbers: Iterator[int],
        max_age_ns: int,
        on_failed: Callable[[Feed], None],
        in_background: Post,
    ) -> None:
        self.stream = stream
        self._loop = asyncio.get_running_loop()
        self._numbers = numbers
        self._max_age_ns = max_age_ns
        self._on_failed = on_failed
        self._in_background = in_background
        self._tracks: dict[tuple[Form, tuple[int, int] | None], Track] = {}
        self._gop = GopCache(max_age_ns)
        self._last: FrameHeader | None = None
        self._last_ns = 0
        self._asked_ns: int | None = None
        self._asking: asyncio.TimerHandle | None = None
        self._stopped = False
        # Written by the thread of the source, but for `_taken`.
        self._posted = self._taken = self.overrun = 0
        self._skipping = False
        self.state = State(False, clock.wall_ns(), "")
        self.key_requests = self.not_made = 0
        self.source = make_source(stream, self._on_frame, self._on_failure)

    @property
    def queues(self) -> list[ViewerQueue]:
        """Those of all viewers."""
        return [queue for track in self._tracks.values() for queue in track.queues]

    def join(
        self, form: Form, max_size: tuple[int, int] | None, on_ready: Callable[[], None] | None = None
    ) -> ViewerQueue:
        """Add a viewer.

        Raises:
            FanlightError: there are too many other sizes.
        """
        track = self._tracks.get((form, max_size))
        if track is None:
            self._check_sizes(max_size)
            track = self._tracks[form, max_size] = Track(
                self.stream,
                form,
                max_size,
                next(self._numbers),
                max_age_ns=self._max_age_ns,
                want_key=self.want_key,
                not_made=self._count_not_made,
                post=self._post,
                in_background=self._in_background,
            )
            for live in self._gop.fresh(clock.wall_ns()):
                track.offer(live)
        queue = ViewerQueue(self.want_key, on_ready)
        track.join(queue)
        return queue

    def _count_not_made(self) -> None:
        self.not_made += 1

    def _check_sizes(self, wanted: tuple[int, int] | None) -> None:
        sizes = [size for _, size in self._tracks if size is not None]
        if wanted is not None and len(sizes) >= MOST_SIZES:
            shown = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
            raise FanlightError(f"stream {self.stream} is made in {MOST_SIZES} sizes already: {shown}")

    def leave(self, queue: ViewerQueue) -> None:
        """Remove a viewer."""
        for key, track in list(self._tracks.items()):
            track.queues.discard(queue)
            if not track.queues:
                track.stop()
                del self._tracks[key]

    def want_key(self) -> None:
        """Ask for a keyframe, as soon as that is allowed again, and again until one comes."""
        if self._asking is None and not self._stopped:
            wait_ns = 0
            if self._asked_ns is not None:
                wait_ns = ANSWERED_INTERVAL_NS - (clock.monotonic_ns() - self._asked_ns)
            self._asking = self._loop.call_later(max(0, wait_ns) / 1e9, self._ask)

    def check(self, now_ns: int) -> bool:
        """Whether `state` has changed; `now_ns` is monotonic."""
        fps = 30.0 if self._last is None else self._last.fps
        still_ns = max(_STILL_NS, _STILL_FRAMES * 1e9 / fps)
        live = self._last is not None and now_ns - self._last_ns <= still_ns
        reason = "" if live else self.source.why_none()
        if (live, reason) == (self.state.live, self.state.reason):
            return False
        since_ns = clock.wall_ns() if live != self.state.live else self.state.since_ns
        self.state = State(live, since_ns, reason)
        return True

    def stop(self) -> None:
        """Send nothing more, and end the source."""
        self._stopped = True
        if self._asking is not None:
            self._asking.cancel()
        for track in self._tracks.values():
            track.stop()
        self._in_background(self.source.stop)

    def deliver(self, frame: EncodedFrame, gateway_ns: int, arrived_ns: int) -> None:
        """A frame of the source, in order; `arrived_ns` is monotonic."""
        if self._stopped:
            return
        header = frame.header
        live = LiveFrame(frame, gateway_ns, self._breaks(header), arrived_ns=arrived_ns)
        self._last, self._last_ns = header, arrived_ns
        if header.key:
            self._answered()
        self._gop.add(live)
        for track in self._tracks.values():
            track.offer(live)

    def _breaks(self, header: FrameHeader) -> bool:
        """Whether decoders have to be reset before this frame."""
        last = self._last
        if last is None or (header.epoch, header.codec) != (last.epoch, last.codec):
            return True
        return header.codec is Codec.H264 and header.seq != last.seq + 1

    def _answered(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _ask(self) -> None:
        self.key_requests += 1
        self._asked_ns = clock.monotonic_ns()
        self.source.request_key()
        self._asking = self._loop.call_later(KEYFRAME_REQUEST_INTERVAL_NS / 1e9, self._ask)

    def _on_frame(self, frame: EncodedFrame, gateway_ns: int) -> None:
        """On the thread of the source."""
        if self._posted - self._taken >= _MOST_POSTED:
            if not self._skipping:
                self._post(self.want_key)
            self._skipping = True
        elif frame.header.key:
            self._skipping = False
        if self._skipping:
            self.overrun += 1
            return
        self._posted += 1
        arrived_ns = clock.monotonic_ns()
        self._post(lambda: self._take(frame, gateway_ns, arrived_ns))

    def _take(self, frame: EncodedFrame, gateway_ns: int, arrived_ns: int) -> None:
        self._taken += 1
        self.deliver(frame, gateway_ns, arrived_ns)

    def _on_failure(self, error: FanlightError) -> None:
        self._post(lambda: self._failed(error))

    def _failed(self, error: FanlightError) -> None:
        if not self._stopped:
            for queue in self.queues:
                queue.end(error)
            self._on_failed(self)

    def _post(self, call: Callable[[], None]) -> None:
        post(self._loop, call)


def post(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Run a function on the loop, from any thread; not if it has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)
