"""The capture thread: keeps the newest picture ready, and brings a lost camera back."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.errors import FanlightError, SourceError
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.common.model.retry import backoff
from fanlight.producer.source.base import Captured, Source

_LOG = logging.getLogger(__name__)


class Capture:
    """Reads a source at its own pace. Nothing downstream can make it wait.

    A source that is `live` is opened again after a failure, for as long as it takes; but one that
    never gave a picture is taken for a mistake and reported by `on_failed`.
    """

    def __init__(
        self,
        source: Source,
        *,
        on_picture: Callable[[Captured], None],
        on_failed: Callable[[FanlightError], None],
        on_ended: Callable[[], None],
    ) -> None:
        self._source = source
        self._on_picture = on_picture
        self._on_failed = on_failed
        self._on_ended = on_ended
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        self._stopping.set()
        self._source.interrupt()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._capture()
        except FanlightError as error:
            self._on_failed(error)
        except Exception as error:  # noqa: BLE001 (a thread's last resort: its owner must hear of it)
            _LOG.exception("capture: internal error")
            self._on_failed(FanlightError(f"capture: internal error: {error!r}"))
        finally:
            self._source.close()
            self._on_ended()

    def _capture(self) -> None:
        # Jitter only: nothing here is a secret.
        delays = backoff(random.Random())  # noqa: S311
        complaints = RateLimiter()
        seen = False
        while not self._stopping.is_set():
            before = self._pictures
            try:
                self._source.open()
                if seen:
                    _LOG.info("source %s is back", self._source)
                self._read_all()
            except SourceError as error:
                seen = seen or self._pictures > 0
                if not (self._source.live and seen) or self._stopping.is_set():
                    raise
                if complaints.allow(monotonic_ns()) is not None:
                    _LOG.warning("%s; waiting for it to come back", error)
            else:
                return
            self._source.close()
            if self._pictures > before:
                delays = backoff(random.Random())  # noqa: S311
            self._stopping.wait(next(delays))

    _pictures = 0

    def _read_all(self) -> None:
        while not self._stopping.is_set():
            captured = self._source.read()
            if captured is None:
                if not self._stopping.is_set():
                    _LOG.info("source %s ended after %d pictures", self._source, self._pictures)
                return
            self._pictures += 1
            self._on_picture(captured)
