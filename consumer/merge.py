"""Merges what several threads take for the calls that wait for it: the newest of each input."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
P = TypeVar("P")


class Waiter(Protocol):
    """A call that waits for an item, on a thread or an event loop."""

    def wake(self) -> bool:
        """Make it call `Merge.next` again. Thread-safe. False if it never will."""
        ...


class Input(Generic[T, P]):
    """One input of a `Merge`, filled by one thread. Guarded by the lock of the merge.

    Args:
        wake: wakes that thread. Thread-safe.
        present: makes of an item what the call gets; None to pass over it.
        on_dropped: called with an item when a newer one takes its place.

    Attributes:
        newest: the item that waits, if any.
        current: False if there may be a newer one, since its thread has not looked after it was not wanted.
        ended: True once nothing more comes.
        served: the number of the latest call that got an item of this input.
    """

    def __init__(
        self,
        wake: Callable[[], object],
        present: Callable[[T], P | None],
        on_dropped: Callable[[T], object],
    ) -> None:
        self.wake = wake
        self.present = present
        self.on_dropped = on_dropped
        self.newest: T | None = None
        self.current = self.ended = False
        self.served = 0


class Merge(Generic[T, P]):
    """At most one item of each input waits; of the inputs with one, the least recently served is next.

    A thread takes nothing while no call waits, so that nothing ages here. When a call begins to wait, each
    thread looks once for something newer than what it has already taken; until the threads of all inputs
    that are to be served first have done so, the call waits. Each change wakes the first call that is not
    awake already; one that ends wakes the next, whether it took an item, timed out or was cancelled.

    Thread-safe; a signal handler may call everything.
    """

    def __init__(self, inputs: Sequence[Input[T, P]]) -> None:
        self._inputs = inputs
        self._lock = threading.RLock()
        # In the order of their calls; True for one that was woken and has not run since.
        self._waiting: dict[Waiter, bool] = {}
        self._calls = 0

    # Called by the threads that fill the inputs.

    def wanted(self, source: Input[T, P]) -> bool:
        """Whether a call waits. If not, `source.wake` is called as soon as one does."""
        with self._lock:
            if not self._waiting:
                source.current = False
            return bool(self._waiting)

    def put(self, source: Input[T, P], item: T | None) -> None:
        """The thread has looked: this is the newest item, or None if there is no newer one."""
        with self._lock:
            if item is not None:
                if source.newest is not None:
                    source.on_dropped(source.newest)
                source.newest = item
            source.current = True
            self._wake_one()

    def end(self, source: Input[T, P]) -> None:
        """Nothing more comes; what is there is still handed on."""
        with self._lock:
            source.current = source.ended = True
            self._wake_one()

    # Called by those who wait.

    def join(self, waiter: Waiter) -> None:
        """Begin to wait; to be followed by `leave`, whatever happens."""
        with self._lock:
            self._waiting[waiter] = False
            for source in self._inputs:
                if not source.current:
                    source.wake()

    def leave(self, waiter: Waiter) -> None:
        """End waiting, with an item or without. Does nothing without `join`."""
        with self._lock:
            self._waiting.pop(waiter, None)
            self._wake_one()

    def next(self, waiter: Waiter) -> P | None:
        """The next item, as `Input.present` makes it; None to wait."""
        with self._lock:
            if waiter in self._waiting:
                self._waiting[waiter] = False
            for source in sorted(self._inputs, key=lambda each: each.served):
                if not source.current:
                    return None
                item, source.newest = source.newest, None
                if item is None:
                    continue
                source.wake()
                presented = source.present(item)
                if presented is not None:
                    self._calls += 1
                    source.served = self._calls
                    return presented
            return None

    @property
    def settled(self) -> bool:
        """Whether all threads have looked since the first call began to wait."""
        with self._lock:
            return all(source.current for source in self._inputs)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes from any input, and nothing waits."""
        with self._lock:
            return all(source.ended and source.newest is None for source in self._inputs)

    def _wake_one(self) -> None:
        for waiter in [waiter for waiter, woken in self._waiting.items() if not woken]:
            if waiter.wake():
                self._waiting[waiter] = True
                return
            del self._waiting[waiter]
