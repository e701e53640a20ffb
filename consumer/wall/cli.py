"""The wall's command line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fanlight.common.runtime.main import command_line
from fanlight.common.runtime.memory import lean_process
from fanlight.common.runtime.settings import Operation
from fanlight.common.runtime.signals import StopSignals
from fanlight.consumer.wall.settings import WallSettings


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
    from fanlight.consumer.wall.broker_streams import BrokerStreams
    from fanlight.consumer.wall.server import WallServer

    server = WallServer(settings, partial(BrokerStreams, settings))
    with StopSignals(server.stop):
        server.run()
    return None
