"""The API: a program takes the newest frame each time it is ready for one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final, Self

from fanlight.common.model.errors import StreamEnded
from fanlight.common.runtime.x_libraries import unify_x_libraries
from fanlight.consumer.frame import Frame
from fanlight.consumer.reception import Reception
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.sink_spec import SinkSpec
from fanlight.consumer.sinks.share import ShareSink
from fanlight.consumer.stats import ConsumerStats

unify_x_libraries()  # the program may show its pictures in a window

# A hub has to show ten times a second that it is alive.
_TICK_S: Final = 0.1


class Consumer:
    """One consumer of a stream, with a queue of its own.

        for frame in Consumer(stream="cam", name="detector"):
            detect(frame.image)

    A loop that takes longer than a frame interval skips frames; it never gets a backlog.

    Args:
        name: as operators read it in RabbitMQ's console.
        playout: `latest`: the newest frame at once; `sync`: each at its capture time plus `delay_s`.
        max_age_s: a frame older than this is never presented.
        via: `auto`: from a hub of this host where there is one, else from the broker; `broker`; `host`.
        format: pixel format: `bgr`, `grey` (or `gray`) or `i420`; see `common.model.pixels`.
        size: (width, height) that pictures are scaled to; None for that of the stream.
        share: be the hub of this host: what `read` returns is shared before, in `format` and `size`. A
            program that does little else, and reads on at once.
        trust: users of the broker whose frames are accepted; empty for all.
        max_pixels: of a picture; what is larger is refused before any memory is taken for it.
        max_body_bytes: of an encoded frame, likewise.
        url: the broker; by default `FANLIGHT_URL` or else the local one.
        password, ca, cert, key, token: as of `Producer`.

    Raises:
        ConfigError: a setting cannot be used.
    """

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
        share: bool = False,
        trust: Sequence[str] = ConsumerSettings.trust,
        max_pixels: int = ConsumerSettings.max_pixels,
        max_body_bytes: int = ConsumerSettings.max_body_bytes,
        url: str | None = None,
        password: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        token: str | None = None,
    ) -> None:
        self._settings = ConsumerSettings.of_program(
            stream=stream,
            name=name,
            playout=playout,
            delay_s=delay_s,
            max_age_s=max_age_s,
            via=via,
            sinks=(SinkSpec("share"),) if share else (),
            format=format,
            share_format=format,
            size=size,
            trust=(trust,) if isinstance(trust, str) else tuple(trust),
            max_pixels=max_pixels,
            max_body_bytes=max_body_bytes,
            url=url,
            password=password,
            ca=ca,
            cert=cert,
            key=key,
            token=token,
        )
        self._reception = Reception(self._settings)
        self._hub: ShareSink | None = None
        self._closing = threading.Lock()
        self._started = False

    def start(self) -> Self:
        """Subscribe; returns at once. `read` and iteration call it if the program has not."""
        if not self._started:
            if self._settings.shares:
                self._hub = ShareSink(self._settings, self._reception.stats)
            self._started = True
            self._reception.start()
        return self

    def read(self, timeout_s: float | None = None) -> Frame | None:
        """Wait for the next frame and return it; None if none came in time.

        Raises:
            StreamEnded: the consumer was closed.
            BrokerRefused: the broker refused it for good.
            TokenRefused: so did a producer without a broker.
        """
        self.start()
        frame = self._reception.take(timeout_s) if self._hub is None else self._shared(self._hub, timeout_s)
        if frame is None and self._reception.ended:
            raise self._reception.failure or StreamEnded("this consumer was closed")
        return frame

    def _shared(self, hub: ShareSink, timeout_s: float | None) -> Frame | None:
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = _TICK_S if end_s is None else min(_TICK_S, max(0.0, end_s - time.monotonic()))
            frame = self._reception.take(left_s)
            with self._closing:
                if not self._reception.ended:
                    if frame is not None:
                        hub.present(frame)
                    hub.tick()
            over = end_s is not None and time.monotonic() >= end_s
            if frame is not None or over or self._reception.ended:
                return frame

    def __iter__(self) -> Iterator[Frame]:
        """Frames until the consumer is closed; leaving the loop closes it."""
        try:
            while True:
                # Bounded, so that Ctrl-C is answered on platforms whose waits are not interruptible.
                frame = self.read(timeout_s=1.0)
                if frame is not None:
                    yield frame
        except StreamEnded:
            return
        finally:
            self.close()

    def close(self) -> None:
        """Unsubscribe and end, within 2 s. Safe to call twice, and from any thread."""
        self._reception.stop()
        with self._closing:
            hub, self._hub = self._hub, None
            if hub is not None:
                hub.close()

    def stats(self) -> ConsumerStats:
        """The figures as they stand."""
        return self._reception.stats()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()
