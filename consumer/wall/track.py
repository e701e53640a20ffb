"""One form of one stream: what is sent to all viewers that want it, made once for all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from fanlight.common import clock
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.runtime.slot import NewestSlot
from fanlight.consumer.wall.message import Description, Form
from fanlight.consumer.wall.remux import Fragmenter
from fanlight.consumer.wall.transcode import Transcoder, fitted
from fanlight.consumer.wall.viewer_queue import LiveFrame, ViewerQueue

_LOG: Final = logging.getLogger(__name__)

# No browser shows these.
_TRANSCODED: Final = frozenset({Codec.PNG, Codec.RAW})
# What a viewer gets when it joins is as fresh as pages draw, and no more than a queue takes.
_MOST_GOP_BYTES: Final = 512 * 1024

Post = Callable[[Callable[[], None]], None]


class Track:
    """Belongs to the event loop.

    Args:
        number: the id in the binary messages.
        max_size: pictures of `jpeg` are scaled to fit.
        want_key: asks the stream for a keyframe.
        not_made: counts a picture that was not made of a frame.
        post: runs a function on the event loop, from any thread.
        in_background: runs a function that waits.

    Attributes:
        queues: those of the viewers.
    """

    def __init__(
        self,
        stream: str,
        form: Form,
        max_size: tuple[int, int] | None,
        number: int,
        *,
        max_age_ns: int,
        want_key: Callable[[], None],
        not_made: Callable[[], None],
        post: Post,
        in_background: Post,
    ) -> None:
        self._stream = stream
        self._form = form
        self._max_size = max_size
        self._number = number
        self._max_age_ns = max_age_ns
        self._want_key = want_key
        self._not_made = not_made
        self._post = post
        self._in_background = in_background
        self.queues: set[ViewerQueue] = set()
        self._gop = GopCache(max_age_ns)
        self._description: Description | None = None
        self._fragmenter: Fragmenter | None = None
        self._transcoder: Transcoder | None = None
        self._pictures: NewestSlot[LiveFrame] = NewestSlot()
        self._log = LimitedLog(_LOG)

    def join(self, queue: ViewerQueue) -> None:
        """Add a viewer, which gets at once what is fresh."""
        self.queues.add(queue)
        now_ns = clock.monotonic_ns()
        for live in self._gop.fresh(clock.wall_ns()):
            queue.push(live, now_ns)

    def offer(self, live: LiveFrame) -> None:
        """A frame of the stream, in order."""
        if self._needs_picture(live.frame):
            if self._transcoder is None:
                self._transcoder = Transcoder(
                    self._stream,
                    None if self._form is not Form.JPEG else self._max_size,
                    self._max_age_ns,
                    on_picture=self._made,
                    on_broken=lambda: self._post(self._want_key),
                    on_dropped=lambda: self._post(self._not_made),
                )
            self._transcoder.push(live)
            return
        self._stop_transcoder()
        self._pass_on(self._described(live))

    def stop(self) -> None:
        """Nobody views it any more."""
        self._stop_transcoder()

    def _needs_picture(self, frame: EncodedFrame) -> bool:
        header = frame.header
        if header.codec in _TRANSCODED:
            return True
        if self._form is not Form.JPEG:
            return False
        size = header.width, header.height
        return header.codec is not Codec.JPEG or fitted(*size, self._max_size) != size

    def _stop_transcoder(self) -> None:
        if self._transcoder is not None:
            self._transcoder.stop()
            self._in_background(self._transcoder.join)
            self._transcoder = None

    def _made(self, picture: LiveFrame) -> None:
        """On the thread that makes pictures."""
        if not self._pictures.put(picture):  # else it is on its way
            self._post(self._take_picture)

    def _take_picture(self) -> None:
        picture = self._pictures.take(0.0)
        if picture is not None and self._transcoder is not None:
            self._pass_on(self._described(picture))

    def _pass_on(self, live: LiveFrame) -> None:
        self._gop.add(live)
        now_ns = clock.monotonic_ns()
        for queue in self.queues:
            queue.push(live, now_ns)

    def _described(self, live: LiveFrame) -> LiveFrame:
        """The frame as this form has it."""
        if self._form is Form.MP4 and live.frame.header.codec is Codec.H264:
            try:
                return self._fragment(live)
            except DecodeError as error:
                self._fragmenter = None
                self._log.warn(
                    clock.monotonic_ns(), "stream %s is not sent as MP4: %s", self._stream, error
                )
        form = Form.FRAMES if self._form is Form.MP4 else self._form
        return live.described(self._describe(live.frame, form, None))

    def _fragment(self, live: LiveFrame) -> LiveFrame:
        fragmenter = self._fragmenter
        if fragmenter is None or not fragmenter.fits(live.frame):
            fragmenter = self._fragmenter = Fragmenter(live.frame)
            self._description = None
        description = self._describe(live.frame, Form.MP4, f'video/mp4; codecs="{fragmenter.codec_string}"')
        return live.described(
            description, fragment=fragmenter.fragment(live.frame, live.gateway_ns), init=fragmenter.init
        )

    def _describe(self, frame: EncodedFrame, form: Form, mime: str | None) -> Description:
        """The same object until something changes."""
        header = frame.header
        now = Description(
            self._stream, form, self._number, header.codec, header.width, header.height, header.fps,
            header.epoch, mime,
        )  # fmt: skip
        if self._description != now:
            self._description = now
        return self._description


class GopCache:
    """The newest group of pictures, from its keyframe on: what a viewer that joins can begin with."""

    def __init__(self, max_age_ns: int) -> None:
        self._max_age_ns = max_age_ns
        self._frames: list[LiveFrame] = []
        self._bytes = 0

    def add(self, live: LiveFrame) -> None:
        """A frame, in stream order."""
        if live.frame.header.key:
            self._frames.clear()
            self._bytes = 0
        elif not self._frames:
            return
        self._frames.append(live)
        self._bytes += len(live.frame.body)
        too_old = live.gateway_ns - self._frames[0].gateway_ns > self._max_age_ns
        if len(self._frames) > 1 and (too_old or self._bytes > _MOST_GOP_BYTES):
            self._frames.clear()

    def fresh(self, now_ns: int) -> list[LiveFrame]:
        """The frames, if pages may draw all of them at `now_ns` (Unix time); else none."""
        frames = self._frames
        return frames if frames and now_ns - frames[0].gateway_ns <= self._max_age_ns else []
