"""The API for a program that detects something in frames, and publishes what it found."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from fanlight.common import transport
from fanlight.common.forked import OfOneProcess
from fanlight.common.model import units
from fanlight.common.model.errors import ConfigError, FanlightError, StreamEnded, WireFormatError
from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.meta import JSON, plain
from fanlight.common.model.result import MAX_DATA_DEPTH, Result
from fanlight.common.model.units import checked
from fanlight.common.runtime.settings import StreamSettings
from fanlight.consumer.frame import Frame

_STOP_S: Final = 1.5
# Pixels and scores are rounded to this many digits: half of the bytes, and finer than any detector.
_PIXEL_DIGITS: Final = 2
_SCORE_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class ResultsStats:
    """A snapshot; counters run since the start.

    Attributes:
        sent: results that were passed to the broker, and had a listener as far as is known.
        unheard: dropped, as nobody listened.
        unsent: dropped, as there was no connection, or it was too slow.
    """

    sent: int
    unheard: int
    unsent: int


class Results(OfOneProcess):
    """Publishes what a detector finds in the frames of a stream.

        with Results(stream="cam", name="faces") as out:
            for frame in Consumer(stream="cam", name="faces"):
                out.send(frame, boxes=detect(frame.image))

    Thread-safe. In a forked child `close` does nothing, and anything else raises `WrongProcess`.

    Args:
        stream: whose frames are examined.
        name: of this detector, as in `Consumer(results=[name])`.
        url: address of the broker; by default `FANLIGHT_URL`, or else the local broker.
        password, ca, cert, key: as for `Producer`.

    Raises:
        ConfigError: a setting cannot be used; there is no broker.
    """

    def __init__(
        self,
        stream: str = StreamSettings.stream,
        name: str = "detector",
        *,
        url: str | None = None,
        password: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__()
        settings = StreamSettings.of_program(
            stream=stream, url=url, password=password, ca=ca, cert=cert, key=key, token=None
        )
        self._stream = settings.stream
        self._name = checked("name", name, units.NAME.check)
        self._publisher = transport.results_publisher(
            settings.url, settings.credentials, stream=self._stream, name=self._name
        )
        # Re-entrant, as a signal handler may close what its thread is starting.
        self._starting = threading.RLock()
        self._started = self._closed = False

    def start(self) -> Self:
        """Connect; returns at once. Idempotent; `send` calls it.

        Raises:
            StreamEnded: it was closed.
        """
        self.check_process()
        with self._starting:
            if self._closed:
                raise StreamEnded("these results were closed: they take no more; create others")
            if not self._started:
                self._started = True
                self._publisher.start()
        return self

    def send(
        self,
        frame: Frame | FrameHeader,
        *,
        boxes: npt.ArrayLike | None = None,
        labels: Iterable[object] | None = None,
        scores: npt.ArrayLike | None = None,
        points: npt.ArrayLike | None = None,
        polygons: Iterable[npt.ArrayLike] | None = None,
        texts: Iterable[tuple[float, float, str]] | None = None,
        data: Mapping[str, JSON] | None = None,
    ) -> None:
        """Publish what was found in one frame; without any content: it was examined, nothing was found.

        Never waits: what cannot be sent at once is dropped and counted, see `stats`.

        Args:
            frame: what was examined, with coordinates in pixels of its `image`; or the header of a frame,
                with coordinates in pixels of the stream's picture. Those of a scaled I420 picture cannot be
                told: pass its header.
            boxes: (n, 4), as (x1, y1, x2, y2).
            labels: n texts or numbers.
            scores: n numbers.
            points: (n, 2), or (n, 1, 2) as of OpenCV.
            polygons: likewise each: contours of OpenCV will do.
            texts: (x, y, text) each.
            data: anything else: a mapping of JSON types.

        Raises:
            ConfigError: content of another shape or type, or too large (64 KiB as JSON).
            StreamEnded: it was closed.
            FanlightError: publishing failed permanently, for instance because the broker refused it.
        """
        self.check_process()
        if self._publisher.failure is not None:
            raise self._publisher.failure
        if not self._started or self._closed:
            self.start()
        header = frame.header if isinstance(frame, Frame) else frame
        if not isinstance(header, FrameHeader):
            raise ConfigError("frame", header, "allowed is the Frame that was examined, or its header")
        if header.stream != self._stream:
            raise ConfigError("frame", header.stream, f"allowed are frames of stream {self._stream}")
        width, height = _size_px(frame) if isinstance(frame, Frame) else (header.width, header.height)
        result = Result(
            stream=self._stream,
            name=self._name,
            epoch=header.epoch,
            seq=header.seq,
            capture_ns=header.capture_ns,
            width=width,
            height=height,
            boxes=_rows("boxes", boxes, 4),
            labels=_labels(labels),
            scores=_scores(scores),
            points=_rows("points", points, 2),
            polygons=tuple(_rows("polygons", each, 2) for each in (() if polygons is None else polygons)),
            texts=_texts(texts),
            data=plain(data or {}, "data", MAX_DATA_DEPTH, ConfigError),
        )
        try:
            body = result.scaled(header.width, header.height).to_json()
        except WireFormatError as error:
            raise ConfigError(error.field, error.value, f"allowed is {error.allowed}") from None
        self._publisher.publish(body)

    @property
    def failure(self) -> FanlightError | None:
        """Why it ended by itself; None while it runs and after `close`."""
        return self._publisher.failure

    def stats(self) -> ResultsStats:
        """A snapshot of the statistics."""
        self.check_process()
        publisher = self._publisher
        return ResultsStats(publisher.sent, publisher.unheard, publisher.unsent)

    def close(self) -> None:
        """Stop publishing, within 2 s. Idempotent and thread-safe, also before `start`."""
        if self.inherited:
            return
        with self._starting:
            self._closed = True
        self._publisher.stop(_STOP_S)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            if not self.inherited and not sys.is_finalizing():
                self._publisher.stop(0)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def _size_px(frame: Frame) -> tuple[int, int]:
    """(width, height) of the picture that a program has seen."""
    header = frame.header
    if frame.encoded_body is not None:
        return header.width, header.height
    shape = frame.image.shape
    if len(shape) == 2 and 2 * shape[0] == 3 * (header.height - header.height % 2):
        return header.width, header.height  # I420
    return shape[1], shape[0]


def _numbers(name: str, value: npt.ArrayLike) -> npt.NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(name, value, "allowed are numbers") from None


def _rows(name: str, value: npt.ArrayLike | None, columns: int) -> tuple[Any, ...]:
    if value is None:
        return ()
    array = _numbers(name, value)
    if array.size == 0:
        return ()
    if array.ndim == 3 and array.shape[1] == 1:
        array = array[:, 0]  # as of OpenCV's findContours
    if array.ndim != 2 or array.shape[1] != columns:
        raise ConfigError(name, value, f"allowed is an array of shape (n, {columns})")
    return tuple(map(tuple, array.round(_PIXEL_DIGITS).tolist()))


def _labels(value: Iterable[object] | None) -> tuple[str, ...]:
    if isinstance(value, str):  # its letters would be the labels
        raise ConfigError("labels", value, "allowed is a list, with one for each box")
    return () if value is None else tuple(map(str, value))


def _scores(value: npt.ArrayLike | None) -> tuple[float, ...]:
    return () if value is None else tuple(_numbers("scores", value).round(_SCORE_DIGITS).ravel().tolist())


def _texts(value: Iterable[Sequence[Any]] | None) -> tuple[tuple[float, float, str], ...]:
    try:
        return tuple((float(x), float(y), str(text)) for x, y, text in value or ())
    except (TypeError, ValueError):
        raise ConfigError("texts", value, "allowed are (x, y, text)") from None
