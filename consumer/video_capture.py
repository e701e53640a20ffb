"""A drop-in for `cv2.VideoCapture` that never has a backlog. Needs no OpenCV."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Concatenate, Final, ParamSpec, Self, cast

import numpy as np

from fanlight.common.forked import OfOneProcess
from fanlight.common.model.errors import ConfigError, FanlightError, StreamEnded
from fanlight.common.model.frame import Codec
from fanlight.common.model.pixels import Pixels
from fanlight.consumer.consumer import Consumer
from fanlight.consumer.frame import Frame

_LOG: Final = logging.getLogger(__name__)


class Property(IntEnum):
    """The numbers of OpenCV's `CAP_PROP_...` that have a meaning here."""

    POS_MSEC = 0
    POS_FRAMES = 1
    FRAME_WIDTH = 3
    FRAME_HEIGHT = 4
    FPS = 5
    FOURCC = 6
    CONVERT_RGB = 16
    BUFFERSIZE = 38
    OPEN_TIMEOUT_MSEC = 53
    READ_TIMEOUT_MSEC = 54


# OpenCV's own, for streams.
_TIMEOUT_MSEC: Final = 30_000.0
_FOURCC: Final = {Codec.H264: b"avc1", Codec.JPEG: b"MJPG", Codec.PNG: b"png ", Codec.RAW: b"BGR3"}

# OpenCV's type annotations do not mention it either: programs check what comes before it.
_NO_IMAGE: Final = cast("Pixels", None)

_P = ParamSpec("_P")


def _arguments_of(
    _consumer: Callable[Concatenate[Consumer, _P], None],
) -> Callable[[Callable[..., None]], Callable[Concatenate[VideoCapture, _P], None]]:
    """For type checkers: the method has the arguments of the other one."""
    return lambda method: method


class VideoCapture(OfOneProcess):
    """`cv2.VideoCapture` for a stream: change the line that opens it, and the program stays as it is.

        capture = fanlight.VideoCapture("cam")
        while capture.isOpened():
            found, image = capture.read()
            if not found:
                break
            detect(image)

    `read` and `grab` take the newest frame, or wait for the next one: a program that is slower than the
    stream skips frames, and no backlog builds up. Images are the program's own and writable, uint8,
    (height, width, 3), BGR. The end of the stream ends the capture, as that of a file does.

    The constructor returns at once. Whatever needs a frame (`isOpened`, `get`, `grab`, `read`) waits for
    the first one, up to `CAP_PROP_OPEN_TIMEOUT_MSEC`, for a later one up to `CAP_PROP_READ_TIMEOUT_MSEC`;
    both are 30 s by default, as in OpenCV. What went wrong is logged; see `setExceptionMode`.

    Thread-safe, but for `grab` and `retrieve`, which belong to one thread. In a forked child `release` does
    nothing, and what needs a frame raises `WrongProcess`. Signal handlers may `release`.

    The arguments are those of `Consumer`, but `until_end` is True by default. Without any it is closed, for
    `open`. OpenCV's own, `apiPreference` and `params`, mean nothing here.

    Raises:
        ConfigError: a setting cannot be used.
    """

    @_arguments_of(Consumer.__init__)
    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__()
        self._arguments, self._keywords = _of_consumer(arguments, {"until_end": True, **keywords})
        self._timeouts_ms = dict.fromkeys(
            (Property.OPEN_TIMEOUT_MSEC, Property.READ_TIMEOUT_MSEC), _TIMEOUT_MSEC
        )
        self._error: FanlightError | None = None
        self._wanted_px: dict[int, int] = {}
        self._raises = False
        self._opening = threading.RLock()
        self._consumer: Consumer | None = None
        self._first: Frame | None = None
        # The first frame and its time of arrival, until it is taken.
        self._untaken: tuple[Frame, float] | None = None
        self._grabbed: Frame | None = None
        if self._arguments or len(self._keywords) > 1:
            self._start()

    def open(self, *arguments: Any, **keywords: Any) -> bool:
        """Open this stream, or the same one again; the arguments are those of the constructor.

        Those that are not given stay as they were.
        """
        self.release()
        given, self._keywords = _of_consumer(arguments, self._keywords | keywords)
        self._arguments = given or self._arguments
        self._start()
        return self.isOpened()

    def isOpened(self) -> bool:  # noqa: N802 - here and below: OpenCV's names
        """Whether the stream is there. Waits for its first frame; False once it has ended."""
        return self._opened() is not None and self._consumer is not None

    def grab(self) -> bool:
        """Take the newest frame, for `retrieve`. False if none came in time, or none will come."""
        self._grabbed = self._next()
        return self._grabbed is not None

    def retrieve(self, image: Pixels | None = None, flag: int = 0) -> tuple[bool, Pixels]:
        """The image of the frame that was grabbed; (False, None) without one.

        Args:
            image: is filled and returned if it has the right shape and type.
            flag: without a meaning here.
        """
        return _image(self._grabbed, image)

    def read(self, image: Pixels | None = None) -> tuple[bool, Pixels]:
        """`grab` and `retrieve`: (True, image), or (False, None) if none came in time, or none will come.

        Args:
            image: is filled and returned if it has the right shape and type.
        """
        self._grabbed = frame = self._next()
        return _image(frame, image)

    def get(self, propId: int) -> float:  # noqa: N803
        """A property, by the number of OpenCV's `CAP_PROP_...`; 0 for one without a meaning here.

        FRAME_WIDTH, FRAME_HEIGHT, FPS, FOURCC (the codec's) and CONVERT_RGB are those of the frame that was
        grabbed last, or else of the first one; POS_MSEC is its capture time, and POS_FRAMES the number of
        frames until then, both since the first one. BUFFERSIZE is 1.

        Args:
            propId: the number.
        """
        if propId in self._timeouts_ms:
            return self._timeouts_ms[Property(propId)]
        if propId == Property.BUFFERSIZE:
            return 1.0
        first = self._opened()
        if first is None:
            return 0.0
        frame = self._grabbed or first
        match propId:
            case Property.POS_MSEC:
                return (frame.capture_ns - first.capture_ns) / 1e6
            case Property.POS_FRAMES:
                return 0.0 if self._grabbed is None else float(frame.seq - first.seq + 1)
            case Property.FRAME_WIDTH:
                return float(frame.image.shape[1])
            case Property.FRAME_HEIGHT:
                return float(frame.image.shape[0])
            case Property.FPS:
                return frame.header.fps
            case Property.FOURCC:
                return float(int.from_bytes(_FOURCC[frame.header.codec], "little"))
            case Property.CONVERT_RGB:
                return float(frame.image.ndim == 3)
        return 0.0

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        """Change a property; False if that is not possible.

        FRAME_WIDTH and FRAME_HEIGHT, once both are set, scale the pictures, like `size` of a `Consumer`:
        the camera belongs to the producer. The two timeouts, in milliseconds, may be any from 0.

        Args:
            propId: the number of the property.
            value: in pixels or milliseconds.
        """
        if not math.isfinite(value):
            return False
        if propId in self._timeouts_ms and value >= 0:
            self._timeouts_ms[Property(propId)] = float(value)
            return True
        if propId in (Property.FRAME_WIDTH, Property.FRAME_HEIGHT) and value >= 1:
            wanted_px = self._wanted_px | {propId: int(value)}
            if len(wanted_px) == 2 and not self._resize(*(wanted_px[side] for side in sorted(wanted_px))):
                return False
            self._wanted_px = wanted_px
            return True
        return propId == Property.BUFFERSIZE and value == 1

    def getBackendName(self) -> str:  # noqa: N802
        """`FANLIGHT`."""
        return "FANLIGHT"

    def setExceptionMode(self, enable: bool) -> None:  # noqa: N802
        """Whether to raise a `FanlightError` where otherwise False is returned, and the reason logged.

        Args:
            enable: True to raise; False is the default.
        """
        self._raises = enable

    def getExceptionMode(self) -> bool:  # noqa: N802
        """See `setExceptionMode`."""
        return self._raises

    def release(self) -> None:
        """Close, within 2 s. Idempotent and thread-safe."""
        self._close()
        self._first = self._untaken = self._grabbed = None
        self._error = StreamEnded("this capture was released")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _start(self) -> None:
        if not self._keywords.get("decode", True):
            raise ConfigError("decode", False, "a VideoCapture has pictures: allowed is True; see Consumer")
        self._error = None
        self._consumer = Consumer(*self._arguments, **self._keywords).start()

    def _resize(self, width: int, height: int) -> bool:
        if self._keywords.get("size") != (width, height):
            keywords = self._keywords | {"size": (width, height)}
            try:
                Consumer(*self._arguments, **keywords)
            except ConfigError:
                return False
            self._keywords = keywords
            if self._consumer is not None:
                self.release()
                self._start()
        return True

    def _opened(self) -> Frame | None:
        """The first frame, once there is one; None if it does not come in time."""
        self.check_process()
        with self._opening:
            consumer = self._consumer
            if self._first is None and consumer is not None:
                frame = self._read(self._timeouts_ms[Property.OPEN_TIMEOUT_MSEC] / 1000)
                if frame is not None:
                    self._first, self._untaken = frame, (frame, time.monotonic())
                elif consumer is self._consumer:  # still open: the time is over
                    self._end(self._no_frame(Property.OPEN_TIMEOUT_MSEC))
            return self._first

    def _next(self) -> Frame | None:
        self._opened()
        with self._opening:
            untaken, self._untaken = self._untaken, None
        consumer, frame = self._consumer, None
        if untaken is not None and consumer is not None:
            frame = self._read(0) or _still_fresh(*untaken, consumer.max_age_s)
        frame = frame or self._read(self._timeouts_ms[Property.READ_TIMEOUT_MSEC] / 1000)
        if frame is None and self._raises:
            raise self._error or self._no_frame(Property.READ_TIMEOUT_MSEC)
        return frame

    def _read(self, timeout_s: float) -> Frame | None:
        consumer = self._consumer
        if consumer is None:
            return None
        try:
            return consumer.read(timeout_s)
        except FanlightError as error:
            if not consumer.ended:  # it is the call that is wrong, as in a signal handler
                raise
            if consumer is self._consumer:  # else it was released meanwhile
                self._end(error)
            return None

    def _end(self, error: FanlightError) -> None:
        if not isinstance(error, StreamEnded):
            _LOG.warning("%s", error)
        self._error = error
        self._close()

    def _no_frame(self, limit: Property) -> FanlightError:
        seconds = self._timeouts_ms[limit] / 1000
        return FanlightError(f"no frame came within {seconds:g} s; is a producer running?")

    def _close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()


def _of_consumer(
    arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments without those that only OpenCV has, by position or by name."""
    if len(arguments) in (2, 3) and isinstance(arguments[1], int):
        arguments = arguments[:1]
    return arguments, {name: keywords[name] for name in keywords.keys() - {"apiPreference", "params"}}


def _still_fresh(frame: Frame, came_s: float, max_age_s: float) -> Frame | None:
    return frame if frame.age_s + time.monotonic() - came_s <= max_age_s else None


def _image(frame: Frame | None, into: Pixels | None) -> tuple[bool, Pixels]:
    """The program's own copy of the pixels."""
    if frame is None:
        return False, _NO_IMAGE
    pixels = frame.image
    if into is not None and into.shape == pixels.shape and into.dtype == pixels.dtype:
        np.copyto(into, pixels)
    else:
        into = np.array(pixels)
    return (True, into) if frame.valid else (False, _NO_IMAGE)
