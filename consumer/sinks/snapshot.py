"""`snapshot:FILE`: the newest picture in a file that is replaced atomically."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.frame import Codec
from fanlight.common.model.pixels import Pixels, three_channels
from fanlight.common.runtime.slot import NewestSlot
from fanlight.consumer.sinks.base import Sink
from fanlight.consumer.sinks.files import FileThread, WriteRetry, require_suffix, unusable

if TYPE_CHECKING:
    from fanlight.consumer.frame import Frame

_INTERVAL_S: Final = 1.0
_FOR_EVER_S: Final = 3600.0
_JPEG_QUALITY: Final = 90
_CODECS: Final = {".jpg": Codec.JPEG, ".jpeg": Codec.JPEG, ".png": Codec.PNG}


class SnapshotSink(Sink):
    """Writes the first picture at once, then the newest at most once a second, and the last one at close.

    Encoding 720p as PNG takes longer than a frame interval, so it has a thread of its own. Pictures are
    copied, since they may be shared memory.

    If writing fails (a full disk), a warning is logged, the file is not changed, and a later picture is
    written after a second. If it fails until the end, the consumer ends with an error.

    Raises:
        ConfigError: FILE has another extension, or its folder cannot be written to.
    """

    def __init__(self, path: str, interval_s: float = _INTERVAL_S) -> None:
        self._path = Path(path)
        self._codec = _CODECS[require_suffix("snapshot", self._path, tuple(_CODECS))]
        # In the same folder, since renaming is atomic only within a file system.
        self._scratch = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        try:
            if self._path.is_dir():
                raise IsADirectoryError("it is a folder")
            self._scratch.open("wb").close()
            self._scratch.unlink()
        except OSError as error:
            raise unusable("snapshot", self._path, error) from None
        self._interval_s = interval_s
        self._newest: NewestSlot[Pixels] = NewestSlot()
        self._closing = threading.Event()
        self._retry = WriteRetry("snapshot", self._path)
        self._thread = FileThread("snapshot", self._path, self._run, self._stop)

    def present(self, frame: Frame) -> None:
        image = np.empty((*frame.image.shape[:2], 3), np.uint8)
        np.copyto(image, three_channels(frame.image))
        if frame.valid:  # False if this process was suspended during the copy
            self._newest.put(image)

    def tick(self) -> bool:
        self._thread.check()
        return True

    def close(self) -> None:
        self._thread.close()

    def _stop(self) -> None:
        self._newest.close()
        self._closing.set()

    def _run(self) -> None:
        from fanlight.common import codec

        quality = _JPEG_QUALITY if self._codec is Codec.JPEG else None
        encoder = codec.encoder(self._codec, fps=1.0, gop_s=1.0, quality=quality)
        while not self._newest.drained:
            image = self._newest.take(_FOR_EVER_S)
            if image is None:
                continue
            try:
                self._write(encoder.encode(image, key=True).body)
                self._retry.succeeded()
            except OSError as error:
                self._retry.failed(error, monotonic_ns())
            self._closing.wait(self._interval_s)
        if (failure := self._retry.failure) is not None:
            raise failure

    def _write(self, body: bytes) -> None:
        try:
            self._scratch.write_bytes(body)
            self._scratch.replace(self._path)
        except OSError:
            self._scratch.unlink(missing_ok=True)
            raise
