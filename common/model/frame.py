"""One encoded frame: its header, its body, and the representation of the header in AMQP properties.

`docs/wire.md` specifies the wire contract (version 1) independently of this code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final, NamedTuple

from fanlight.common.model import wire_fields
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.meta import checked_text

VERSION: Final = 1
APP_ID: Final = "fanlight"

# RabbitMQ 4.0 refuses messages above 16 MiB by default (docs/limits.md of rabbitmq-website).
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_SIDE: Final = 16384
# 8K UHD. A header that announces more is refused before any memory is allocated for the picture.
MAX_PIXELS: Final = 7680 * 4320
MAX_FPS: Final = 1000.0
# One frame in eleven days: the lowest rate that an AMQP decimal of nine digits holds.
MIN_FPS: Final = 1e-6

RESERVED_NAMES: Final = frozenset({"control", "streams"})
"""No names of streams at a broker: the exchanges `fanlight.NAME` have another use."""


class Codec(StrEnum):
    """How frames are encoded, by the names on the command line. A member equals its name: `"h264"`.

    Attributes:
        H264: most frames refer to earlier ones; 4:2:0, 8 bits.
        JPEG: each frame on its own.
        PNG: likewise, without loss.
        RAW: BGR as it is.
    """

    H264 = "h264"
    JPEG = "jpeg"
    PNG = "png"
    RAW = "raw"

    @property
    def content_type(self) -> str:
        """The content type of a message with such a frame."""
        return _CONTENT_TYPES[self]

    @property
    def intra_only(self) -> bool:
        """True if every frame can be decoded on its own."""
        return self is not Codec.H264


_CONTENT_TYPES: Final = {
    Codec.H264: "video/h264",
    Codec.JPEG: "image/jpeg",
    Codec.PNG: "image/png",
    Codec.RAW: "application/x-raw-bgr",
}
_CODECS: Final = {content_type: codec for codec, content_type in _CONTENT_TYPES.items()}

# An empty message that an idle producer publishes to find out whether a queue is bound. Not a frame.
PROBE_CONTENT_TYPE: Final = "application/x-fanlight-probe"


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest picture and body that a receiver accepts; checked before memory is allocated."""

    max_pixels: int = MAX_PIXELS
    max_body_bytes: int = MAX_BODY_BYTES


LARGEST: Final = Limits()
"""What the wire contract allows."""


# A tuple, since creating one takes a third of a dataclass's time.
class FrameHeader(NamedTuple):
    """What is known of a frame beside its picture. Immutable.

    Attributes:
        stream: name of the stream, as in the exchange `fanlight.<stream>`.
        codec: how the body is encoded.
        epoch: drawn at random when a producer starts; decoders reset when it changes.
        seq: 0, 1, 2, ... within an epoch, without gaps at the producer.
        capture_ns: Unix time at capture, by the producer's wall clock.
        width: of the picture, in pixels. H.264 bodies of odd sizes are coded one pixel larger; crop.
        height: likewise.
        key: True if the body can be decoded without any earlier one.
        fps: nominal frames per second of the source.
        meta: what its producer says about this frame: the text of a JSON object; empty if nothing. See
            `common.model.meta`.
    """

    stream: str
    codec: Codec
    epoch: int
    seq: int
    capture_ns: int
    width: int
    height: int
    key: bool
    fps: float
    meta: str = ""

    def to_amqp(self) -> dict[str, object]:
        """The AMQP header table; `content_type` and the other properties are set by the adapter."""
        table: dict[str, object] = {
            "v": VERSION,
            "stream": self.stream,
            "epoch": self.epoch,
            "seq": self.seq,
            "capture_ns": self.capture_ns,
            "width": self.width,
            "height": self.height,
            "key": self.key,
            "fps": _exact(self.fps),
        }
        if self.meta:
            table["meta"] = self.meta
        return table

    @classmethod
    def from_amqp(
        cls,
        headers: Mapping[str, object] | None,
        *,
        content_type: str | None,
        app_id: str | None,
        body_size: int,
        limits: Limits = LARGEST,
    ) -> FrameHeader:
        """Validate an untrusted header table and build the header from it.

        Raises:
            WireFormatError: the first field that is missing, of the wrong type, out of range, too
                large or of an unknown version.
        """
        if app_id != APP_ID:
            raise WireFormatError("app_id", app_id, repr(APP_ID))
        if not headers:
            raise WireFormatError("headers", headers, "the header table of wire version 1")
        version = wire_fields.whole(headers, "v")
        if version != VERSION:
            raise WireFormatError("v", version, str(VERSION))
        codec = _CODECS.get(content_type or "")
        if codec is None:
            raise WireFormatError("content_type", content_type, ", ".join(sorted(_CODECS)))
        stream, key = wire_fields.name(headers), wire_fields.truth(headers, "key")
        if codec.intra_only and not key:
            raise WireFormatError("key", key, f"true for {codec}, where every frame stands alone")
        header = cls(
            stream=stream,
            codec=codec,
            epoch=wire_fields.whole(headers, "epoch"),
            seq=wire_fields.whole(headers, "seq"),
            capture_ns=wire_fields.whole(headers, "capture_ns"),
            width=wire_fields.whole(headers, "width", 1, MAX_SIDE),
            height=wire_fields.whole(headers, "height", 1, MAX_SIDE),
            key=key,
            fps=_rate(headers, "fps"),
            meta=checked_text(headers["meta"]) if "meta" in headers else "",
        )
        header.check_sizes(body_size, limits)
        return header

    def check_sizes(self, body_size: int, limits: Limits = LARGEST) -> None:
        """Raises WireFormatError if the picture or its body is outside what a receiver accepts."""
        pixels = self.width * self.height
        if pixels > limits.max_pixels:
            size = f"{self.width}x{self.height}"
            raise WireFormatError("width x height", size, f"up to {limits.max_pixels} pixels")
        if not 1 <= body_size <= limits.max_body_bytes:
            raise WireFormatError("body size", body_size, f"1 to {limits.max_body_bytes} bytes")
        if self.codec is Codec.RAW and body_size != pixels * 3:
            raise WireFormatError("body size", body_size, f"{pixels * 3} for this raw picture")


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A header and the bare codec bitstream that it describes."""

    header: FrameHeader
    body: bytes


def rate_fraction(fps: float) -> Fraction:
    """A rate from `MIN_FPS` to `MAX_FPS` as FFmpeg takes it: a fraction that fits 32 bits, and is not 0."""
    exact = Fraction(fps)
    return exact.limit_denominator(1001) if fps >= 1 else 1 / (1 / exact).limit_denominator(1001)


def _exact(fps: float) -> int | Decimal:
    """A rate as an AMQP integer or decimal, since pika does not encode floats."""
    return int(fps) if float(fps).is_integer() else Decimal(f"{max(fps, MIN_FPS):.9g}")


def _rate(headers: Mapping[str, object], field: str) -> float:
    value = headers.get(field)
    # bool is a subclass of int in Python but another type on the wire; NaN fails every comparison.
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        try:
            rate = float(value)
        except (OverflowError, ValueError):
            rate = math.nan
        if 0 < rate <= MAX_FPS:
            return max(rate, MIN_FPS)  # an interval of 1e300 s overflows whatever is derived from it
    raise WireFormatError(field, value, f"a number above 0 and up to {MAX_FPS:g}")
