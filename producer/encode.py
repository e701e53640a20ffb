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

from common.clock import monotonic_ns
from common.codec import encoder
from common.codec.base import Encoded
from common.codec.picture import Converter, Picture, size_of
from common.errors import FanlightError
from common.fanout import Publisher
from common.frame import EncodedFrame, FrameHeader
from common.shell.slot import Slot
from producer.keyframes import KeyframeGovernor
from producer.settings import ProducerSettings
from producer.source.base import Captured
from producer.stats import Meters

_LOG = logging.getLogger(__name__)

_WAIT_S: Final = 0.2


class Encode:
    """Encodes while somebody watches, and hands on to the publisher."""

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
        encode = None
        while not self._stopping.is_set():
            if not self._publisher.wait_ready(_WAIT_S):
                if self._publisher.failure is not None:
                    raise self._publisher.failure
                if self._slot.drained or (self._slot.closed and not self._publisher.watched):
                    return
                continue
            captured = self._slot.take(_WAIT_S)
            if captured is None:
                if self._slot.drained:
                    return
                continue
            if monotonic_ns() - captured.captured_ns > self._max_age_ns:
                self._meters.stale()
                continue
            if encode is None:
                encode = encoder(
                    settings.codec, fps=self._fps(), gop_s=settings.gop_s, quality=settings.quality
                )
            picture = self._scaled(captured.picture)
            key = self._keyframes.due(monotonic_ns())
            self._publish(encode.encode(picture, key=key), size_of(picture), captured.capture_ns)

    def _publish(self, encoded: Encoded, size: tuple[int, int], capture_ns: int) -> None:
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
        self._meters.published(len(encoded.body), key=encoded.key, now_ns=monotonic_ns())

    def _scaled(self, picture: Picture) -> Picture:
        wanted = self._settings.size
        if wanted is None or size_of(picture) == wanted:
            return picture
        if isinstance(picture, av.VideoFrame):
            return self._converter.to_frame(picture, picture.format.name, wanted)
        return self._converter.to_bgr(picture, wanted)
