"""`scripts/doctor`, in its virtual environment: the checks of a producer and of a consumer together.

python -m scripts.lib.examination [--stream NAME] [--url URL] [--source SOURCE] ...
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from common.doctor.finding import Check
from common.doctor.machine import machine_checks
from common.doctor.run import report
from common.settings import Option
from common.shell.access import with_access
from common.shell.lean import lean_process
from common.shell.main import command_line
from common.shell.options import Operation
from consumer.doctor import consumer_checks
from consumer.settings import OPTIONS as CONSUMER_OPTIONS
from consumer.settings import ConsumerSettings
from producer.doctor import producer_checks
from producer.settings import OPTIONS as PRODUCER_OPTIONS
from producer.settings import ProducerSettings


def main(argv: Sequence[str] | None = None) -> int:
    """Run all checks; returns the exit code."""
    lean_process()
    both = {option.name: option for option in (*PRODUCER_OPTIONS, *CONSUMER_OPTIONS)}
    return command_line(
        "doctor",
        "Look whether everything is there that producers and consumers need, and say what to do.",
        tuple(both.values()),
        argv,
        _examine,
    )


def _examine(values: Mapping[str, Any], operation: Operation) -> int:
    producer = ProducerSettings(**with_access(_of(values, PRODUCER_OPTIONS)))
    consumer = ConsumerSettings(**with_access(_of(values, CONSUMER_OPTIONS)))
    checks: dict[str, Check] = {}
    for check in (*machine_checks(), *producer_checks(producer), *consumer_checks(consumer)):
        checks.setdefault(check.title, check)
    return report("doctor", list(checks.values()), operation.log_format)


def _of(values: Mapping[str, Any], options: Sequence[Option]) -> dict[str, Any]:
    return {option.key: values[option.key] for option in options}


if __name__ == "__main__":
    sys.exit(main())
