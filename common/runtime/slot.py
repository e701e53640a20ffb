"""A place for one thing between two threads: the newest wins, and nobody waits to put it there."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Thread-safe. Once closed, `take` gives what is left and then None at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Leave an item. True if one is lost by that: the one before it, or this one if it is closed."""
        with self._changed:
            if self._closed:
                return True
            replaced = self._item is not None
            self._item = item
            self._changed.notify()
            return replaced

    def take(self, timeout_s: float) -> T | None:
        """Wait for an item and take it; None if none came in time, or none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """No more will come: wake whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """True if no more will come."""
        return self._closed

    @property
    def drained(self) -> bool:
        """True if it is closed and empty."""
        with self._changed:
            return self._closed and self._item is None
