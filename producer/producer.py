"""The API: a program hands in its own pictures."""

from __future__ import annotations

import warnings
from typing import Self

import numpy as np
import numpy.typing as npt

from fanlight.common.clock import wall_ns
from fanlight.common.codec.picture import as_bgr
from fanlight.common.model.errors import FanlightError, StreamEnded
from fanlight.common.runtime.x_libraries import unify_x_libraries
from fanlight.producer.pipeline import Pipeline
from fanlight.producer.settings import DEFAULT_FPS, ProducerSettings
from fanlight.producer.source.base import Captured
from fanlight.producer.stats import ProducerStats

unify_x_libraries()  # the program may show its pictures in a window


class Producer:
    """Publishes the pictures that a program hands in.

        with Producer(stream="cam") as out:
            out.send(image)

    Args:
        codec: `h264`, `jpeg`, `png` or `raw`.
        fps: nominal rate of `send`, for the encoder's rate control and the frames' headers.
        size: (width, height) in pixels to scale to.
        quality: in the codec's own terms (CRF, JPEG quality, PNG compression).
        gop_s: seconds between keyframes (H.264).
        max_age_s: a picture that waited longer than this for the broker is dropped.
        payload_frames: how many frames are sent as one; of `tcp+threads` only.
        url: the broker, or where to listen without one (`tcp+threads://HOST:PORT`); by default
            `FANLIGHT_URL` or else the local broker.
        password: of the broker, for a `url` without one.
        ca: of `amqps://`: a file of certificates (PEM) that may have signed the broker's.
        cert, key: of `amqps://`: files of a certificate of our own and of its key.
        token: of `tcp+...://`: what producer and consumers both know, 16 characters or more. Those of these
            five that are left out come from the environment, as on the command line.

    Raises:
        ConfigError: a setting cannot be used.
    """

    def __init__(
        self,
        *,
        stream: str = ProducerSettings.stream,
        codec: str = ProducerSettings.codec,
        fps: float = DEFAULT_FPS,
        size: tuple[int, int] | None = ProducerSettings.size,
        quality: int | None = ProducerSettings.quality,
        gop_s: float = ProducerSettings.gop_s,
        max_age_s: float = ProducerSettings.max_age_s,
        payload_frames: int = ProducerSettings.payload_frames,
        url: str | None = None,
        password: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        token: str | None = None,
    ) -> None:
        settings = ProducerSettings.of_program(
            stream=stream,
            codec=codec,
            fps=fps,
            size=size,
            quality=quality,
            gop_s=gop_s,
            max_age_s=max_age_s,
            payload_frames=payload_frames,
            url=url,
            password=password,
            ca=ca,
            cert=cert,
            key=key,
            token=token,
        )
        self._pipeline = Pipeline(settings)

    @property
    def epoch(self) -> int:
        """Drawn at random for this producer; in the header of each of its frames."""
        return self._pipeline.epoch

    @property
    def watched(self) -> bool:
        """True if anybody receives the stream, as far as is known. Unwatched pictures cost nothing."""
        return self._pipeline.watched

    @property
    def failure(self) -> FanlightError | None:
        """Why it ended by itself; None while it runs and after an orderly end."""
        return self._pipeline.failure

    def start(self) -> Self:
        """Start the threads; returns at once. Pictures are taken from now on."""
        self._pipeline.start()
        return self

    def send(self, image: npt.NDArray[np.generic], *, capture_ns: int | None = None) -> None:
        """Hand in one picture. Never waits: a picture that is overtaken by the next is skipped.

        Args:
            image: uint8, (height, width, 3) BGR; grey and BGRA are taken too. Copied.
            capture_ns: Unix time at which it was taken; by default now.

        Raises:
            EncodeError: not an image of these forms.
            StreamEnded: the producer was closed.
            FanlightError: it failed for good, for instance since the broker refused it.
        """
        if self._pipeline.failure is not None:
            raise self._pipeline.failure
        if self._pipeline.ended.is_set():
            raise StreamEnded("this producer was closed: it takes no more pictures")
        if capture_ns is None:
            capture_ns = wall_ns()
        picture = as_bgr(image)
        if np.may_share_memory(picture, image):
            picture = picture.copy()
        self._pipeline.offer(Captured(picture, capture_ns))

    def close(self) -> None:
        """End in good order within 2 s. Safe to call twice, and from any thread."""
        self._pipeline.stop()

    def stop(self) -> None:
        """The old name of `close`."""
        warnings.warn("Producer.stop() is now called close()", DeprecationWarning, stacklevel=2)
        self.close()

    def stats(self) -> ProducerStats:
        """The figures as they stand."""
        return self._pipeline.stats()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()
