"""The API for a program that publishes its own pictures."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections.abc import Mapping
from typing import Self, SupportsIndex

import numpy as np
import numpy.typing as npt

from fanlight.common.clock import wall_ns
from fanlight.common.codec.picture import as_bgr
from fanlight.common.forked import OfOneProcess
from fanlight.common.model.errors import FanlightError, StreamEnded
from fanlight.common.model.frame import MAX_PIXELS, MAX_SIDE
from fanlight.common.model.meta import JSON, to_text
from fanlight.common.runtime.x_libraries import unify_x_libraries
from fanlight.producer.capture_time import present_time
from fanlight.producer.pipeline import Pipeline
from fanlight.producer.settings import DEFAULT_FPS, ProducerSettings
from fanlight.producer.source.base import Captured
from fanlight.producer.stats import ProducerStats

unify_x_libraries()  # the program may show its pictures in a window


class Producer(OfOneProcess):
    """Publishes the pictures that a program passes to `send`.

        with Producer(stream="cam") as out:
            out.send(image)

    Thread-safe. In a forked child `close` does nothing, and anything else raises `WrongProcess`.

    Args:
        stream: name of the stream: 1 to 64 letters, digits, `-` or `_`.
        codec: `h264`, `jpeg`, `png` or `raw`.
        fps: nominal rate of `send`, for rate control and the frame headers.
        size: (width, height) in pixels to scale to.
        quality: CRF for `h264`, quality for `jpeg`, compression level for `png`.
        gop_s: seconds between keyframes (H.264).
        max_age_s: a picture that waits longer than this for the broker is dropped.
        payload_frames: frames per message; for `tcp+threads` only.
        max_clients: without a broker: further clients are refused.
        url: address of the broker, or, without one, the address to listen on (`tcp+threads://HOST:PORT`);
            by default `FANLIGHT_URL`, or else the local broker.
        password: for the broker, if `url` has none.
        ca: for `amqps://`: file with the CA certificates (PEM) to verify the broker with.
        cert, key: for `amqps://`: files of the client certificate and its key.
        token: for `tcp+...://`: secret shared by producer and consumers, 16 characters or more.

    `password`, `ca`, `cert`, `key` and `token` default to the environment, as on the command line.

    Raises:
        ConfigError: a setting cannot be used.
    """

    def __init__(
        self,
        stream: str = ProducerSettings.stream,
        *,
        codec: str = ProducerSettings.codec,
        fps: float = DEFAULT_FPS,
        size: tuple[int, int] | None = ProducerSettings.size,
        quality: int | None = ProducerSettings.quality,
        gop_s: float = ProducerSettings.gop_s,
        max_age_s: float = ProducerSettings.max_age_s,
        payload_frames: int = ProducerSettings.payload_frames,
        max_clients: int = ProducerSettings.max_clients,
        url: str | None = None,
        password: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        token: str | None = None,
    ) -> None:
        super().__init__()
        settings = ProducerSettings.of_program(
            stream=stream,
            codec=codec,
            fps=fps,
            size=size,
            quality=quality,
            gop_s=gop_s,
            max_age_s=max_age_s,
            payload_frames=payload_frames,
            max_clients=max_clients,
            url=url,
            password=password,
            ca=ca,
            cert=cert,
            key=key,
            token=token,
        )
        self._pipeline = Pipeline(settings)
        # One that is scaled may be larger than what receivers accept.
        self._max_pixels = MAX_PIXELS if settings.size is None else MAX_SIDE**2
        self._max_age_s = settings.max_age_s
        # So that capture times are in the order of sending. Re-entrant: signal handlers may send too.
        self._sending = threading.RLock()

    @property
    def epoch(self) -> int:
        """Random number of this producer, in the header of each of its frames."""
        return self._pipeline.epoch

    @property
    def watched(self) -> bool:
        """True if the stream has a consumer, as far as is known. Without one, pictures are not encoded."""
        return self._pipeline.watched

    @property
    def failure(self) -> FanlightError | None:
        """Why it ended by itself; None while it runs and after `close`."""
        return self._pipeline.failure

    def start(self) -> Self:
        """Start the threads; returns at once. Idempotent; `send` calls it.

        Raises:
            StreamEnded: the producer was closed.
        """
        self.check_process()
        self._pipeline.start()
        return self

    def send(
        self,
        image: npt.NDArray[np.generic],
        *,
        capture_ns: SupportsIndex | None = None,
        meta: Mapping[str, JSON] | None = None,
    ) -> None:
        """Publish one picture. Never waits: a picture that is not encoded before the next one is skipped.

        Args:
            image: uint8, (height, width, 3) BGR; grey and BGRA are accepted as well. Copied.
            capture_ns: capture time (Unix) in nanoseconds, as of `time.time_ns()`; by default now. A
                picture older than `max_age_s` is dropped and counted (`stale`).
            meta: what to say about this picture, up to 2048 bytes as JSON: None, bool, int, float and str,
                and lists and dicts of them, no NumPy types. It arrives with the frame, as `Frame.meta`.

        Raises:
            EncodeError: `image` is no such array, or too large.
            ConfigError: `capture_ns` is no whole number, or no present time; `meta` is something else.
            StreamEnded: the producer was closed.
            FanlightError: the producer failed permanently, for instance because the broker refused it.
        """
        self.check_process()
        pipeline = self._pipeline
        if pipeline.failure is not None:
            raise pipeline.failure
        if pipeline.ended.is_set():
            raise StreamEnded("this producer was closed: it takes no more pictures; create another one")
        text = "" if meta is None else to_text(meta)
        with self._sending:
            now_ns = wall_ns()
            at_ns = now_ns if capture_ns is None else present_time(capture_ns, now_ns, self._max_age_s)
            picture = as_bgr(image, self._max_pixels)
            if np.may_share_memory(picture, image):
                picture = picture.copy()
            if not pipeline.started:
                pipeline.start()
            pipeline.offer(Captured(picture, at_ns, meta=text))

    def close(self) -> None:
        """Stop publishing, within 2 s. Idempotent and thread-safe, also before `start`."""
        if not self.inherited:
            self._pipeline.stop()

    def __del__(self) -> None:
        # Left without `close`: its port and connections are free for the next one.
        with contextlib.suppress(Exception):
            if not self.inherited and not sys.is_finalizing():
                self._pipeline.stop(0)

    def stop(self) -> None:
        """The old name of `close`."""
        warnings.warn("Producer.stop() is now called close()", DeprecationWarning, stacklevel=2)
        self.close()

    def stats(self) -> ProducerStats:
        """A snapshot of the statistics."""
        self.check_process()
        return self._pipeline.stats()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()
