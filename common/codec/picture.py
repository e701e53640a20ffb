"""Pictures as numpy arrays of BGR pixels or as libav's frames, and the conversions between them.

Sources deliver either type, so that a decoded file need not be converted to BGR and back for the encoder.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import av
import av.filter
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from fanlight.common.model.errors import EncodeError
from fanlight.common.model.frame import MAX_SIDE
from fanlight.common.model.pixels import FULL_BGR, PictureFormat, PixelFormat, Pixels, shape

_LIBAV: Final = {PixelFormat.BGR: "bgr24", PixelFormat.I420: "yuv420p", PixelFormat.GREY: "gray"}
_TO_YUV: Final = Interpolation.BILINEAR | Interpolation.ACCURATE_RND

BGR: TypeAlias = npt.NDArray[np.uint8]
"""uint8, (height, width, 3), blue first."""

Picture: TypeAlias = BGR | av.VideoFrame


def size_of(picture: Picture) -> tuple[int, int]:
    """(width, height) in pixels."""
    if isinstance(picture, np.ndarray):
        return int(picture.shape[1]), int(picture.shape[0])
    return picture.width, picture.height


def as_bgr(image: npt.NDArray[np.generic], max_pixels: int = MAX_SIDE**2) -> BGR:
    """Convert an image of a program to BGR: BGR, BGRA (alpha is dropped) or grey, uint8.

    Raises:
        EncodeError: any other shape or type, or larger. Checked before memory is allocated.
    """
    if not isinstance(image, np.ndarray):
        raise EncodeError(
            f"image is of type {type(image).__name__}: allowed is a numpy array of uint8, BGR as OpenCV's "
            "(of a PIL image: numpy.asarray(image.convert('RGB'))[:, :, ::-1])"
        )
    if image.dtype != np.uint8:
        raise EncodeError(f"image has dtype {image.dtype}: allowed is uint8")
    image = np.asarray(image)  # a matrix or a masked array differs in what follows
    shape = image.shape
    if 0 in shape or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))):
        raise EncodeError(f"image has shape {shape}: allowed is (height, width[, 1, 3 or 4])")
    if max(shape) > MAX_SIDE or shape[0] * shape[1] > max_pixels:
        allowed = f"allowed are {MAX_SIDE} pixels a side and {max_pixels} in all"
        raise EncodeError(f"image is {shape[1]}x{shape[0]}: {allowed}")
    if len(shape) == 2:
        image = image[:, :, np.newaxis]
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    elif image.shape[2] == 4:
        image = image[:, :, :3]
    return np.ascontiguousarray(image, dtype=np.uint8)


class Converter:
    """Converts and scales pictures, and reuses its scaler for the next frame.

    `VideoFrame.reformat` would set up a new libswscale context for every frame. Not thread-safe.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def to_bgr(self, picture: Picture, size: tuple[int, int] | None = None) -> BGR:
        """BGR pixels, scaled to `size` if given. Shares memory with the picture where it can."""
        if isinstance(picture, np.ndarray) and size in (None, size_of(picture)):
            return picture
        frame = self.to_frame(picture, "bgr24", size)
        return plane_view(frame, frame.width, frame.height)

    def to_frame(
        self, picture: Picture, pixel_format: str, size: tuple[int, int] | None = None
    ) -> av.VideoFrame:
        """A libav frame of the given pixel format, scaled to `size` if given."""
        width, height = size or size_of(picture)
        if isinstance(picture, np.ndarray):
            # Copied (0.5 ms at 720p): libswscale reads some bytes past the last pixel, which libav's own
            # buffers allow for. Past the end of an array there may be no memory at all.
            picture = av.VideoFrame.from_ndarray(picture, format="bgr24")
        if picture.format.name == pixel_format and (picture.width, picture.height) == (width, height):
            return picture
        # On the way to YUV libswscale otherwise truncates: 2 levels too dark, 4 dB worse. On the way
        # back the accurate routine is five times as slow and gains nothing.
        how = _TO_YUV if pixel_format == "yuv420p" else None
        # By default libswscale would use a thread for every core.
        return self._reformatter.reformat(
            picture, width=width, height=height, format=pixel_format, interpolation=how, threads=1
        )


class PixelConverter:
    """Converts libav's frames to pixels, in buffers that are reused once nothing refers to their pixels.

    Uses a libavfilter graph, whose links have a pool of frames. `VideoFrame.reformat` allocates memory for
    every picture: at 720p the kernel clears 675 pages, which takes as long as the conversion. Not
    thread-safe.
    """

    def __init__(self) -> None:
        self._made_for: tuple[object, ...] = ()
        self._graph: av.filter.Graph | None = None
        self._source: av.filter.context.FilterContext | None = None
        self._sink: av.filter.context.FilterContext | None = None

    def convert(
        self,
        frame: av.VideoFrame,
        picture_format: PictureFormat = FULL_BGR,
        size: tuple[int, int] | None = None,
    ) -> Pixels:
        """The pixels, in memory that is not reused while they are referenced; rows may be padded.

        Args:
            size: (width, height) of the picture, where the frame is coded larger.

        Raises:
            FFmpegError: libav cannot convert this frame.
        """
        size = size or (frame.width, frame.height)
        coded = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if (coded, picture_format, size) != self._made_for:
            self._made_for = ()  # a graph that cannot be built is not reused
            self._build(frame, picture_format, size)
            self._made_for = (coded, picture_format, size)
        source, sink = self._source, self._sink
        assert source is not None  # noqa: S101 - built just now
        assert sink is not None  # noqa: S101 - likewise
        frame.pts = None  # not needed: no filter depends on time
        source.push(frame)
        converted = sink.pull()
        assert isinstance(converted, av.VideoFrame)  # noqa: S101 - the graph is one of pictures
        return as_array(converted, picture_format.pixel_format)

    def _build(self, frame: av.VideoFrame, picture_format: PictureFormat, size: tuple[int, int]) -> None:
        # Referenced here because its filters do not reference it.
        graph = self._graph = av.filter.Graph()
        # Waking helper threads for every picture costs more than they save.
        graph.threads = 1
        self._source = graph.add(
            "buffer",
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000000:"
            f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
        )
        width, height = picture_format.sized(*size)
        if picture_format.size is None:
            size = (width, height)  # nothing is scaled, I420 loses its odd line and column
        picture = self._source
        if size != (frame.width, frame.height):
            picture = graph.add("crop", f"w={size[0]}:h={size[1]}:x=0:y=0:exact=1")
            self._source.link_to(picture)
        # The input has the colour space that its frames declare; the output is always BT.601, limited.
        colours = (
            ":out_color_matrix=bt601:out_range=tv"
            if picture_format.pixel_format is PixelFormat.I420
            else ""
        )
        scale = graph.add("scale", f"w={width}:h={height}:flags=bilinear{colours}")
        target = graph.add("format", f"pix_fmts={_LIBAV[picture_format.pixel_format]}")
        self._sink = graph.add("buffersink")
        picture.link_to(scale)
        scale.link_to(target)
        target.link_to(self._sink)
        graph.configure()


def convert_bgr(image: BGR, picture_format: PictureFormat, converter: Converter) -> Pixels:
    """Convert a BGR picture to the requested format."""
    height, width = image.shape[:2]
    size = picture_format.sized(width, height)
    if picture_format.pixel_format is PixelFormat.BGR and size == (width, height):
        return image
    return as_array(
        converter.to_frame(image, _LIBAV[picture_format.pixel_format], size), picture_format.pixel_format
    )


def as_array(frame: av.VideoFrame, pixel_format: PixelFormat) -> Pixels:
    """The pixels of a libav frame of that format: without a copy, but for I420. Rows may be padded."""
    width, height = frame.width, frame.height
    if pixel_format is PixelFormat.BGR:
        return plane_view(frame, width, height)
    if pixel_format is PixelFormat.GREY:
        return _rows(frame, 0)[:height, :width]
    image = np.empty(shape(pixel_format, width, height), np.uint8)
    image[:height] = _rows(frame, 0)[:height, :width]
    chroma = image[height:].reshape(2, height // 2, width // 2)
    for plane in (1, 2):
        chroma[plane - 1] = _rows(frame, plane)[: height // 2, : width // 2]
    return image


def _rows(frame: av.VideoFrame, plane: int) -> Pixels:
    memory = frame.planes[plane]
    return np.frombuffer(memoryview(memory), np.uint8).reshape(-1, memory.line_size)


def plane_view(frame: av.VideoFrame, width: int, height: int) -> BGR:
    """The pixels of a packed 24-bit frame without a copy, cropped to width x height.

    The array keeps the frame's memory alive. Rows may be padded, so it need not be contiguous.
    """
    return _rows(frame, 0)[:height, : width * 3].reshape(height, width, 3)
