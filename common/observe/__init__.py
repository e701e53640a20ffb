"""Monitoring over HTTP (`/metrics` for Prometheus, `/healthz`) and the checks of `--doctor`.

`exposition` collects and formats metrics, `health` is the result of a health check, `server` serves both.
The other modules are for `--doctor`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fanlight.common.observe.health import Health

if TYPE_CHECKING:
    from fanlight.common.observe.exposition import MetricSet

__all__ = ["Health", "monitored"]


@contextmanager
def monitored(
    address: tuple[str, int] | None,
    prefix: str,
    labels: Mapping[str, str],
    add_metrics: Callable[[MetricSet], None],
    health: Callable[[], Health],
) -> Iterator[None]:
    """Serve both while it is entered; without an address, do nothing and load nothing.

    Args:
        prefix, labels: of all metrics.
        add_metrics, health: called at every request, in threads of the server.

    Raises:
        ListenError: it cannot listen there.
    """
    if address is None:
        yield
        return
    from fanlight.common.observe.exposition import Exposition
    from fanlight.common.observe.server import MonitorServer

    server = MonitorServer(address, metrics=Exposition(prefix, labels, add_metrics), health=health)
    server.start()
    try:
        yield
    finally:
        server.stop()
