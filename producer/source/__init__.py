"""Sources of pictures, one file per kind, each imported only when it is used."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import MAX_PIXELS
from fanlight.common.model.reasons import reason
from fanlight.producer.settings import Deinterlace
from fanlight.producer.source.base import Captured, Source

__all__ = ["ALLOWED", "Captured", "Source", "make_source"]

ALLOWED = (
    "test, a camera's index or device, a video file, a URL, - for standard input, a folder of images or a "
    "pattern such as 'DIR/*.png'"
)
_DEVICE = r"/dev/(video[0-9]+|v4l/.+)"
_DESCRIPTOR = re.compile(r"-|/dev/stdin|(?:pipe:|/dev/fd/|/proc/self/fd/)([0-9]{0,4})")


def is_pipe(spec: str) -> bool:
    """Whether it names standard input or another pipe."""
    return _DESCRIPTOR.fullmatch(spec) is not None or stat.S_ISFIFO(_mode(spec))


def make_source(
    spec: str,
    *,
    loop: bool,
    fps: float | None,
    size: tuple[int, int] | None,
    max_pixels: int = MAX_PIXELS,
    show_source: bool = False,
    deinterlace: Deinterlace = Deinterlace.AUTO,
    stall_s: float | None = None,
) -> Source:
    """The source that `--source` names. Opens nothing, but checks that files exist.

    Args:
        loop: files and images start over at their end.
        fps: files, images and the test pattern play at this rate; a camera or a live URL is limited
            to it. None: the source's own rate.
        size: (width, height) of the test pattern, and requested from a camera; other sources' pictures are
            scaled to it later, and of the variants of a URL one is chosen by it.
        max_pixels: limit for a picture in a file or URL.
        show_source: whether messages have the whole URL, instead of one without what may be a secret.
        deinterlace: which pictures of a video to deinterlace.
        stall_s: how long to wait for a picture of a camera or URL; None for `StallLimit`'s.

    Raises:
        ConfigError: there is no such file or folder, or no image in it.
    """
    if spec == "test":
        from fanlight.producer.source.test_pattern import DEFAULT_FPS, DEFAULT_SIZE, TestPatternSource

        return TestPatternSource(size or DEFAULT_SIZE, fps or DEFAULT_FPS)
    video: dict[str, Any] = {
        "fps": fps,
        "size": size,
        "max_pixels": max_pixels,
        "deinterlace": deinterlace,
    }
    if descriptor := _DESCRIPTOR.fullmatch(spec):
        return _from_descriptor(int(descriptor[1] or 0), spec, loop, **video)
    path = unquote(spec.removeprefix("file://")) if spec.startswith("file://") else os.path.expanduser(spec)
    if "://" in path:
        from fanlight.producer.source.media import UrlSource

        return UrlSource(path, loop=loop, stall_s=stall_s, show=show_source, **video)
    mode = _mode(path)
    # A camera also has names that are links (/dev/v4l/by-id/...), and its device may not be there yet.
    if re.fullmatch(rf"[0-9]{{1,4}}|{_DEVICE}", path) or stat.S_ISCHR(mode):
        from fanlight.producer.source.camera import CameraSource

        return CameraSource(int(path) if path.isdigit() else path, fps=fps, size=size, stall_s=stall_s)
    if stat.S_ISFIFO(mode):
        from fanlight.producer.source.pipe import PipeSource

        return PipeSource(path, path, **video)
    if stat.S_ISREG(mode) and path.lower().endswith(".sdp"):
        from fanlight.producer.source.media import SdpSource

        return SdpSource(Path(path), stall_s=stall_s, **video)
    return _from_disk(path, loop, **video)


def _mode(path: str) -> int:
    """What the path names, behind all links; 0 if it cannot be told."""
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):
        return 0


def _from_descriptor(descriptor: int, spec: str, loop: bool, **video: Any) -> Source:
    """What a shell has put there: a file (`< clip.mp4`), or a pipe."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError as error:
        raise ConfigError("--source", spec, f"it is not open ({reason(error)})") from None
    if stat.S_ISREG(mode):
        return _from_disk(f"/dev/fd/{descriptor}", loop, **video)
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        raise ConfigError("--source", spec, "it is no pipe: write a video to it, as in camera | producer")
    from fanlight.producer.source.pipe import PipeSource

    name = "standard input" if descriptor == 0 else f"pipe:{descriptor}"
    return PipeSource(descriptor, name, **video)


def _from_disk(
    spec: str,
    loop: bool,
    fps: float | None,
    size: tuple[int, int] | None,
    max_pixels: int,
    deinterlace: Deinterlace,
) -> Source:
    from fanlight.producer.source.images import SUFFIXES, ImagesSource, list_images

    spec = os.path.expanduser(spec)  # the shell does not see a ~ in --source=~/x, a variable or a file
    path = Path(spec)
    is_pattern = not path.exists() and any(character in spec for character in "*?[")
    if not spec or not (path.exists() or is_pattern):
        raise ConfigError("--source", spec, f"there is no such file; allowed is {ALLOWED}")
    if is_pattern or path.is_dir() or path.suffix.lower() in SUFFIXES:
        try:
            found = list_images(spec)
        except OSError as error:
            raise ConfigError("--source", spec, f"it cannot be listed: {reason(error)}") from None
        if not found:
            raise ConfigError(
                "--source", spec, f"there is no image; known are {', '.join(sorted(SUFFIXES))}"
            )
        return ImagesSource(spec, loop=loop, fps=fps, size=size, max_pixels=max_pixels)

    from fanlight.producer.source.media import FileSource

    return FileSource(path, loop=loop, fps=fps, size=size, max_pixels=max_pixels, deinterlace=deinterlace)
