"""Makes decoded pictures look as players show them: upright, with square pixels, progressive, and in SDR.

A picture that looks so already is returned as it is; others pass through a graph of FFmpeg's filters.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from struct import Struct
from typing import Final, TypeAlias, cast

import av
import av.filter
from av.buffer import Buffer
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

from fanlight.common.model.frame import MAX_PIXELS, MAX_SIDE
from fanlight.producer.settings import Deinterlace

_LOG = logging.getLogger(__name__)

Filters: TypeAlias = tuple[tuple[str, str], ...]
"""Names and options, in the order in which they are applied."""

# Of 3 x 3 numbers, 16.16 fixed point: x' = a x + c y, y' = b x + d y, and an offset.
_MATRIX: Final = Struct("=ii4xii16x")
_TRANSPOSE: Final = {  # by the signs of b and c
    (True, True): "cclock_flip",
    (True, False): "clock",
    (False, True): "cclock",
    (False, False): "clock_flip",
}
# The filter itself counts the rows backwards, which numpy arrays of the same memory could not follow.
_VFLIP: Final[Filters] = (("vflip", ""), ("copy", ""))
_HDR: Final[dict[int, str]] = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}
# As OpenCV 5 does it. The table for it takes a second to compute, at each change of format.
_TO_SDR: Final = (
    "out_primaries=bt709:out_transfer=bt709:out_color_matrix=smpte170m:out_range=tv:"
    "intent=relative_colorimetric:threads=auto"
)
# The matrices that libswscale can convert.
_KNOWN: Final = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
_UNSPECIFIED: Final = 2
_SMALLEST_FIELD_PX: Final = 3


def turn(a: float, b: float, c: float, d: float) -> Filters:
    """The filters for a display matrix, by the nearest quarter turn."""
    if abs(b) + abs(c) > abs(a) + abs(d):
        return (("transpose", f"dir={_TRANSPOSE[b > 0, c > 0]}"),)
    return (("hflip", ""),) * (a < 0) + _VFLIP * (d < 0)


def square(width: int, height: int, aspect: Fraction, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """The size in square pixels of a picture whose pixels are `aspect` times as wide as they are high.

    One side grows; where that exceeds a limit, the other one shrinks instead.
    """
    wide, high = (_even(width * aspect), height), (width, _even(height / aspect))
    larger, smaller = (wide, high) if aspect > 1 else (high, wide)
    fits = max(larger) <= MAX_SIDE and larger[0] * larger[1] <= max_pixels
    return larger if fits else smaller


class DisplayFilter:
    """Not thread-safe.

    Args:
        name: of the source, for log lines.
        size: (width, height) to which pictures will be scaled afterwards; HDR is converted at that size.

    Attributes:
        aspect: width of a pixel, divided by its height; None if unknown. Broadcasts change it.
    """

    def __init__(
        self,
        name: str,
        *,
        deinterlace: Deinterlace = Deinterlace.OFF,
        size: tuple[int, int] | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.aspect: Fraction | None = None
        self._name = name
        self._deinterlace = deinterlace
        self._size = size
        self._max_pixels = max_pixels
        self._interlaced = deinterlace is Deinterlace.ON
        self._said: set[str] = set()
        self._rotation: int | None = None
        self._turned: Filters = ()
        self._made_for: tuple[object, ...] = ()
        self._graph: _Graph | None = None

    def show(self, frame: av.VideoFrame, turned: Filters | None = None) -> Iterator[av.VideoFrame]:
        """The pictures that can be shown after this one: one, but none after the first of interlaced video.

        Args:
            turned: how to turn it; by default according to its display matrix.

        Raises:
            FFmpegError: it cannot be converted.
        """
        if frame.colorspace not in _KNOWN:
            self._replace_matrix(frame)
        if self._deinterlace is Deinterlace.AUTO and frame.interlaced_frame and not self._interlaced:
            self._interlaced = True
            self._say("it is interlaced, and deinterlaced here: --deinterlace off shows it as it is")
        if turned is None:
            turned = self._turn_of(frame)
        filters = self._filters(frame, turned)
        made_for = (
            filters, frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range
        )  # fmt: skip
        if made_for != self._made_for:
            yield from self.flush()
            self._graph = _Graph(frame, filters) if filters else None
            self._made_for = made_for
        if self._graph is None:
            yield frame
        else:
            yield from self._graph.filter(frame)

    def flush(self) -> Iterator[av.VideoFrame]:
        """The last picture of interlaced video."""
        if self._interlaced and self._graph is not None:  # other graphs keep none, and can be used again
            graph, self._graph, self._made_for = self._graph, None, ()
            yield from graph.filter(None)

    def _filters(self, frame: av.VideoFrame, turned: Filters) -> Filters:
        filters: Filters = ()
        width, height = frame.width, frame.height
        if self._interlaced and min(width, height) >= _SMALLEST_FIELD_PX:
            which = "all" if self._deinterlace is Deinterlace.ON else "interlaced"
            filters += (("bwdif", f"mode=send_frame:deint={which}"),)
        size = width, height
        if self.aspect is not None and self.aspect != 1:
            size = square(width, height, self.aspect, self._max_pixels)
        hdr = _HDR.get(int(frame.color_trc))
        if hdr is not None and self._size is not None and math.prod(self._size) < math.prod(size):
            size = self._size[::-1] if turned and turned[0][0] == "transpose" else self._size
        if size != (width, height):
            filters += (("scale", f"w={size[0]}:h={size[1]}:flags=bilinear"), ("setsar", "1"))
        if hdr is not None:
            self._say(f"it is HDR ({hdr}), and converted to SDR: what is brighter than white is clipped")
            if frame.color_primaries == ColorPrimaries.UNSPECIFIED:
                filters += (("setparams", "color_primaries=bt2020"),)
            filters += (("scale", _TO_SDR), ("format", "pix_fmts=yuv420p"))
        return filters + turned

    def _turn_of(self, frame: av.VideoFrame) -> Filters:
        # PyAV's side data refer to the frame and it to them: its memory is free only after a collection.
        if frame.rotation != self._rotation:
            self._rotation, self._turned = frame.rotation, _turn_of(frame)
        return self._turned

    def _replace_matrix(self, frame: av.VideoFrame) -> None:
        wide = frame.color_primaries == ColorPrimaries.BT2020
        self._say(f"its colour matrix (number {int(frame.colorspace)}) is unknown here: colours may be off")
        frame.colorspace = Colorspace.BT2020 if wide else _UNSPECIFIED

    def _say(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            _LOG.info("%s: %s", self._name, what)


class _Graph:
    """A chain of filters."""

    def __init__(self, frame: av.VideoFrame, filters: Filters) -> None:
        # Referenced here because its filters do not reference it.
        self._graph = av.filter.Graph()
        # Waking helper threads for every picture costs more than they save.
        self._graph.threads = 1
        time_base = frame.time_base or Fraction(1, 1000)
        self._source = last = self._graph.add(
            "buffer",
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:"
            f"time_base={time_base.numerator}/{time_base.denominator}:"
            f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
        )
        for name, options in (*filters, ("buffersink", "")):
            following = self._graph.add(name, options or None)
            last.link_to(following)
            last = following
        self._sink = last
        self._graph.configure()

    def filter(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """What comes out when this goes in; None for the end."""
        self._source.push(frame)
        while True:
            try:
                shown = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(shown, av.VideoFrame)  # noqa: S101 - the graph is one of pictures
            yield shown


def _turn_of(frame: av.VideoFrame) -> Filters:
    try:
        matrix = cast("Mapping[str, Buffer]", frame.side_data)["DISPLAYMATRIX"]
        return turn(*_MATRIX.unpack(bytes(matrix)))
    except KeyError:
        return ()
    except ValueError:  # side data of a type that PyAV does not know; then flips are not seen
        angle = math.radians(frame.rotation)
        return turn(math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle))


def _even(side_px: Fraction) -> int:
    return max(2, 2 * round(side_px / 2))
