"""The API for a program that reads frames."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final, Self

from fanlight.common.forked import OfOneProcess
from fanlight.common.model.errors import ConfigError, FanlightError, StreamEnded
from fanlight.common.model.pixels import PixelFormat
from fanlight.common.model.units import SWITCH, Notation, checked, number
from fanlight.common.runtime.x_libraries import unify_x_libraries
from fanlight.consumer.delivery import FramePixels
from fanlight.consumer.frame import Frame
from fanlight.consumer.reception import Reception
from fanlight.consumer.settings import ConsumerSettings, PlayoutMode, Via
from fanlight.consumer.several_streams import SeveralStreams, checked_streams
from fanlight.consumer.sink_spec import SinkSpec
from fanlight.consumer.sinks.share import ShareSink
from fanlight.consumer.stats import ConsumerStats

unify_x_libraries()  # the program may show its pictures in a window

# A hub has to write its liveness time ten times a second.
_TICK_S: Final = 0.1


def _no_text(_text: str) -> float:
    raise ValueError


_TIMEOUT: Final = Notation(
    "a number of seconds from 0, or None for no limit",
    _no_text,
    lambda value: 0 <= value <= threading.TIMEOUT_MAX,
    convert=number,
)


class Consumer(OfOneProcess):
    """One consumer of a stream, with a queue of its own.

        for frame in Consumer(stream="cam", name="detector"):
            detect(frame.image)

    A loop that takes longer than a frame interval skips frames; no backlog builds up.

    Thread-safe: each frame goes to one of the threads that read. In a forked child `close` does nothing,
    and anything else raises `WrongProcess`. An exception that a signal handler raises during `read` passes
    through; if that was decoding a frame, the next ones are dropped until a keyframe comes.

    Args:
        stream: name of the stream.
        name: name of this consumer, as RabbitMQ's console shows it.
        playout: `latest`: the newest frame at once; `sync`: each at its capture time plus `delay_s`.
        delay_s: from capture to presentation under `sync`, in seconds; less than `max_age_s`.
        max_age_s: a frame older than this is never presented.
        via: `auto` (from a hub of this host if there is one, else from the broker), `broker` or `host`.
        format: pixel format: `bgr`: (height, width, 3), blue first; `grey` (or `gray`): (height, width); or
            `i420`: (height * 3 / 2, width), luma and two chroma planes, BT.601, of even sizes.
        size: (width, height) in pixels to scale to; None for the stream's size.
        streams: names of several streams to read, in place of `stream`, each by a thread of its own: `read`
            returns the newest frame of the one that waits the longest. See also `pairs`.
        decode: False for frames as they came: `frame.encoded` instead of `frame.image`. Those of H.264 come
            in order, from a keyframe on; a program that is too slow for all of them goes on with the next
            keyframe. They come from the stream itself, under `latest`.
        results: names of detectors whose results are wanted, as `Frame.results`; `*` for all. Under `sync`,
            those that have come when a frame is due.
        wait: under `latest`: a frame waits until all of them have answered, or until it is this old, in
            seconds or as `80ms`. Frames then come from the stream itself.
        pool: share one queue with all consumers of this pool: each frame goes to one that waits in `read`,
            the newest first; see docs/pool.md. A frame is finished when the next one is asked for.
        share: act as the hub of this host: `read` shares each frame, in `format` and `size`, before it
            returns it. The program has to call `read` again without delay.
        zero_copy: frames from a hub are views of its memory, which it overwrites after its `--max-age`:
            see `Frame.valid`. By default each frame owns its pixels, and those from a hub are copied.
        trust: accept only frames and results published by these users of the broker; empty for all.
        max_pixels: limit for a picture, checked before memory is allocated.
        max_body_bytes: limit for an encoded frame, likewise.
        until_end: when the producer ends in good order, iteration ends and `read` raises `StreamEnded`,
            after the last frame. By default, and after a crash, it waits for the next producer.
        url: address of the broker; by default `FANLIGHT_URL`, or else the local broker.
        password, ca, cert, key, token: as for `Producer`.

    Raises:
        ConfigError: a setting cannot be used.
    """

    # Whether even a single stream is read by a thread of its own.
    _threaded: ClassVar[bool] = False

    def __init__(
        self,
        stream: str = ConsumerSettings.stream,
        name: str = ConsumerSettings.name,
        *,
        playout: str = ConsumerSettings.playout,
        delay_s: float = ConsumerSettings.delay_s,
        max_age_s: float = ConsumerSettings.max_age_s,
        via: str = ConsumerSettings.via,
        format: str = ConsumerSettings.format,  # noqa: A002 - as everywhere else: the setting's name
        size: tuple[int, int] | None = ConsumerSettings.size,
        streams: Sequence[str] | None = None,
        decode: bool = True,
        results: Sequence[str] = ConsumerSettings.results,
        wait: str | float = ConsumerSettings.wait_s,
        pool: str | None = ConsumerSettings.pool,
        share: bool = False,
        zero_copy: bool = False,
        trust: Sequence[str] = ConsumerSettings.trust,
        max_pixels: int = ConsumerSettings.max_pixels,
        max_body_bytes: int = ConsumerSettings.max_body_bytes,
        until_end: bool = ConsumerSettings.until_end,
        url: str | None = None,
        password: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        token: str | None = None,
    ) -> None:
        super().__init__()
        zero_copy = checked("zero_copy", zero_copy, SWITCH.check)
        self._settings = ConsumerSettings.of_program(
            stream=stream,
            name=name,
            playout=playout,
            delay_s=delay_s,
            max_age_s=max_age_s,
            via=via,
            sinks=(SinkSpec("share"),) if checked("share", share, SWITCH.check) else (),
            format=format,
            share_format=format,
            size=size,
            results=results,
            wait_s=wait,
            pool=pool,
            trust=trust,
            max_pixels=max_pixels,
            max_body_bytes=max_body_bytes,
            until_end=until_end,
            url=url,
            password=password,
            ca=ca,
            cert=cert,
            key=key,
            token=token,
        )
        decode = checked("decode", decode, SWITCH.check)
        if not decode:
            _check_undecoded(self._settings, zero_copy)
        pixels = FramePixels.CONTIGUOUS if zero_copy else FramePixels.OWN
        if streams is not None and pool is not None:
            raise ConfigError("pool", pool, "a worker takes the frames of one stream: leave out streams")
        self._streams = (stream,) if streams is None else checked_streams(streams, stream)
        self._several: SeveralStreams | None = None
        if self._threaded or streams is not None:
            self._several = SeveralStreams(self._settings, self._streams, pixels, decode)
        self._reception = self._several or Reception(self._settings, pixels=pixels, decode=decode)
        self._hub: ShareSink | None = None
        # Re-entrant, as a signal handler may close what its thread is starting.
        self._starting = threading.RLock()
        self._started = self._closed = False
        # Held by the thread that reads, which may change from one frame to the next. Unlike a `Lock` it can
        # only be released by its owner: after an exception of a signal handler that is how to tell.
        self._reading = threading.RLock()
        self._reader: int | None = None

    def start(self) -> Self:
        """Subscribe; returns at once. Idempotent; `read` and iteration call it.

        Raises:
            StreamEnded: the consumer was closed.
            SinkError: with `share`, this host has no shared memory.
        """
        self.check_process()
        with self._starting:
            if self._closed:
                raise StreamEnded("this consumer was closed: it cannot be started; create another one")
            if not self._started:
                if self._settings.shares and isinstance(self._reception, Reception):
                    reception = self._reception
                    self._hub = ShareSink(self._settings, reception.stats, ended=reception.ended_in_order)
                self._started = True
                try:
                    self._reception.start()
                except BaseException:  # of a signal handler: it may have started or not
                    self.close()
                    raise
        return self

    def read(self, timeout_s: float | None = None) -> Frame | None:
        """Wait for the next frame and return it; None on a timeout.

        Args:
            timeout_s: longest wait in seconds, from 0; None for no limit.

        Raises:
            StreamEnded: the stream has ended, with `until_end`, or the consumer was closed, by this or
                another thread.
            BrokerRefused: the broker refused the consumer permanently.
            TokenRefused: a producer without a broker refused the token.
            ConfigError: `timeout_s` is no such number.
        """
        timeout_s = self._begin(timeout_s)
        if self._reader == threading.get_ident():
            raise FanlightError("a signal handler cannot call read() of the Consumer that it interrupted")
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            if not self._reading.acquire(timeout=-1 if timeout_s is None else timeout_s):
                return None
            self._reader = threading.get_ident()
            return self._read(end_s)
        finally:
            try:
                self._end_reading()
            except BaseException:  # of a signal handler, just now
                self._end_reading()
                raise

    def _begin(self, timeout_s: float | None) -> float | None:
        """Check what every read checks, and start if need be; the timeout in seconds."""
        self.check_process()
        if timeout_s is not None:
            timeout_s = checked("timeout_s", timeout_s, _TIMEOUT.check)
        if not self._started:
            self.start()
        return timeout_s

    def _read(self, end_s: float | None) -> Frame | None:
        frame = (
            self._reception.take(None if end_s is None else max(0.0, end_s - time.monotonic()))
            if self._hub is None
            else self._read_and_share(self._hub, end_s)
        )
        if frame is None and self._reception.ended:
            raise self._why_ended()
        return frame

    def _why_ended(self) -> FanlightError:
        if self._reception.over:
            return StreamEnded(f"stream {', '.join(self._streams)} has ended")
        return self._reception.failure or StreamEnded("this consumer was closed: no more frames come")

    def _read_and_share(self, hub: ShareSink, end_s: float | None) -> Frame | None:
        while True:
            left_s = _TICK_S if end_s is None else min(_TICK_S, max(0.0, end_s - time.monotonic()))
            frame = self._reception.take(left_s)
            if not self._reception.ended:
                if frame is not None:
                    hub.present(frame)
                hub.tick()
            over = end_s is not None and time.monotonic() >= end_s
            if frame is not None or over or self._reception.ended:
                return frame

    def _end_reading(self) -> None:
        """Safe to call twice, and where an exception may have come before the lock was acquired."""
        if self._reader == threading.get_ident():
            if self._reception.ended:
                self._close_hub()
            self._reader = None
        try:  # noqa: SIM105 - once per frame
            self._reading.release()
        except RuntimeError:  # not acquired
            pass

    def _close_hub(self) -> None:
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the consumer is closed or, with `until_end`, the stream has ended.

        It may be iterated again after leaving the loop.

        Raises:
            StreamEnded: the consumer was closed before.
        """
        self.start()
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        while True:
            try:
                # With a timeout, so that Ctrl-C works on platforms whose waits are not interruptible.
                frame = self.read(timeout_s=1.0)
            except StreamEnded:
                return
            if frame is not None:
                yield frame

    def close(self) -> None:
        """Unsubscribe, within 2 s. Idempotent, thread-safe, and for signal handlers too."""
        if self.inherited:
            return
        with self._starting:
            self._closed = True
        self._reception.stop()
        if self._hub is None or self._reader == threading.get_ident():
            return  # the read that a signal handler has interrupted closes the hub
        with self._reading:  # soon, as nothing comes any more
            self._close_hub()

    def __del__(self) -> None:
        # Left without `close`, as by `for frame in Consumer(): break`.
        with contextlib.suppress(Exception):
            if not self.inherited and not sys.is_finalizing():
                self._reception.stop(0)
                self._close_hub()

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of its streams."""
        return self._streams

    @property
    def max_age_s(self) -> float:
        """Frames older than this are never presented."""
        return self._settings.max_age_s

    @property
    def ended(self) -> tuple[str, ...]:
        """The names of those of its streams that give no more frames."""
        if self._several is not None:
            return self._several.ended_streams
        return self._streams if self._reception.ended else ()

    @property
    def failures(self) -> Mapping[str, FanlightError]:
        """Why streams ended by themselves, by their names. Of several streams the others go on."""
        if self._several is not None:
            return self._several.failures
        failure = self._reception.failure
        return {} if failure is None else {self._streams[0]: failure}

    @property
    def producer_away(self) -> float | None:
        """Seconds since the last sign of a producer: a frame, or an answer. None while it is there.

        A producer that ends in good order is away at once, a killed one after some seconds without a sign.
        Of several streams: that of the one whose producer is away the longest.
        """
        away = (self.stats(name).producer_away_s for name in self._streams)
        return max((each for each in away if each is not None), default=None)

    def stats(self, stream: str | None = None) -> ConsumerStats:
        """A snapshot of the statistics.

        Args:
            stream: name of one of the streams; may be left out if there is only one.

        Raises:
            ConfigError: there is no such stream, or there are several and none is named.
        """
        self.check_process()
        name = self._streams[0] if stream is None and len(self._streams) == 1 else stream
        if name is None or name not in self._streams:
            raise ConfigError("stream", name, f"allowed is one of {', '.join(self._streams)}")
        if isinstance(self._reception, SeveralStreams):
            return self._reception.stats(name)
        return self._reception.stats()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_undecoded(settings: ConsumerSettings, zero_copy: bool) -> None:
    """Raises ConfigError: an argument that is about pixels, or about a hub, which has nothing else."""
    for name, value, usable in (
        ("share", settings.shares, not settings.shares),
        ("zero_copy", zero_copy, not zero_copy),
        ("via", settings.via, settings.via is not Via.HOST),
        ("playout", settings.playout, settings.playout is PlayoutMode.LATEST),
        ("format", settings.format, settings.format is PixelFormat.BGR),
        ("size", settings.size, settings.size is None),
        ("wait", settings.wait_s, not settings.wait_s),
    ):
        if not usable:
            raise ConfigError(name, value, "decode=False gives the stream's frames as they came: omit one")
