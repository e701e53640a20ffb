"""The consumer's command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Event

from fanlight.common.observe import Health, monitored
from fanlight.common.runtime.credential_files import with_access
from fanlight.common.runtime.main import command_line
from fanlight.common.runtime.memory import lean_process
from fanlight.common.runtime.options import Operation
from fanlight.common.runtime.signals import StopSignals
from fanlight.consumer.settings import OPTIONS, ConsumerSettings
from fanlight.consumer.sinks import default_sinks


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m consumer`; returns the exit code."""
    lean_process()
    return command_line(
        "consumer",
        "Receive one stream through a queue of its own and present it, always fresh.",
        OPTIONS,
        argv,
        lambda values, operation: _run(ConsumerSettings(**with_access(values)), operation),
    )


def _run(settings: ConsumerSettings, operation: Operation) -> int | None:
    if operation.doctor:
        from fanlight.consumer.doctor import examine

        return examine(settings)
    stopping = Event()
    with StopSignals(stopping.set):
        specs = settings.sinks or default_sinks(os.environ)
        # Codecs and the AMQP client are imported late: --help and a bad flag answer at once.
        from fanlight.consumer.metrics import figures_of, health_of
        from fanlight.consumer.presenter import Presenter

        presenter = Presenter(settings, specs, stopping)
        reception = presenter.reception
        if operation.metrics is not None:
            reception.count_waiting()

        def health() -> Health:
            return health_of(reception, operation.stall_s)

        with monitored(operation.metrics, lambda: figures_of(settings, reception, health), health):
            presenter.run()
    return None
