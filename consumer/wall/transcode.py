"""Makes JPEG pictures of frames of any codec, on a thread of its own, while somebody watches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from fanlight.common import clock, codec
from fanlight.common.codec.jpeg import JpegEncoder
from fanlight.common.model.errors import EncodeError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.histogram import CODEC_BOUNDS_S, Histogram
from fanlight.common.model.pixels import PictureFormat, PixelFormat
from fanlight.consumer.mailbox import Mailbox
from fanlight.consumer.playout import Dropped, LatestPlayout, ReceivedFrame
from fanlight.consumer.stats import Outcome
from fanlight.consumer.stream_source import Decoding
from fanlight.consumer.wall.viewer_queue import LiveFrame

_QUALITY: Final = 80
_WAIT_S: Final = 3600.0
_JOIN_S: Final = 1.0


def fitted(width: int, height: int, most: tuple[int, int] | None) -> tuple[int, int]:
    """The size of a picture within `most`, with its aspect ratio; never larger than it is."""
    if most is None or (width <= most[0] and height <= most[1]):
        return width, height
    scale = min(most[0] / width, most[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


class Transcoder:
    """Skips frames if it is too slow: the newest one wins. `push` and `stop` belong to one thread.

    Args:
        max_size: pictures are scaled to fit; None for the size of the stream.
        on_picture: called on its thread with a frame of codec JPEG.
        on_broken: called on its thread if nothing can be decoded before the next keyframe.
        on_dropped: called for each frame without a picture: skipped, late or not decodable. Any thread.
    """

    def __init__(
        self,
        stream: str,
        max_size: tuple[int, int] | None,
        max_age_ns: int,
        *,
        on_picture: Callable[[LiveFrame], None],
        on_broken: Callable[[], None],
        on_dropped: Callable[[], None],
    ) -> None:
        self._max_size = max_size
        self._on_picture = on_picture
        self._on_broken = on_broken
        self._on_dropped = on_dropped
        # The producer's clock is ahead of ours by this.
        self._offset_ns = 0
        self._mailbox = Mailbox(LatestPlayout(max_age_ns), self._dropped, self._producer_ns)
        self._awaiting_key = True
        self._times = Histogram(CODEC_BOUNDS_S)
        self._encoder = JpegEncoder(quality=_QUALITY)
        self._size: tuple[int, int] | None = None
        self._thread = threading.Thread(target=self._run, name=f"jpeg {stream}", daemon=True)
        self._thread.start()

    def push(self, live: LiveFrame) -> None:
        """Take a frame, in stream order. Never waits."""
        header = live.frame.header
        reset = self._awaiting_key
        if self._awaiting_key and not header.key:
            self._on_dropped()
            self._on_broken()
            return
        self._offset_ns = header.capture_ns - live.gateway_ns
        self._awaiting_key = not self._mailbox.push(
            ReceivedFrame(live.frame, live.arrived_ns, 0, reset=reset)
        )

    def stop(self) -> None:
        """End the thread, without waiting for it: it may be decoding."""
        self._mailbox.close()

    def join(self) -> None:
        """Wait for the end of the thread, after `stop`."""
        self._thread.join(_JOIN_S)

    def _producer_ns(self) -> int:
        return clock.wall_ns() + self._offset_ns

    def _dropped(self, _dropped: Dropped) -> None:
        self._on_dropped()

    def _run(self) -> None:
        decoding: Decoding | None = None
        while not self._mailbox.closed:
            step = self._mailbox.take(_WAIT_S)
            shown = step.frame or (step.decode[-1] if step.decode else None)
            if shown is None:
                continue
            size = fitted(shown.header.width, shown.header.height, self._max_size)
            if decoding is None or size != self._size:
                self._size = size
                form = PictureFormat(PixelFormat.BGR, size)
                decoding = Decoding(form, self._on_broken, self._times, codec.decoder)
            for referred_to in step.decode:
                decoding.skip(referred_to)
            if step.frame is not None:
                self._encode(decoding, step.frame)

    def _encode(self, decoding: Decoding, received: ReceivedFrame) -> None:
        pixels = decoding.pixels(received)
        try:
            encoded = None if isinstance(pixels, Outcome) else self._encoder.encode(pixels, key=True)
        except EncodeError:
            encoded = None
        if encoded is None or isinstance(pixels, Outcome):
            self._on_dropped()
            return
        header = received.header
        height, width = pixels.shape[:2]
        picture = header._replace(codec=Codec.JPEG, key=True, width=width, height=height)
        gateway_ns = header.capture_ns - self._offset_ns
        frame = EncodedFrame(picture, encoded.body)
        self._on_picture(LiveFrame(frame, gateway_ns, False, arrived_ns=received.received_ns))
