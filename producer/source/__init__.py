"""Sources of pictures, one file per kind, each imported only when it is used."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import MAX_PIXELS
from fanlight.common.model.reasons import reason
from fanlight.producer.settings import Deinterlace
from fanlight.producer.source.base import Captured, Source

__all__ = ["ALLOWED", "Captured", "Source", "make_source"]

ALLOWED = "test, a camera's index, a video file, a URL, a folder of images or a pattern such as 'DIR/*.png'"


def make_source(
    spec: str,
    *,
    loop: bool,
    fps: float | None,
    size: tuple[int, int] | None,
    max_pixels: int = MAX_PIXELS,
    show_source: bool = False,
    deinterlace: Deinterlace = Deinterlace.AUTO,
) -> Source:
    """The source that `--source` names. Opens nothing, but checks that files exist.

    Args:
        loop: files and images start over at their end.
        fps: files, images and the test pattern play at this rate; a camera or a live URL is limited
            to it. None: the source's own rate.
        size: (width, height) of the test pattern, and requested from a camera; other sources' pictures are
            scaled to it later.
        max_pixels: limit for a picture in a file or URL.
        show_source: whether messages have the whole URL, instead of one without what may be a secret.
        deinterlace: which pictures of a video to deinterlace.

    Raises:
        ConfigError: there is no such file or folder, or no image in it.
    """
    if spec == "test":
        from fanlight.producer.source.test_pattern import DEFAULT_FPS, DEFAULT_SIZE, TestPatternSource

        return TestPatternSource(size or DEFAULT_SIZE, fps or DEFAULT_FPS)
    if re.fullmatch(r"[0-9]{1,4}|/dev/video[0-9]+", spec):
        from fanlight.producer.source.camera import CameraSource

        return CameraSource(int(spec) if spec.isdigit() else spec, fps=fps, size=size)
    if "://" in spec and not spec.startswith("file://"):
        from fanlight.producer.source.media import UrlSource

        return UrlSource(
            spec, loop=loop, fps=fps, size=size, max_pixels=max_pixels, deinterlace=deinterlace,
            show=show_source,
        )  # fmt: skip
    path = unquote(spec.removeprefix("file://")) if "://" in spec else spec
    return _from_disk(path, loop, fps, size, max_pixels, deinterlace)


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
