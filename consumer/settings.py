"""A consumer's settings: the options of its command line, most of them also arguments of `Consumer`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from fanlight.common.model import units
from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import MAX_BODY_BYTES, MAX_PIXELS, Limits
from fanlight.common.model.pixels import PIXEL_FORMAT, PictureFormat, PixelFormat
from fanlight.common.model.units import Notation, duration_text
from fanlight.common.runtime.options import option
from fanlight.common.runtime.settings import MAX_WAIT, StreamSettings
from fanlight.common.shm import private_folder
from fanlight.consumer.sink_spec import SINK, SINKS, SinkSpec
from fanlight.consumer.wall.access_settings import WebSettings

_NEED_STREAM: Final = frozenset({"share", "record", "pipe", "web"})


class PlayoutMode(StrEnum):
    """When frames are presented."""

    LATEST = "latest"
    SYNC = "sync"


class Via(StrEnum):
    """Where frames come from."""

    AUTO = "auto"
    """From a hub of this host if there is one, else from the stream."""
    BROKER = "broker"
    HOST = "host"


_USERS: Final = Notation(
    "names of users, separated by commas",
    lambda text: tuple(part.strip() for part in text.split(",")),
    lambda users: all(isinstance(user, str) and user for user in users),
    convert=tuple,
)
_DETECTORS: Final = Notation(
    "names of detectors, separated by commas, or * for all",
    _USERS.parse,
    lambda names: all(name == "*" or units.NAME.allows(name) for name in names),
    ",".join,
    convert=tuple,
)


@dataclass(frozen=True, kw_only=True)
class ConsumerSettings(StreamSettings, WebSettings):
    """Validated on creation, then immutable."""

    title: ClassVar[str] = "what is shown, and how"

    name: str = option(
        "consumer", units.NAME, "name of this consumer, as RabbitMQ's console shows it", "NAME"
    )
    playout: PlayoutMode = option(
        PlayoutMode.LATEST,
        units.one_of(PlayoutMode),
        "latest: the newest frame at once; sync: each at its capture time plus --delay",
        "MODE",
    )
    delay_s: float = option(0.15, MAX_WAIT, "of --playout sync; less than --max-age", "TIME")
    max_age_s: float = option(0.5, MAX_WAIT, "never present a frame older than this", "TIME")
    sinks: tuple[SinkSpec, ...] = option(
        (),
        SINK,
        f"where frames go: {SINKS}; may be given several times, in the variable separated by commas",
        "SINK",
        name="sink",
        shown="window, or status without a display or OpenCV",
        repeated=True,
    )
    via: Via = option(
        Via.AUTO,
        units.one_of(Via),
        "auto: from a hub of this host where there is one, else from the broker; broker; host",
        "WAY",
    )
    format: PixelFormat = option(
        PixelFormat.BGR, PIXEL_FORMAT, f"pixel format: {', '.join(PixelFormat)} (or gray)", "FORMAT"
    )
    size: tuple[int, int] | None = option(
        None,
        units.SIZE,
        "scale pictures to WIDTHxHEIGHT; in the environment it also is the size that a producer sends",
        "SIZE",
        shown="the stream's",
        old_name="scale",
    )
    share_format: PixelFormat = option(
        PixelFormat.BGR, PIXEL_FORMAT, "pixel format that --sink share shares", "FORMAT"
    )
    share_size: tuple[int, int] | None = option(
        None, units.SIZE, "size that --sink share shares", "SIZE", shown="--size, or the stream's"
    )
    work_s: float = option(
        0.0, units.duration(zero=True), "simulate slow work: spend this long per frame", "TIME"
    )
    duration_s: float | None = option(None, units.DURATION, "end after this time", "TIME", shown="never")
    frames: int | None = option(
        None, units.COUNT, "end after this number of presented frames", "N", shown="never"
    )
    until_end: bool = option(
        False, units.SWITCH, "end when the producer ends in good order, after the last frame"
    )
    trust: tuple[str, ...] = option(
        (),
        _USERS,
        "accept only frames and results published by these users; RabbitMQ verifies them",
        "USER[,USER]",
        shown="all users",
    )
    results: tuple[str, ...] = option(
        (),
        _DETECTORS,
        "have with each frame what these detectors found in it; * for all",
        "NAME[,NAME]",
        shown="none",
    )
    wait_s: float = option(
        0.0,
        units.duration(3600, zero=True),
        "of --results without --playout sync: a frame waits until all of them have answered, or it is this "
        "old; less than --max-age",
        "TIME",
    )
    max_body_bytes: int = option(
        MAX_BODY_BYTES, units.BODY_BYTES, "refuse larger frames as they come, encoded", "BYTES"
    )
    list_streams: bool = option(
        False, units.SWITCH, "print the streams that are live, and end", name="list"
    )
    pool: str | None = option(
        None,
        units.NAME,
        "be a worker of this pool: each frame goes to one of its idle members",
        "NAME",
        shown="none: every frame",
    )
    json: bool = option(False, units.SWITCH, "of --list: print JSON, for programs")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trust and not isinstance(self.address, BrokerAddress):
            raise ConfigError("--trust", ",".join(self.trust), "only a broker knows users: see --url")
        self._check_results()
        if self.playout is PlayoutMode.SYNC and self.delay_s >= self.max_age_s:
            delay, max_age = duration_text(self.delay_s), duration_text(self.max_age_s)
            raise ConfigError("--delay", delay, f"allowed is less than --max-age, which is {max_age}")
        if self.json and not self.list_streams:
            raise ConfigError("--json", "on", "it belongs to --list: give both, or leave it out")
        self._check_outputs()
        self._check_ways()
        if self.pool is not None:
            self._check_pool(self.pool)

    def _check_results(self) -> None:
        if not self.results:
            return  # the environment may have the producer's --wait
        if not isinstance(self.address, BrokerAddress):
            raise ConfigError(
                "--results", ",".join(self.results), "only a broker passes them on: see --url"
            )
        wait = duration_text(self.wait_s)
        if self.wait_s >= self.max_age_s:
            max_age = duration_text(self.max_age_s)
            raise ConfigError("--wait", wait, f"allowed is less than --max-age, which is {max_age}")
        if self.wait_s and self.playout is PlayoutMode.SYNC:
            raise ConfigError(
                "--wait", wait, "of --playout latest; under sync every frame waits for --delay"
            )
        if self.wait_s and self.via is Via.HOST:
            raise ConfigError("--wait", wait, "it needs the stream: allowed is --via auto or broker")

    def _check_outputs(self) -> None:
        outputs = set[str]()
        for spec in self.sinks:
            try:
                output = spec.output
            except FileNotFoundError:  # a relative name, in no folder
                raise ConfigError("--sink", str(spec), "the current folder was deleted") from None
            if output in outputs:
                raise ConfigError("--sink", str(spec), "another --sink has the same output")
            outputs.add(output)

    def _check_ways(self) -> None:
        kinds = {spec.kind for spec in self.sinks}
        needing = ", ".join(sorted(kinds & _NEED_STREAM))
        # A hub may share the environment of its consumers; it ignores `via`, since it needs the stream.
        if self.via is Via.HOST and needing and not self.shares:
            raise ConfigError(
                "--via", str(self.via), f"{needing} needs the stream: allowed is auto or broker"
            )
        if self.via is Via.HOST and not private_folder.can_share():
            raise ConfigError("--via", str(self.via), "this host cannot share pictures: allowed is broker")
        picture_format = self.picture_format
        if picture_format.pixel_format is PixelFormat.I420:
            if kinds & {"window", "snapshot"}:
                flag = "--share-format" if self.shares else "--format"
                raise ConfigError(flag, "i420", "window and snapshot take bgr or grey")
            if (
                picture_format.size is not None
                and picture_format.sized(*picture_format.size) != picture_format.size
            ):
                flag = "--share-size" if self.shares and self.share_size else "--size"
                raise ConfigError(flag, units.SIZE.write(picture_format.size), "i420 takes even sizes")

    def _check_pool(self, pool: str) -> None:
        if not isinstance(self.address, BrokerAddress):
            raise ConfigError("--pool", pool, "only a broker has pools: see --url")
        whole = sorted({spec.kind for spec in self.sinks} & _NEED_STREAM)
        if whole:
            raise ConfigError("--pool", pool, f"{', '.join(whole)} needs every frame, a worker gets some")
        if self.playout is PlayoutMode.SYNC:
            raise ConfigError("--pool", pool, "a worker takes frames at once: allowed is --playout latest")
        if self.via is Via.HOST:
            raise ConfigError("--pool", pool, "a hub has no pools: allowed is --via auto or broker")
        if self.results and self.wait_s:
            raise ConfigError("--pool", pool, "a worker takes frames at once: leave out --wait")

    @property
    def limits(self) -> Limits:
        """The largest pictures and bodies that are accepted."""
        return Limits(min(self.max_pixels, MAX_PIXELS), self.max_body_bytes)

    @property
    def shares(self) -> bool:
        """Whether this consumer is a hub."""
        return any(spec.kind == "share" for spec in self.sinks)

    @property
    def way(self) -> Via:
        """The effective `via`: a pool, a hub, a recording and waiting for results need the broker."""
        needed = self.pool is not None or (self.results and self.wait_s)
        return Via.BROKER if needed or any(spec.kind in _NEED_STREAM for spec in self.sinks) else self.via

    @property
    def picture_format(self) -> PictureFormat:
        """Format and size of its pictures; for a hub, of those that it shares.

        `size` is the default of `share_size`: a hub in the environment of its consumers then shares the
        size that they request.
        """
        if self.shares:
            return PictureFormat(self.share_format, self.share_size or self.size)
        return PictureFormat(self.format, self.size)
