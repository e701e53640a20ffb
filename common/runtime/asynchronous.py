"""What the asynchronous `Producer` and `Consumer` share."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Generator
from typing import Any, Concatenate, ParamSpec

P = ParamSpec("P")


def with_parameters_of(
    original: Callable[P, object],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """Decorates an `__init__` that passes its arguments on to a class: it gets the signature of that."""

    def decorate(init: Callable[..., None]) -> Callable[Concatenate[Any, P], None]:
        described: Callable[..., None] = functools.wraps(original.__init__)(init)
        return described

    return decorate


class OtherTasks:
    """`await OtherTasks()` lets the other tasks of the event loop run once."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def in_thread(work: Callable[[], object], name: str) -> None:
    """Run blocking work on a thread of its own. When cancelled it ends with the work, not before."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - passed to the caller
            failed.append(error)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(done.set)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    cancelled: asyncio.CancelledError | None = None
    while not done.is_set():
        try:
            await done.wait()
        except asyncio.CancelledError as error:
            cancelled = error
    thread.join()
    if cancelled is not None:
        raise cancelled
    if failed:
        raise failed[0]
