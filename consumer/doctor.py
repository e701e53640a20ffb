"""`python -m consumer --doctor`; as a program of its own, `in_child`, it opens the window."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Final

from common.address import BrokerAddress
from common.doctor.clock import ask_producer
from common.doctor.machine import in_child, machine_checks
from common.doctor.report import Check, Finding, note, ok, problem, report
from common.errors import FanlightError
from consumer.settings import ConsumerSettings

_LIMIT_S: Final = 8.0


def examine(settings: ConsumerSettings) -> int:
    """Check, report to stdout; the exit code: 0, or 1 if there is a problem."""
    return report("consumer", machine_checks() | consumer_checks(settings))


def consumer_checks(settings: ConsumerSettings) -> dict[str, Check]:
    """Those of a consumer alone."""
    required = any(spec.kind == "window" for spec in settings.sinks)
    checks: dict[str, Check] = {"display": partial(_display, required)}
    address = settings.access.address(settings.url)
    if by_broker := isinstance(address, BrokerAddress):
        from common.fanout.broker.check import broker_checks

        checks |= broker_checks(address, "consumer", settings.stream)
    ask = partial(ask_producer, settings.url, settings.access, stream=settings.stream)
    return checks | {"producer": partial(ask, max_age_s=settings.max_age_s, required=not by_broker)}


def _display(required: bool) -> Finding:
    display = f"DISPLAY={os.environ.get('DISPLAY')}"
    try:
        return ok(f"{display}: {in_child('consumer.doctor', {}, _LIMIT_S)}")
    except FanlightError as error:
        return (problem if required else note)(f"{display}: {error}")


def _open_window() -> None:
    """Opens the window that frames would be shown in, with its notice, and closes it again."""
    from consumer.sinks.base import SinkContext
    from consumer.sinks.window import WindowSink
    from consumer.stats import ConsumerStats

    def no_stats() -> ConsumerStats:
        raise NotImplementedError

    sink = WindowSink(SinkContext(ConsumerSettings(name="doctor"), no_stats))
    sink.tick()
    sink.close()


if __name__ == "__main__":
    _open_window()
    sys.stdout.write("a window opens")
    sys.stdout.flush()
    os._exit(0)  # Qt's threads may not end
