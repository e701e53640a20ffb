"""The consumer's command line."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from threading import Event
from typing import TYPE_CHECKING

from fanlight.common.clock import monotonic_ns
from fanlight.common.observe import Health, monitored
from fanlight.common.runtime.main import command_line
from fanlight.common.runtime.memory import lean_process
from fanlight.common.runtime.settings import Operation
from fanlight.common.runtime.signals import StopSignals
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.sinks import default_sinks

if TYPE_CHECKING:
    from fanlight.common.observe.exposition import MetricSet


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m consumer`; returns the exit code."""
    lean_process()
    return command_line(
        "consumer",
        "Receive one stream through a queue of its own and present it, always fresh.",
        [ConsumerSettings],
        argv,
        lambda load: _run(load(ConsumerSettings), load(Operation)),
        examples=(
            "--name c1                             # a window, or a status line, from the local broker",
            "--list                                # which streams are live",
            "--sink record:wall.mkv --url amqp://viewer@broker.lan/fanlight --password-file FILE",
        ),
    )


def _run(settings: ConsumerSettings, operation: Operation) -> int | None:
    if operation.doctor:
        from fanlight.consumer.doctor import examine

        return examine(settings)
    if settings.list_streams:
        from fanlight.consumer.directory import print_streams

        logging.getLogger("fanlight.common.transport").setLevel(logging.WARNING)
        print_streams(settings)
        return None
    stopping = Event()
    with StopSignals(stopping.set):
        specs = settings.sinks or default_sinks(os.environ)
        # Codecs and the AMQP client are imported late: --help and a bad flag answer at once.
        from fanlight.consumer.metrics import add_consumer_metrics, consumer_health
        from fanlight.consumer.presenter import Presenter

        presenter = Presenter(settings, specs, stopping)
        reception = presenter.reception
        if operation.metrics is not None:
            reception.count_waiting()

        def health() -> Health:
            now_ns = monotonic_ns()
            current = reception.counters.metrics(now_ns)
            return consumer_health(current, now_ns, operation.stall_s or current.stall_s)

        def add_metrics(metrics: MetricSet) -> None:
            waiting = {"broker": reception.waiting, "process": reception.queued}
            add_consumer_metrics(
                metrics,
                reception.counters.metrics(monotonic_ns()),
                waiting,
                max_age_s=settings.max_age_s,
                healthy=health().ok,
            )

        labels = {"stream": settings.stream, "name": settings.name}
        with monitored(operation.metrics, "fanlight_consumer", labels, add_metrics, health):
            presenter.run()
    return None
