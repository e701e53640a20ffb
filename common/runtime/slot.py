"""Passes the newest item from one thread to another; putting an item never waits."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class NewestSlot(Generic[T]):
    """Thread-safe. Once closed, `take` returns the remaining item, and then None without waiting."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Replace the item. True if one is lost: the one before it, or this one if the slot is closed."""
        with self._changed:
            if self._closed:
                return True
            replaced = self._item is not None
            self._item = item
            self._changed.notify()
            return replaced

    def take(self, timeout_s: float) -> T | None:
        """Wait for an item and take it; None after the timeout, or if closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """No more items will come: end a waiting `take`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """True if no more items will come."""
        return self._closed

    @property
    def drained(self) -> bool:
        """True if it is closed and empty."""
        with self._changed:
            return self._closed and self._item is None
