"""`snapshot:FILE`: the newest picture in a file that is always whole."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.errors import SinkError
from fanlight.common.model.frame import Codec
from fanlight.common.model.pixels import Pixels, three_channels
from fanlight.consumer.sinks.base import Sink
from fanlight.consumer.sinks.files import Trouble, failed, require_suffix, unusable

if TYPE_CHECKING:
    from fanlight.consumer.frame import Frame

_INTERVAL_NS: Final = 1_000_000_000
_JPEG_QUALITY: Final = 90
_CODECS: Final = {".jpg": Codec.JPEG, ".jpeg": Codec.JPEG, ".png": Codec.PNG}
_CLOSE_TIMEOUT_S: Final = 5.0


class SnapshotSink(Sink):
    """Writes the first picture at once, then the newest at most once a second, and the last at close.

    Encoding 720p as PNG takes longer than a frame lasts, so a thread of its own does it. Two buffers go
    back and forth: `present` copies into one (the image may be shared memory), the thread
    encodes the other; a picture that was not written yet is replaced by the newer one.

    When it cannot be written (a full disk), that is said, the file stays as it is, and a later picture is
    tried a second later. If that failed to the end, the consumer ends with an error.

    Raises:
        ConfigError: FILE has another extension, or its folder cannot be written to.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._codec = _CODECS[require_suffix("snapshot", self._path, tuple(_CODECS))]
        # In the same folder, since a rename is atomic only inside one file system.
        self._scratch = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        try:
            if self._path.is_dir():
                raise IsADirectoryError("it is a folder")
            self._scratch.open("wb").close()
            self._scratch.unlink()
        except OSError as error:
            raise unusable("snapshot", self._path, error) from None
        self._changed = threading.Condition()
        self._incoming: Pixels | None = None
        self._spare: Pixels | None = None
        self._fresh = False
        self._written_ns: int | None = None
        self._closing = False
        self._failure: SinkError | None = None
        self._trouble = Trouble("snapshot", self._path)
        self._thread = threading.Thread(target=self._run, name="snapshot", daemon=True)
        self._thread.start()

    def present(self, frame: Frame) -> None:
        with self._changed:
            shape = (*frame.image.shape[:2], 3)
            if self._incoming is None or self._incoming.shape != shape:
                self._incoming = np.empty(shape, np.uint8)
            np.copyto(self._incoming, three_channels(frame.image))
            self._fresh = frame.valid  # not if this process was stopped in the middle of it
            if self._due():
                self._changed.notify()

    def tick(self) -> bool:
        with self._changed:
            self._raise_failure()
            if self._due():
                self._changed.notify()
        return True

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            raise SinkError(f"snapshot:{self._path} was not written within {_CLOSE_TIMEOUT_S:g} s")
        with self._changed:
            self._failure = self._failure or self._trouble.failure
            self._raise_failure()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _due(self) -> bool:
        late = self._written_ns is None or monotonic_ns() - self._written_ns >= _INTERVAL_NS
        return self._fresh and (late or self._closing)

    def _run(self) -> None:
        from fanlight.common import codec

        quality = _JPEG_QUALITY if self._codec is Codec.JPEG else None
        encoder = codec.encoder(self._codec, fps=1.0, gop_s=1.0, quality=quality)
        while (image := self._next()) is not None:
            try:
                self._write(encoder.encode(image, key=True).body)
                self._trouble.over()
            except OSError as error:
                self._trouble.began(error, monotonic_ns())
            except Exception as error:  # noqa: BLE001 - raised by tick() in the thread that presents
                with self._changed:
                    self._failure = failed("snapshot", self._path, error)
                return

    def _next(self) -> Pixels | None:
        """Wait for a picture that is due; None once closed and all is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._due())
            if not self._due():
                return None
            self._fresh = False
            self._written_ns = monotonic_ns()
            self._incoming, self._spare = self._spare, self._incoming
            return self._spare

    def _write(self, body: bytes) -> None:
        try:
            self._scratch.write_bytes(body)
            self._scratch.replace(self._path)
        except OSError:
            self._scratch.unlink(missing_ok=True)
            raise
