"""`python -m consumer --doctor`; run as a child process, opens a window."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Final

from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.finding import Check, Finding, note, ok, problem
from fanlight.common.observe.doctor import report
from fanlight.common.observe.machine_check import in_child, machine_checks
from fanlight.common.observe.producer_check import ask_producer
from fanlight.consumer.settings import ConsumerSettings

_LIMIT_S: Final = 15.0


def examine(settings: ConsumerSettings) -> int:
    """Run all checks and report to stdout; the exit code is 1 if there is a problem, else 0."""
    return report("consumer", machine_checks() | consumer_checks(settings))


def consumer_checks(settings: ConsumerSettings) -> dict[str, Check]:
    """The checks specific to a consumer."""
    required = any(spec.kind == "window" for spec in settings.sinks)
    checks: dict[str, Check] = {"display": partial(_display, required)}
    address = settings.address
    if by_broker := isinstance(address, BrokerAddress):
        from fanlight.common.transport.amqp.broker_check import broker_checks

        checks |= broker_checks(address, "consumer", settings.stream)
    ask = partial(ask_producer, settings.url, settings.credentials, stream=settings.stream)
    return checks | {"producer": partial(ask, max_age_s=settings.max_age_s, required=not by_broker)}


def _display(required: bool) -> Finding:
    display = f"DISPLAY={os.environ.get('DISPLAY')}"
    try:
        return ok(f"{display}: {in_child('fanlight.consumer.doctor', {}, _LIMIT_S)}")
    except FanlightError as error:
        return (problem if required else note)(f"{display}: {error}")


def _open_window() -> None:
    """Open and close the window of `--sink window`."""
    from fanlight.consumer.sinks.base import SinkContext
    from fanlight.consumer.sinks.window import WindowSink
    from fanlight.consumer.stats import ConsumerStats

    def no_stats() -> ConsumerStats:
        raise NotImplementedError

    sink = WindowSink(SinkContext(ConsumerSettings(name="doctor"), no_stats))
    sink.tick()
    sink.close()


if __name__ == "__main__":
    _open_window()
    sys.stdout.write("a window opens")
    sys.stdout.flush()
    os._exit(0)  # threads of Qt may never end
