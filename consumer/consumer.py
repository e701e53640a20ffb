"""The API for a program that reads frames."""

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

# A hub has to write its liveness time ten times a second.
_TICK_S: Final = 0.1


class Consumer:
    """One consumer of a stream, with a queue of its own.

        for frame in Consumer(stream="cam", name="detector"):
            detect(frame.image)

    A loop that takes longer than a frame interval skips frames; no backlog builds up.

    Args:
        name: name of this consumer, as RabbitMQ's console shows it.
        playout: `latest`: the newest frame at once; `sync`: each at its capture time plus `delay_s`.
        max_age_s: a frame older than this is never presented.
        via: `auto` (from a hub of this host if there is one, else from the broker), `broker` or `host`.
        format: pixel format: `bgr`, `grey` (or `gray`) or `i420`; see `common.model.pixels`.
        size: (width, height) in pixels to scale to; None for the stream's size.
        share: act as the hub of this host: `read` shares each frame, in `format` and `size`, before it
            returns it. The program has to call `read` again without delay.
        trust: accept only frames published by these users of the broker; empty for all.
        max_pixels: limit for a picture, checked before memory is allocated.
        max_body_bytes: limit for an encoded frame, likewise.
        url: address of the broker; by default `FANLIGHT_URL`, or else the local broker.
        password, ca, cert, key, token: as for `Producer`.

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
        """Subscribe; returns at once. Idempotent; `read` and iteration call it."""
        if not self._started:
            if self._settings.shares:
                self._hub = ShareSink(self._settings, self._reception.stats)
            self._started = True
            self._reception.start()
        return self

    def read(self, timeout_s: float | None = None) -> Frame | None:
        """Wait for the next frame and return it; None on a timeout.

        Raises:
            StreamEnded: the consumer was closed.
            BrokerRefused: the broker refused the consumer permanently.
            TokenRefused: a producer without a broker refused the token.
        """
        self.start()
        frame = (
            self._reception.take(timeout_s)
            if self._hub is None
            else self._read_and_share(self._hub, timeout_s)
        )
        if frame is None and self._reception.ended:
            raise self._reception.failure or StreamEnded("this consumer was closed")
        return frame

    def _read_and_share(self, hub: ShareSink, timeout_s: float | None) -> Frame | None:
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
        """Yield frames until the consumer is closed; leaving the loop closes it."""
        try:
            while True:
                # With a timeout, so that Ctrl-C works on platforms whose waits are not interruptible.
                frame = self.read(timeout_s=1.0)
                if frame is not None:
                    yield frame
        except StreamEnded:
            return
        finally:
            self.close()

    def close(self) -> None:
        """Unsubscribe, within 2 s. Idempotent and thread-safe."""
        self._reception.stop()
        with self._closing:
            hub, self._hub = self._hub, None
            if hub is not None:
                hub.close()

    def stats(self) -> ConsumerStats:
        """A snapshot of the statistics."""
        return self._reception.stats()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()
