"""A producer's settings: the table behind the command line, and the checks behind both it and the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from fanlight.common.codec import check_quality
from fanlight.common.model import units
from fanlight.common.model.address import DEFAULT_URL, Design, TcpAddress
from fanlight.common.model.credentials import Access
from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import MAX_FPS, MAX_PIXELS, Codec
from fanlight.common.runtime import credential_files
from fanlight.common.runtime.settings import MAX_PIXELS_OPTION, STREAM, URL, Option

DEFAULT_SIZE: Final = (1280, 720)
DEFAULT_FPS: Final = 30.0
MOST_PAYLOAD_FRAMES: Final = 30
_PAYLOAD_RULE: Final = f"allowed is 1 to {MOST_PAYLOAD_FRAMES}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerSettings:
    """Checked once, then fixed.

    Attributes:
        source: `test`, a camera index, a file, a URL, a folder or pattern of images.
        loop: start a file or folder again at its end.
        fps: frames per second; None for the source's own rate.
        size: (width, height) to scale to; None for the source's own size.
        quality: in the codec's own terms; None for its default.
        gop_s: seconds between keyframes (H.264).
        max_age_s: a picture that waited longer than this for the broker is dropped.
        duration_s: end after this time; None for never.
        payload_frames: how many frames are sent as one; of `tcp+threads` only.
        url: may hold a password: left out of `repr`.
        access: what lets us in there.
        max_pixels: of a picture in a file or URL; what is larger is refused before any memory is taken.
    """

    source: str = "test"
    loop: bool = False
    stream: str = "cam"
    codec: Codec = Codec.H264
    fps: float | None = None
    size: tuple[int, int] | None = None
    quality: int | None = None
    gop_s: float = 1.0
    max_age_s: float = 0.5
    duration_s: float | None = None
    payload_frames: int = 1
    url: str = field(default=DEFAULT_URL, repr=False)
    access: Access = field(default_factory=Access)
    max_pixels: int = MAX_PIXELS

    @property
    def url_shown(self) -> str:
        """The broker's address without the password."""
        return str(self.access.address(self.url))

    def __post_init__(self) -> None:
        self._check_payload()
        check_quality(self.codec, self.quality)
        units.checked("--max-pixels", str(self.max_pixels), units.pixels)
        units.checked("--stream", self.stream, units.name)
        if self.fps is not None and not 0 < self.fps <= MAX_FPS:
            raise ConfigError("--fps", self.fps, f"allowed is above 0 and up to {MAX_FPS:g}")
        for name, value in (("--gop", self.gop_s), ("--max-age", self.max_age_s)):
            if not 0 < value <= 3600:
                raise ConfigError(name, value, "allowed is above 0 s and up to 1 h")

    def _check_payload(self) -> None:
        address = self.access.address(self.url)
        if not 1 <= self.payload_frames <= MOST_PAYLOAD_FRAMES:
            raise ConfigError("--payload-frames", self.payload_frames, _PAYLOAD_RULE)
        threads = isinstance(address, TcpAddress) and address.design is Design.THREADS
        if self.payload_frames > 1 and not threads:
            raise ConfigError(
                "--payload-frames", self.payload_frames, "only --url tcp+threads:// has payloads"
            )


codec_value: Final = units.one_of(Codec)
"""A codec by its name."""


def _quality(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise ValueError("0 to 51 for h264 (lower is better), 1 to 100 for jpeg, 0 to 9 for png")
    return int(text)


OPTIONS: Final = (
    Option(
        "source",
        str,
        "test",
        "test (a moving pattern, the default), a camera index such as 0, a file, a URL that FFmpeg opens, "
        "a folder of images or a pattern such as 'DIR/*.png'",
        "SOURCE",
    ),
    Option("loop", str, False, "start a file or a folder of images again at its end", switch=True),
    STREAM,
    MAX_PIXELS_OPTION,
    Option("codec", codec_value, Codec.H264, f"{', '.join(Codec)} (default: h264)", "CODEC"),
    Option("fps", units.rate_fps, None, "frames per second (default: the source's own, or 30)", "FPS"),
    Option("size", units.size_px, None, "scale to WIDTHxHEIGHT (default: the source's own)", "SIZE"),
    Option(
        "quality",
        _quality,
        None,
        "h264: CRF 0 to 51, lower is better (default: 23); jpeg: 1 to 100 (default: 80); "
        "png: compression 0 to 9 (default: 1)",
        "N",
    ),
    Option(
        "gop", units.positive_duration_s, 1.0, "time between keyframes (default: 1s)", "TIME", field="gop_s"
    ),
    Option(
        "max-age",
        units.positive_duration_s,
        0.5,
        "drop what waited longer than this for the broker (default: 500ms)",
        "TIME",
        field="max_age_s",
    ),
    Option(
        "duration",
        units.positive_duration_s,
        None,
        "end after this time (default: never)",
        "TIME",
        field="duration_s",
    ),
    Option(
        "payload-frames",
        units.count,
        1,
        "of --url tcp+threads: frames that are sent as one, up to 30 (default: 1)",
        "N",
    ),
    URL,
    *credential_files.OPTIONS,
)
