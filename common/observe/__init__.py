"""How a process is watched from outside: `/metrics` for Prometheus, and `/healthz`.

`figures` says what a figure is, `exposition` writes figures for Prometheus, `server` serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from fanlight.common.observe.figures import Figure, Health

__all__ = ["Figure", "Health", "monitored"]


@contextmanager
def monitored(
    place: tuple[str, int] | None, figures: Callable[[], Iterable[Figure]], health: Callable[[], Health]
) -> Iterator[None]:
    """Serve both while it is entered; without a place, do nothing and load nothing.

    Raises:
        ListenError: it cannot listen there.
    """
    if place is None:
        yield
        return
    from fanlight.common.observe.exposition import Exposition
    from fanlight.common.observe.server import MonitorServer

    server = MonitorServer(place, metrics=Exposition(figures), health=health)
    server.start()
    try:
        yield
    finally:
        server.stop()
