"""Turns a picture into a frame: scaling, codec, keyframes, sequence number, header."""

from __future__ import annotations

from collections.abc import Callable

import av

from fanlight.common.codec import encoder
from fanlight.common.codec.base import Encoder
from fanlight.common.codec.picture import Converter, Picture, size_of
from fanlight.common.model.errors import EncodeError
from fanlight.common.model.frame import MAX_SIDE, EncodedFrame, FrameHeader
from fanlight.producer.keyframes import KeyframeGovernor
from fanlight.producer.settings import ProducerSettings
from fanlight.producer.source.base import Captured


class FrameEncoder:
    """Not thread-safe. `seq` has no gaps: a picture that fails does not use a number.

    Args:
        fps: returns the nominal rate of the source; called after the source is open.
    """

    def __init__(
        self, settings: ProducerSettings, epoch: int, fps: Callable[[], float], keyframes: KeyframeGovernor
    ) -> None:
        self._settings = settings
        self._epoch = epoch
        self._fps = fps
        self._keyframes = keyframes
        self._converter = Converter()
        self._encoder: Encoder | None = None
        self._seq = 0
        self._key_ns = 0

    def encode(self, captured: Captured, now_ns: int) -> EncodedFrame:
        """The frame to publish; `now_ns` is monotonic.

        Raises:
            EncodeError: the codec cannot encode this picture.
            WireFormatError: its size exceeds what a receiver accepts.
        """
        settings = self._settings
        picture = self._scaled(captured.picture)
        width, height = size_of(picture)
        if max(width, height) > MAX_SIDE:
            raise EncodeError(f"a picture of {width}x{height}: allowed are {MAX_SIDE} pixels a side")
        if self._encoder is None:
            self._encoder = encoder(
                settings.codec, fps=self._fps(), gop_s=settings.gop_s, quality=settings.quality
            )
        # The codec counts frames. A source that is slower than it says would have no keyframe for minutes.
        overdue = now_ns - self._key_ns > 2e9 * settings.gop_s
        encoded = self._encoder.encode(picture, key=self._keyframes.due(now_ns) or overdue)
        if encoded.key:
            self._key_ns = now_ns
        header = FrameHeader(
            stream=settings.stream,
            codec=settings.codec,
            epoch=self._epoch,
            seq=self._seq,
            capture_ns=captured.capture_ns,
            width=width,
            height=height,
            key=encoded.key,
            fps=self._fps(),
        )
        header.check_sizes(len(encoded.body))
        self._seq += 1
        return EncodedFrame(header, encoded.body)

    def reset(self) -> None:
        """Use a new encoder, which starts with a keyframe: after an error its state is undefined."""
        self._encoder = None

    def _scaled(self, picture: Picture) -> Picture:
        size = self._settings.size
        if size is None or size_of(picture) == size:
            return picture
        if isinstance(picture, av.VideoFrame):
            return self._converter.to_frame(picture, picture.format.name, size)
        return self._converter.to_bgr(picture, size)
