"""A folder of images, or the files that a pattern names, played as a video."""

from __future__ import annotations

import glob
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from fanlight.common.codec.jpeg import check_scans
from fanlight.common.codec.picture import BGR, Converter
from fanlight.common.codec.png_chunks import without_metadata
from fanlight.common.model.errors import DecodeError, SourceError
from fanlight.common.model.frame import MAX_PIXELS
from fanlight.common.model.reasons import reason
from fanlight.producer.source.base import Captured
from fanlight.producer.source.pacing import Clock, Pacer, interval_ns
from fanlight.producer.stats import Drop, Drops

_log = logging.getLogger(__name__)

DEFAULT_FPS = 30.0
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm", ".pnm"}
)

# More than an 8K picture takes in any of these formats, at 8 bytes per pixel.
_MAX_FILE_BYTES = 512 * 1024 * 1024

# By the first bytes of a file; its name is ignored.
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

    Grey, palette and 16-bit images become 8-bit BGR; alpha is dropped. One that cannot be read is
    skipped, counted and logged once.

    Args:
        spec: a folder, a pattern such as `shots/*.png`, or one image.
    """

    live = False
    wait_s = 0.0

    def __init__(
        self,
        spec: str,
        *,
        loop: bool = False,
        fps: float | None = None,
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
        self._clock = clock
        self._pacer = Pacer(clock)
        self._pictures: Iterator[tuple[int, BGR]] = iter(())

    def open(self) -> None:
        """List the files."""
        paths = list_images(self._spec)
        self._pacer = Pacer(self._clock)
        self._pictures = enumerate(self._decode_all(paths, Converter()))

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

    def _decode_all(self, paths: list[Path], converter: Converter) -> Iterator[BGR]:
        while True:
            readable = 0
            for path in paths:
                if self._interrupted.is_set():
                    return
                picture = self._decode(path, converter)
                if picture is not None:
                    readable += 1
                    yield picture
            if not readable:
                raise SourceError(f"{self}: none of the {len(paths)} images here can be read")
            if not self._loop:
                return

    def _decode(self, path: Path, converter: Converter) -> BGR | None:
        try:
            size_bytes = path.stat().st_size
            if size_bytes > _MAX_FILE_BYTES:
                raise ValueError(f"it has {size_bytes} bytes: allowed is up to {_MAX_FILE_BYTES}")  # noqa: TRY301
            return to_picture(decode_image(path.read_bytes(), self._max_pixels), converter)
        except (OSError, ValueError, DecodeError, MemoryError, av.FFmpegError) as error:
            self.drops[Drop.UNREADABLE] += 1
            if path not in self._logged:
                self._logged.add(path)
                _log.warning("%s: skipped, it cannot be read: %s", path, reason(error))
            return None


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS) -> av.VideoFrame:
    """Decode one image file.

    Using the decoder directly takes half the time of opening the file as a video of one frame.

    Raises:
        ValueError: unknown image format.
        DecodeError: it has too many scans or chunks.
        av.FFmpegError: damaged, truncated, or too large; memory is allocated only within `max_pixels`.
    """
    codec = next((name for name, starts in _DECODERS.items() if data.startswith(starts)), None)
    if codec is None:
        raise ValueError("this is no known image format")
    decoder = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
    decoder.thread_count = 1
    options = {"max_pixels": str(max_pixels)}
    if codec == "mjpeg":
        # By default the missing part of a truncated JPEG is filled with grey, without an error. Not for
        # TIFF, where an unknown tag would be an error.
        options["err_detect"] = "explode"
        check_scans(data)
    decoder.options = options
    frames = decoder.decode(av.Packet(without_metadata(data) if codec == "png" else data))
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
        found = [Path(name) for name in glob.glob(spec, recursive=True)]
    return sorted((p for p in found if p.is_file()), key=natural_key)


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sort key that compares runs of digits by value and everything else as text."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
