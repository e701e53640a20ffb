"""A producer's settings: the options of its command line, which are also the arguments of `Producer`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from fanlight.common.codec import check_quality
from fanlight.common.model import units
from fanlight.common.model.address import Design, TcpAddress
from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import Codec
from fanlight.common.runtime.credential_files import one_line
from fanlight.common.runtime.options import option
from fanlight.common.runtime.settings import MAX_WAIT, StreamSettings
from fanlight.common.transport.base import MAX_CLIENTS

DEFAULT_FPS: Final = 30.0
_MOST_PAYLOAD_FRAMES: Final = 30
_QUALITY: Final = units.count(
    0, 100, "0 to 51 for h264 (lower is better), 1 to 100 for jpeg, 0 to 9 for png"
)
_PAYLOAD_FRAMES: Final = units.count(1, _MOST_PAYLOAD_FRAMES, f"1 to {_MOST_PAYLOAD_FRAMES}")


class Deinterlace(StrEnum):
    """Which pictures of a file or URL are deinterlaced."""

    AUTO = "auto"
    """Those that are marked as interlaced."""
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, kw_only=True)
class ProducerSettings(StreamSettings):
    """Validated on creation, then immutable.

    Attributes:
        source: omitted from `repr`, since its URL may contain a password.
    """

    title: ClassVar[str] = "what is published, and how"

    source: str = option(
        "test",
        units.TEXT,
        "test (a moving pattern), a camera index such as 0, a file, a URL that FFmpeg opens, a folder of "
        "images or a pattern such as 'DIR/*.png'",
        "SOURCE",
        repr=False,
    )
    source_file: str | None = option(
        None,
        units.FILE,
        "a file with the text of --source, for a URL with a password: arguments can be read in the process "
        "list",
        "FILE",
        shown="none",
    )
    show_source: bool = option(
        False,
        units.SWITCH,
        "show the URL of --source in full in logs and errors, not only its host and what is no secret",
    )
    deinterlace: Deinterlace = option(
        Deinterlace.AUTO,
        units.one_of(Deinterlace),
        "of files and URLs; auto: pictures that are marked as interlaced; on: all; off",
        "WHEN",
    )
    loop: bool = option(False, units.SWITCH, "start a file or a folder of images again at its end")
    codec: Codec = option(Codec.H264, units.one_of(Codec), ", ".join(Codec), "CODEC")
    fps: float | None = option(
        None, units.RATE, "frames per second", "FPS", shown=f"the source's own, or {DEFAULT_FPS:g}"
    )
    size: tuple[int, int] | None = option(
        None,
        units.SIZE,
        "scale to WIDTHxHEIGHT; consumers that share the environment ask for the same size",
        "SIZE",
        shown="the source's own",
    )
    quality: int | None = option(
        None,
        _QUALITY,
        "h264: CRF 0 to 51, lower is better; jpeg: 1 to 100; png: compression 0 to 9",
        "N",
        shown="23, 80, 1",
    )
    gop_s: float = option(1.0, MAX_WAIT, "time between keyframes (h264)", "TIME")
    max_age_s: float = option(0.5, MAX_WAIT, "drop what waited longer than this for the broker", "TIME")
    duration_s: float | None = option(None, units.DURATION, "end after this time", "TIME", shown="never")
    payload_frames: int = option(
        1, _PAYLOAD_FRAMES, f"of tcp+threads: frames sent as one, 1 to {_MOST_PAYLOAD_FRAMES}", "N"
    )

    max_clients: int = option(
        MAX_CLIENTS, units.count(), "without a broker: refuse further clients than so many", "N"
    )

    @classmethod
    def load(cls, flags: Mapping[str, Any], environment: Mapping[str, str]) -> Self:
        if flags.get("source") is not None and flags.get("source_file") is not None:
            raise ConfigError("--source-file", flags["source_file"], "leave it out, or --source")
        settings = super().load(flags, environment)
        if settings.source_file is None or flags.get("source") is not None:
            return settings
        return replace(settings, source=one_line("--source-file", settings.source_file))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_quality(self.codec, self.quality)
        address = self.address
        threads = isinstance(address, TcpAddress) and address.design is Design.THREADS
        if self.payload_frames > 1 and not threads:
            raise ConfigError(
                "--payload-frames", self.payload_frames, "only --url tcp+threads:// has payloads"
            )
