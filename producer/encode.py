"""The encoding thread: takes the newest picture whenever the publisher can use one.

Pictures are dropped before they are encoded, never after: a missing H.264 frame would break every
frame that refers to it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

import av

from fanlight.common.clock import monotonic_ns
from fanlight.common.codec import encoder
from fanlight.common.codec.base import Encoded, Encoder
from fanlight.common.codec.picture import Converter, Picture, size_of
from fanlight.common.model.errors import EncodeError, FanlightError, WireFormatError
from fanlight.common.model.frame import MAX_SIDE, EncodedFrame, FrameHeader
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.common.runtime.slot import Slot
from fanlight.common.transport import Publisher
from fanlight.producer.keyframes import KeyframeGovernor
from fanlight.producer.settings import ProducerSettings
from fanlight.producer.source.base import Captured
from fanlight.producer.stats import Drop, Meters

_LOG = logging.getLogger(__name__)

_WAIT_S: Final = 0.2
# Not one picture that could be encoded for so long: a mistake, and no bad moment.
_HOPELESS_NS: Final = 3_000_000_000


class Encode:
    """Encodes while somebody watches, and hands on to the publisher.

    A picture that the codec refuses is left out and counted, and the next one is a keyframe. If not one
    could be encoded for 3 s, or until the source ended, that ends the stream.
    """

    def __init__(
        self,
        settings: ProducerSettings,
        *,
        epoch: int,
        fps: Callable[[], float],
        slot: Slot[Captured],
        publisher: Publisher,
        keyframes: KeyframeGovernor,
        meters: Meters,
        on_ended: Callable[[FanlightError | None], None],
    ) -> None:
        self._settings = settings
        self._epoch = epoch
        self._fps = fps
        self._slot = slot
        self._publisher = publisher
        self._keyframes = keyframes
        self._meters = meters
        self._on_ended = on_ended
        self._max_age_ns = int(settings.max_age_s * 1e9)
        self._converter = Converter()
        self._seq = 0
        self._refusals = _Refusals()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="encode", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        self._stopping.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        failure: FanlightError | None = None
        try:
            self._encode_all()
        except FanlightError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 (a thread's last resort: its owner must hear of it)
            _LOG.exception("encode: internal error")
            failure = FanlightError(f"encode: internal error: {error!r}")
        self._on_ended(failure)

    def _encode_all(self) -> None:
        settings = self._settings
        encode: Encoder | None = None
        while not self._stopping.is_set():
            if not self._publisher.wait_ready(_WAIT_S):
                if self._publisher.failure is not None:
                    raise self._publisher.failure
                if self._slot.drained or (self._slot.closed and not self._publisher.watched):
                    break
                continue
            captured = self._slot.take(_WAIT_S)
            if captured is None:
                if self._slot.drained:
                    break
                continue
            if monotonic_ns() - captured.captured_ns > self._max_age_ns:
                self._meters.dropped(Drop.STALE)
                continue
            if encode is None:
                encode = encoder(
                    settings.codec, fps=self._fps(), gop_s=settings.gop_s, quality=settings.quality
                )
            try:
                self._encode(encode, captured)
            except (EncodeError, WireFormatError, MemoryError, av.error.FFmpegError) as error:
                # Who knows what the encoder remembers of it: a new one starts with a keyframe.
                encode = None
                self._meters.dropped(Drop.UNENCODABLE)
                self._refusals.refused(error, monotonic_ns())
            else:
                self._refusals.encoded()
        if not self._stopping.is_set():
            self._refusals.end()

    def _encode(self, encode: Encoder, captured: Captured) -> None:
        began_ns = monotonic_ns()
        picture = self._scaled(captured.picture)
        width, height = size_of(picture)
        if max(width, height) > MAX_SIDE:
            raise EncodeError(f"a picture of {width}x{height}: allowed are {MAX_SIDE} pixels a side")
        encoded = encode.encode(picture, key=self._keyframes.due(began_ns))
        self._publish(encoded, (width, height), captured.capture_ns, monotonic_ns() - began_ns)

    def _publish(self, encoded: Encoded, size: tuple[int, int], capture_ns: int, encode_ns: int) -> None:
        header = FrameHeader(
            stream=self._settings.stream,
            codec=self._settings.codec,
            epoch=self._epoch,
            seq=self._seq,
            capture_ns=capture_ns,
            width=size[0],
            height=size[1],
            key=encoded.key,
            fps=self._fps(),
        )
        header.check_sizes(len(encoded.body))
        self._seq += 1
        self._publisher.publish(EncodedFrame(header, encoded.body))
        self._meters.published(
            len(encoded.body), key=encoded.key, encode_s=encode_ns / 1e9, now_ns=monotonic_ns()
        )

    def _scaled(self, picture: Picture) -> Picture:
        wanted = self._settings.size
        if wanted is None or size_of(picture) == wanted:
            return picture
        if isinstance(picture, av.VideoFrame):
            return self._converter.to_frame(picture, picture.format.name, wanted)
        return self._converter.to_bgr(picture, wanted)


class _Refusals:
    """Pictures that could not be encoded: told once a second, and when it is over."""

    def __init__(self) -> None:
        self._limiter = RateLimiter()
        self._since_ns: int | None = None
        self._count = 0
        self._ever_encoded = False
        self._last: FanlightError | None = None

    def refused(self, error: Exception, now_ns: int) -> None:
        """One more; `now_ns` is monotonic.

        Raises:
            FanlightError: it never was any better.
        """
        if not isinstance(error, FanlightError):
            error = EncodeError(f"a picture cannot be encoded: {error!r}")
        self._last = error
        self._count += 1
        if self._since_ns is None:
            self._since_ns = now_ns
        if not self._ever_encoded and now_ns - self._since_ns >= _HOPELESS_NS:
            raise error
        held_back = self._limiter.allow(now_ns)
        if held_back is not None:
            _LOG.warning(
                "picture left out: %s%s", error, f" (and {held_back} before it)" if held_back else ""
            )

    def encoded(self) -> None:
        """One that was taken."""
        self._ever_encoded = True
        if self._count:
            _LOG.info("pictures can be encoded again, %d were left out", self._count)
            self._count, self._since_ns = 0, None

    def end(self) -> None:
        """No more will come.

        Raises:
            FanlightError: not one could be encoded.
        """
        if self._last is not None and not self._ever_encoded:
            raise self._last
