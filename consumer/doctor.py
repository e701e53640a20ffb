"""`python -m consumer --doctor`: is everything there that this consumer needs?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from common.address import BrokerAddress
from common.doctor.child import ChildFailed, look_in_child
from common.doctor.finding import Check, Finding, note, ok, problem
from common.doctor.machine import machine_checks
from common.doctor.reach import producer_check
from common.doctor.run import report
from common.shell.options import Operation
from consumer.settings import ConsumerSettings

_WINDOW_S: Final = 8.0
_NO_WINDOW: Final = "--sink status, null, record:FILE and others need no display"
# Opens the window that frames would be shown in, with its notice, and closes it again.
_OPEN_WINDOW: Final = """
def look(given):
    from consumer.settings import ConsumerSettings
    from consumer.sinks.base import SinkContext
    from consumer.sinks.window import WindowSink
    sink = WindowSink(SinkContext(ConsumerSettings(name="doctor"), lambda: None))
    sink.tick()
    sink.close()
    return "a window opens"
"""


def examine(settings: ConsumerSettings, operation: Operation) -> int:
    """Look, report to stdout; the exit code: 0, or 1 if there is a problem."""
    return report("consumer", [*machine_checks(), *consumer_checks(settings)], operation.log_format)


def consumer_checks(settings: ConsumerSettings) -> list[Check]:
    """Those of a consumer alone."""
    wants_window = any(spec.kind == "window" for spec in settings.sinks)
    address = settings.access.address(settings.url)
    checks = [Check("display", _WINDOW_S + 1, lambda: _display(wants_window))]
    if isinstance(address, BrokerAddress):
        from common.fanout.broker.examination import Role, broker_checks

        checks += broker_checks(address, role=Role.CONSUMER, stream=settings.stream, name="doctor")

    needed = not isinstance(address, BrokerAddress)
    clock = producer_check(
        settings.url,
        settings.access,
        stream=settings.stream,
        max_age_s=settings.max_age_s,
        needs_producer=needed,
    )
    return [*checks, clock]


def _display(wants_window: bool) -> Iterator[Finding]:
    display = os.environ.get("DISPLAY")
    judge = problem if wants_window else note
    if not display and not os.environ.get("WAYLAND_DISPLAY"):
        yield judge("display", "there is none (DISPLAY is not set)", _NO_WINDOW)
        return
    try:
        yield ok("display", f"DISPLAY={display}: {look_in_child(_OPEN_WINDOW, {}, _WINDOW_S)}")
    except ChildFailed as error:
        yield judge("display", f"DISPLAY={display}: {error}", _NO_WINDOW)
