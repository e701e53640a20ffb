"""Turns a picture into a frame: scaling, codec, keyframes, sequence number, header."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Final

import av

from fanlight.common.codec import encoder
from fanlight.common.codec.base import Encoder
from fanlight.common.codec.picture import Converter, Picture, size_of
from fanlight.common.model.frame import MAX_PIXELS, MAX_SIDE, EncodedFrame, FrameHeader
from fanlight.producer.keyframes import KeyframeGovernor
from fanlight.producer.settings import ProducerSettings
from fanlight.producer.source.base import Captured

_LOG = logging.getLogger(__name__)

_SCALED_BITS: Final = 8


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
        self._told = False  # of pictures that are too large

    def encode(self, captured: Captured, now_ns: int) -> EncodedFrame:
        """The frame to publish; `now_ns` is monotonic.

        Raises:
            EncodeError: the codec cannot encode this picture.
            WireFormatError: its size exceeds what a receiver accepts.
        """
        settings = self._settings
        picture = self._scaled(captured.picture)
        if self._encoder is None:
            self._encoder = encoder(
                settings.codec, fps=self._fps(), gop_s=settings.gop_s, quality=settings.quality
            )
        # The codec counts frames. A source that is slower than it says would have no keyframe for minutes.
        overdue = now_ns - self._key_ns > 2e9 * settings.gop_s
        encoded = self._encoder.encode(picture, key=self._keyframes.due(now_ns) or overdue)
        if encoded.key:
            self._key_ns = now_ns
        header = self._header(captured, size_of(picture), key=encoded.key)
        header.check_sizes(len(encoded.body))
        self._seq += 1
        return EncodedFrame(header, encoded.body)

    @property
    def last_seq(self) -> int:
        """Of the last frame that was encoded; -1 before the first."""
        return self._seq - 1

    def number(self, captured: Captured) -> FrameHeader:
        """The header that `encode` would give it, for a picture that is encoded by another codec only."""
        header = self._header(captured, self.published_size(captured.picture), key=True)
        self._seq += 1
        return header

    def _header(self, captured: Captured, size: tuple[int, int], *, key: bool) -> FrameHeader:
        return FrameHeader(
            stream=self._settings.stream,
            codec=self._settings.codec,
            epoch=self._epoch,
            seq=self._seq,
            capture_ns=captured.capture_ns,
            width=size[0],
            height=size[1],
            key=key,
            fps=self._fps(),
            meta=captured.meta,
        )

    def published_size(self, picture: Picture) -> tuple[int, int]:
        """Width and height at which this picture is published. Thread-safe."""
        return self._settings.size or self._largest(*size_of(picture))

    def reset(self) -> None:
        """Use a new encoder, which starts with a keyframe: after an error its state is undefined."""
        self._encoder = None

    def _scaled(self, picture: Picture) -> Picture:
        size = self.published_size(picture)
        if size_of(picture) == size:
            return picture
        if isinstance(picture, av.VideoFrame) and _scalable(picture.format):
            return self._converter.to_frame(picture, picture.format.name, size)
        return self._converter.to_bgr(picture, size)

    def _largest(self, width: int, height: int) -> tuple[int, int]:
        """The size of this picture, or the largest of its shape that receivers accept."""
        scale = min(1.0, MAX_SIDE / max(width, height), math.sqrt(MAX_PIXELS / (width * height)))
        if scale == 1:
            return width, height
        fitting = max(1, int(width * scale)), max(1, int(height * scale))
        if not self._told:
            self._told = True
            _LOG.info(
                "pictures of %dx%d are scaled to %dx%d, the largest possible", width, height, *fitting
            )
        return fitting


def _scalable(pixel_format: av.VideoFormat) -> bool:
    """False for a palette, to which libswscale cannot scale, and for formats of few colours."""
    return (
        not pixel_format.has_palette and min(part.bits for part in pixel_format.components) >= _SCALED_BITS
    )
