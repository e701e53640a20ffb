"""A thread of the pipeline that reports how it ended."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from fanlight.common.failure import failure
from fanlight.common.model.errors import FanlightError

_LOG = logging.getLogger(__name__)


class Worker(ABC):
    """Executes `run` on a daemon thread.

    Args:
        name: of the thread.
        on_ended: called on the thread when it ends, with the error that ended it, or None.
    """

    def __init__(self, name: str, on_ended: Callable[[FanlightError | None], None]) -> None:
        self._on_ended = on_ended
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    @abstractmethod
    def run(self) -> None:
        """The work; returns at its end, and soon after `_stopping` is set."""

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Request the end and wait for it, at most `timeout_s`."""
        self._stopping.set()
        self.join(timeout_s)

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; False if it has not ended in time."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _main(self) -> None:
        ended_by: FanlightError | None = None
        try:
            self.run()
        except Exception as error:  # noqa: BLE001 - passed to the owner
            ended_by = failure(_LOG, self._thread.name, error)
        self._on_ended(ended_by)
