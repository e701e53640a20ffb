"""A folder of images, or the files that a pattern names, played as a video."""

from __future__ import annotations

import glob
import logging
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from fanlight.common.codec.jpeg import check_scans, without_trailer
from fanlight.common.codec.picture import BGR, Converter
from fanlight.common.codec.png_chunks import without_metadata
from fanlight.common.model.errors import DecodeError, SourceError
from fanlight.common.model.frame import MAX_PIXELS
from fanlight.common.model.reasons import reason
from fanlight.producer.source.base import Captured
from fanlight.producer.source.display import DisplayFilter, turn
from fanlight.producer.source.exif import is_tiled_or_jpeg, orientation
from fanlight.producer.source.pacing import Clock, Pacer, interval_ns
from fanlight.producer.stats import Drop, Drops

_log = logging.getLogger(__name__)

DEFAULT_FPS = 30.0
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm", ".pnm"}
)

# More than an 8K picture takes in any of these formats, at 8 bytes per pixel.
_MAX_FILE_BYTES = 512 * 1024 * 1024

_RETRY_S = 0.1
# A file that was changed less than this ago, and cannot be read, may not be complete yet.
_BEING_WRITTEN_NS = 1_000_000_000

# How to turn a picture upright, by its EXIF orientation.
UPRIGHT = {
    1: (),
    2: turn(-1, 0, 0, 1),
    3: turn(-1, 0, 0, -1),
    4: turn(1, 0, 0, -1),
    5: turn(0, 1, 1, 0),
    6: turn(0, 1, -1, 0),
    7: turn(0, -1, -1, 0),
    8: turn(0, -1, 1, 0),
}

# By the first bytes of a file; its name is ignored.
_WEBP_ANIMATION = 2
_DECODERS = {
    "png": (b"\x89PNG\r\n\x1a\n",),
    "mjpeg": (b"\xff\xd8\xff",),
    "bmp": (b"BM",),
    "webp": (b"RIFF",),
    "tiff": (b"II*\0", b"MM\0*"),
    "pbm": (b"P1", b"P4"),
    "pgm": (b"P2", b"P5"),
    "ppm": (b"P3", b"P6"),
}


class ImagesSource:
    """Images in their natural order (`2.png` before `10.png`), as BGR arrays of the size they have.

    Grey, palette and 16-bit images become 8-bit BGR, turned as their EXIF data say; alpha is dropped. One
    that cannot be read is skipped, counted and logged once.

    Args:
        spec: a folder, a pattern such as `shots/*.png`, or one image.
        size: see `VideoInput`.
    """

    live = False
    wait_s = 0.0

    def __init__(
        self,
        spec: str,
        *,
        loop: bool = False,
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        max_pixels: int = MAX_PIXELS,
        clock: Clock | None = None,
    ) -> None:
        self.fps = fps or DEFAULT_FPS
        self.drops = Drops()
        self._spec = spec
        self._loop = loop
        self._max_pixels = max_pixels
        self._logged: set[Path] = set()
        self._interrupted = threading.Event()
        self._clock = clock or Clock()
        self._pacer = Pacer(clock)
        self._display = DisplayFilter(str(self), size=size, max_pixels=max_pixels)
        self._converter = Converter()
        self._pictures: Iterator[tuple[int, BGR]] = iter(())

    def open(self) -> None:
        """List the files."""
        self._pacer = Pacer(self._clock)
        self._pictures = enumerate(self._decode_all())

    def read(self) -> Captured | None:
        """The next image when it is due.

        Raises:
            SourceError: none of the images can be read.
        """
        for number, picture in self._pictures:
            capture_ns = self._pacer.wait(number * interval_ns(self.fps), self._interrupted)
            return None if capture_ns is None else Captured(picture, capture_ns)
        return None

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self._pictures = iter(())

    def __str__(self) -> str:
        return f"images {self._spec}"

    def _decode_all(self) -> Iterator[BGR]:
        """The images; in a loop with those that were added since the last pass."""
        ever_readable = waiting = False
        while True:
            paths = self._list()
            readable = False
            for path in paths:
                if self._interrupted.is_set():
                    return
                picture = self._decode_complete(path)
                if picture is not None:
                    readable = ever_readable = True
                    yield picture
            if not ever_readable:
                raise SourceError(f"{self}: none of the {len(paths)} images here can be read")
            if not self._loop:
                return
            self._logged.intersection_update(paths)
            if not (readable or waiting):
                _log.warning("%s: there is no image that can be read; waiting for one", self)
            waiting = not readable
            if waiting and self._interrupted.wait(_RETRY_S):
                return

    def _list(self) -> list[Path]:
        try:
            return list_images(self._spec)
        except OSError as error:
            raise SourceError(f"{self}: cannot be listed: {reason(error)}") from None

    def _decode_complete(self, path: Path) -> BGR | None:
        """Decode a file; one that is still being written is tried again."""
        while not self._interrupted.is_set():
            written_ns = 0
            try:
                state = path.stat()
                written_ns = state.st_mtime_ns
                return self._decode(path, state.st_size)
            except (OSError, ValueError, DecodeError, MemoryError, av.FFmpegError) as error:
                if abs(self._clock.wall_ns() - written_ns) > _BEING_WRITTEN_NS:
                    self._skip(path, error)
                    return None
            self._interrupted.wait(_RETRY_S)
        return None

    def _decode(self, path: Path, size_bytes: int) -> BGR:
        if size_bytes > _MAX_FILE_BYTES:
            raise ValueError(f"it has {size_bytes} bytes: allowed is up to {_MAX_FILE_BYTES}")
        data = path.read_bytes()
        (shown,) = self._display.show(decode_image(data, self._max_pixels), UPRIGHT[orientation(data)])
        return to_picture(shown, self._converter)

    def _skip(self, path: Path, error: Exception) -> None:
        self.drops[Drop.UNREADABLE] += 1
        if path not in self._logged:
            self._logged.add(path)
            _log.warning("%s: skipped, it cannot be read: %s", path, reason(error))


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS) -> av.VideoFrame:
    """Decode one image file.

    Using the decoder directly takes half the time of opening the file as a video of one frame.

    Raises:
        ValueError: unknown image format, or too large; memory is allocated only within `max_pixels`.
        DecodeError: it has too many scans or chunks.
        av.FFmpegError: damaged or truncated.
    """
    codec = next((name for name, starts in _DECODERS.items() if data.startswith(starts)), None)
    if codec is None:
        raise ValueError("this is no known image format")
    if data[8:16] == b"WEBPVP8X" and data[20:21] and data[20] & _WEBP_ANIMATION:
        raise ValueError("it is an animated WebP, which FFmpeg cannot decode: convert it to GIF or a video")
    if codec == "tiff" and is_tiled_or_jpeg(data):
        raise ValueError("it is a TIFF of tiles or JPEG data, which FFmpeg cannot decode: convert it")
    decoder = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
    decoder.thread_count = 1
    options = {"max_pixels": str(max_pixels)}
    if codec == "mjpeg":
        # By default the missing part of a truncated JPEG is filled with grey, without an error. Not for
        # TIFF, where an unknown tag would be an error.
        options["err_detect"] = "explode"
        data = without_trailer(data)
        check_scans(data)
    decoder.options = options
    try:
        frames = decoder.decode(av.Packet(without_metadata(data) if codec == "png" else data))
    except av.error.ArgumentError:  # the only argument is the limit
        raise ValueError(f"it has more than {max_pixels} pixels: --max-pixels allows more") from None
    if not frames:
        raise ValueError("there is no picture in it")
    return frames[0]


def to_picture(frame: av.VideoFrame, converter: Converter) -> BGR:
    """Convert to BGR: decoders' own formats have many layouts and value ranges."""
    return np.ascontiguousarray(converter.to_bgr(frame))


def list_images(spec: str) -> list[Path]:
    """The image files that `spec` names, in natural order."""
    path = Path(spec)
    if path.is_dir():
        found = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    elif path.exists():
        found = [path]
    else:
        found = [Path(name) for name in _matching(path)]
    return sorted((p for p in found if p.is_file()), key=natural_key)


def _matching(pattern: Path) -> list[str]:
    """What a pattern matches. Folders that exist under the name given are not patterns."""
    parts = pattern.parts
    exist = next(n for n in reversed(range(len(parts))) if Path(*parts[:n]).exists())
    folder, rest = glob.escape(str(Path(*parts[:exist]))), str(Path(*parts[exist:]))
    for names in (rest, rest.replace("[", "[[]")):
        if found := glob.glob(os.path.join(folder, names), recursive=True):
            return found
    return []


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sort key that compares runs of digits by value and everything else as text."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
