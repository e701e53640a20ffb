"""The wall's command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fanlight.common.model.errors import ConfigError, FanlightError
from fanlight.common.model.units import duration_text
from fanlight.common.observe import monitored
from fanlight.common.runtime.main import command_line
from fanlight.common.runtime.memory import lean_process
from fanlight.common.runtime.settings import Operation
from fanlight.common.runtime.signals import StopSignals
from fanlight.consumer.wall.packages import wall_packages
from fanlight.consumer.wall.settings import WallSettings

if TYPE_CHECKING:
    from fanlight.common.observe.exposition import MetricSet
    from fanlight.consumer.wall.streams import Streams


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m consumer.wall`; returns the exit code."""
    lean_process()
    return command_line(
        "wall",
        "Show streams in browsers, live: a web page with all of them, each received once.",
        [WallSettings],
        argv,
        lambda load: _run(load(WallSettings), load(Operation)),
        examples=(
            "                                      # all streams of the local broker at http://localhost:8080",
            "--streams 'cam,door*' --listen :9000 --url amqp://viewer@broker.lan/fanlight",
        ),
    )


def _run(settings: WallSettings, operation: Operation) -> int | None:
    if operation.doctor:
        from fanlight.consumer.wall.doctor import examine

        return examine(settings)
    if operation.stall_s is not None:
        raise ConfigError(
            "--stall", duration_text(operation.stall_s), "the wall is healthy while it serves"
        )
    with wall_packages():
        from fanlight.consumer.wall.broker_streams import BrokerStreams
        from fanlight.consumer.wall.metrics import add_wall_metrics, wall_health
        from fanlight.consumer.wall.server import WallServer

    made: list[Streams] = []

    def make_streams(fail: Callable[[FanlightError], None]) -> Streams:
        made.append(BrokerStreams(settings, fail))
        return made[0]

    def add_metrics(metrics: MetricSet) -> None:
        if made:
            add_wall_metrics(metrics, made[0])

    server = WallServer(settings, make_streams)
    labels = {"name": settings.name}
    monitor = monitored(operation.metrics, "fanlight_wall", labels, add_metrics, lambda: wall_health(*made))
    with StopSignals(server.stop), monitor:
        server.run()
    return None
