"""Two cameras with a common trigger, each a stream of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from fanlight import Producer
from fanlight.common.model.pixels import Pixels


@contextmanager
def triggered(
    url: str, pictures: Sequence[tuple[str, Callable[[int], Pixels]]], fps: float
) -> Iterator[None]:
    """On air while the context is entered.

    Args:
        pictures: the streams, and what makes their pictures of the capture time (ns).
    """
    ending = threading.Event()
    with ExitStack() as stack:
        outs = [
            (stack.enter_context(Producer(stream=name, url=url, codec="raw", max_age_s=10)), picture)
            for name, picture in pictures
        ]

        def feed() -> None:
            while not ending.wait(1 / fps):
                capture_ns = time.time_ns()
                for out, picture in outs:
                    out.send(picture(capture_ns), capture_ns=capture_ns)

        thread = threading.Thread(target=feed, name="trigger")
        thread.start()
        stack.callback(thread.join)
        stack.callback(ending.set)
        yield
