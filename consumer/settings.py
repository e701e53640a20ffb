"""A consumer's settings: the table behind the command line, and the checks behind both it and the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from fanlight.common.model import units
from fanlight.common.model.address import DEFAULT_URL, Address, BrokerAddress
from fanlight.common.model.credentials import Access
from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import MAX_BODY_BYTES, MAX_PIXELS, Limits
from fanlight.common.model.pixels import Form, PixelFormat, format_value
from fanlight.common.runtime import credential_files
from fanlight.common.runtime.settings import MAX_PIXELS_OPTION, STREAM, URL, Option
from fanlight.common.shm import folder
from fanlight.consumer.sinks import SINKS, SinkSpec, parse_sink

_NEED_STREAM: Final = frozenset({"share", "record"})


class PlayoutMode(StrEnum):
    """The two ways to present."""

    LATEST = "latest"
    SYNC = "sync"


class Via(StrEnum):
    """Ways for frames to come."""

    AUTO = "auto"
    """From a hub of this host where there is one, else as the stream itself."""
    BROKER = "broker"
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerSettings:
    """Checked once, then fixed.

    Attributes:
        name: of this consumer, as operators read it in RabbitMQ's console.
        playout: `latest`: the newest frame at once; `sync`: each at `capture + delay`.
        delay_s: of `sync`.
        max_age_s: a frame older than this is never presented.
        sinks: where frames go; empty for a window, or a status line where there is no display.
        work_s: time that every presented frame costs, to stand in for a slow consumer.
        duration_s: end after this time; None for never.
        frames: end after so many presented frames; None for never.
        via: by which way frames come.
        format: of the pixels.
        size: (width, height) that pictures are scaled to; None for that of the stream.
        share_format: of the pictures that the sink `share` shares, and this consumer's own then.
        share_size: likewise.
        trust: users of the broker whose frames are taken; empty for everybody's.
        url: may hold a password: left out of `repr`.
        access: what lets us in there.
        max_pixels: of a picture; what is larger is refused before any memory is taken for it.
        max_body_bytes: of an encoded frame, likewise.
    """

    name: str = "consumer"
    stream: str = "cam"
    playout: PlayoutMode = PlayoutMode.LATEST
    delay_s: float = 0.15
    max_age_s: float = 0.5
    sinks: tuple[SinkSpec, ...] = ()
    work_s: float = 0.0
    duration_s: float | None = None
    frames: int | None = None
    via: Via = Via.AUTO
    format: PixelFormat = PixelFormat.BGR
    size: tuple[int, int] | None = None
    share_format: PixelFormat = PixelFormat.BGR
    share_size: tuple[int, int] | None = None
    trust: tuple[str, ...] = ()
    url: str = field(default=DEFAULT_URL, repr=False)
    access: Access = field(default_factory=Access)
    max_pixels: int = MAX_PIXELS
    max_body_bytes: int = MAX_BODY_BYTES

    def __post_init__(self) -> None:
        address = self.address
        if self.trust and not isinstance(address, BrokerAddress):
            raise ConfigError("--trust", ",".join(self.trust), "only a broker knows users: see --url")
        units.checked("--stream", self.stream, units.name)
        units.checked("--name", self.name, units.name)
        for name, value in (("--max-age", self.max_age_s), ("--delay", self.delay_s)):
            if not 0 < value <= 3600:
                raise ConfigError(name, value, "allowed is above 0 s and up to 1 h")
        if self.playout is PlayoutMode.SYNC and self.delay_s >= self.max_age_s:
            raise ConfigError(
                "--delay",
                f"{self.delay_s * 1000:g}ms",
                f"allowed is less than --max-age, which is {self.max_age_s * 1000:g}ms",
            )

        units.checked("--max-pixels", str(self.max_pixels), units.pixels)
        units.checked("--max-body", str(self.max_body_bytes), units.body_bytes)
        self._check_ways()

    def _check_ways(self) -> None:
        kinds = {spec.kind for spec in self.sinks}
        # A hub may be started with its consumers' environment: for it the stream is the only way anyhow.
        if self.via is Via.HOST and "record" in kinds and not self.shares:
            raise ConfigError("--via", str(self.via), "record needs the stream: allowed is auto or broker")
        if self.via is Via.HOST and not folder.can_share():
            raise ConfigError("--via", str(self.via), "this host cannot share pictures: allowed is broker")
        form, option = self.form, "share-" if self.shares else ""
        if form.format is PixelFormat.I420:
            if kinds & {"window", "snapshot"}:
                raise ConfigError(f"--{option}format", "i420", "window and snapshot take bgr or grey")
            if form.size is not None and form.sized(*form.size) != form.size:
                flag = "--share-size" if self.shares else "--scale"
                raise ConfigError(flag, f"{form.size[0]}x{form.size[1]}", "i420 takes even sizes")

    @property
    def limits(self) -> Limits:
        """What is accepted at most."""
        return Limits(self.max_pixels, self.max_body_bytes)

    @property
    def shares(self) -> bool:
        """Whether this consumer is a hub."""
        return any(spec.kind == "share" for spec in self.sinks)

    @property
    def way(self) -> Via:
        """By which way frames come: a hub and a recording need the stream itself."""
        return Via.BROKER if any(spec.kind in _NEED_STREAM for spec in self.sinks) else self.via

    @property
    def form(self) -> Form:
        """What its pictures look like."""
        if self.shares:
            return Form(self.share_format, self.share_size)
        return Form(self.format, self.size)

    @property
    def address(self) -> Address:
        """Where the stream is to be found. Its `str` has no password."""
        return self.access.address(self.url)


via_value: Final = units.one_of(Via, " or ")
"""A way by its name."""

playout_value: Final = units.one_of(PlayoutMode, " or ")
"""A playout mode by its name."""


def _users(text: str) -> tuple[str, ...]:
    users = tuple(part.strip() for part in text.split(","))
    if not all(users):
        raise ValueError("allowed are names of users, separated by commas")
    return users


OPTIONS: Final = (
    Option("name", units.name, "consumer", "name of this consumer (default: consumer)", "NAME"),
    STREAM,
    Option(
        "playout",
        playout_value,
        PlayoutMode.LATEST,
        "latest: the newest frame at once (the default); sync: each at its capture time plus --delay",
        "MODE",
    ),
    Option(
        "delay",
        units.positive_duration_s,
        0.15,
        "of --playout sync (default: 150ms)",
        "TIME",
        field="delay_s",
    ),
    Option(
        "max-age",
        units.positive_duration_s,
        0.5,
        "never present a frame older than this (default: 500ms)",
        "TIME",
        field="max_age_s",
    ),
    Option(
        "sink",
        parse_sink,
        (),
        f"{SINKS}; may be given several times (default: window, or status without a display)",
        "SINK",
        field="sinks",
        repeated=True,
    ),
    Option(
        "work",
        units.duration_s,
        0.0,
        "time that each presented frame costs, to stand in for slow work",
        "TIME",
        field="work_s",
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
        "via",
        via_value,
        Via.AUTO,
        "auto: from a hub of this host if there is one, else the broker (the default); broker; host",
        "WAY",
    ),
    Option(
        "format",
        format_value,
        PixelFormat.BGR,
        f"of the pixels: {', '.join(PixelFormat)} (default: bgr); a hub is used if it shares just that",
        "FORMAT",
    ),
    # Not `--size`: FANLIGHT_SIZE is the producer's, and both may be started with it.
    Option(
        "scale", units.size_px, None, "scale pictures to this (default: as they are)", "WxH", field="size"
    ),
    Option(
        "share-format",
        format_value,
        PixelFormat.BGR,
        "what --sink share shares (default: bgr)",
        "FORMAT",
    ),
    Option("share-size", units.size_px, None, "likewise (default: the size of the stream)", "WxH"),
    Option(
        "trust",
        _users,
        (),
        "take frames of these users of the broker only, which attests them (default: of everybody)",
        "USER[,USER]",
    ),
    MAX_PIXELS_OPTION,
    Option(
        "max-body",
        units.body_bytes,
        MAX_BODY_BYTES,
        "refuse larger frames as they come, encoded (default: 16777216)",
        "BYTES",
        field="max_body_bytes",
    ),
    Option("frames", units.count, None, "end after so many presented frames (default: never)", "N"),
    URL,
    *credential_files.OPTIONS,
)
