"""The command line of `scripts/doctor`: makes `.venv`, where it goes on with all checks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fanlight.common.model.errors import FanlightError
from scripts.lib.bootstrap import PYTHON, ensure_venv
from scripts.lib.instance import CHECKOUT

if TYPE_CHECKING:
    from fanlight.common.runtime.options import Operation
    from fanlight.common.runtime.settings import Option


def main() -> int:
    """Run `scripts/doctor`; the exit code, unless this process goes on in the virtual environment."""
    try:
        ensure_venv(_say)
    except (FanlightError, OSError) as error:
        _say(str(error))
        return 1
    os.chdir(CHECKOUT)
    return os.execv(PYTHON, [str(PYTHON), "-m", "scripts.lib.doctor", *sys.argv[1:]])


def examine() -> int:
    """Run all checks; the exit code."""
    from fanlight.common.runtime.main import command_line
    from fanlight.common.runtime.memory import lean_process
    from fanlight.consumer.settings import OPTIONS as CONSUMER_OPTIONS
    from fanlight.producer.settings import OPTIONS as PRODUCER_OPTIONS

    lean_process()
    both = {option.name: option for option in (*PRODUCER_OPTIONS, *CONSUMER_OPTIONS)}
    about = "Check whether everything is there that producers and consumers need, and say what to do."
    return command_line("doctor", about, tuple(both.values()), None, _report)


def _report(values: Mapping[str, Any], _operation: Operation) -> int:
    from fanlight.common.observe.doctor import report
    from fanlight.common.observe.machine_check import machine_checks
    from fanlight.consumer import settings as consumer
    from fanlight.consumer.doctor import consumer_checks
    from fanlight.producer import settings as producer
    from fanlight.producer.doctor import producer_checks

    producers = producer_checks(producer.ProducerSettings(**_of(values, producer.OPTIONS)))
    consumers = consumer_checks(consumer.ConsumerSettings(**_of(values, consumer.OPTIONS)))
    return report("doctor", machine_checks() | producers | consumers)


def _of(values: Mapping[str, Any], options: Sequence[Option]) -> dict[str, Any]:
    from fanlight.common.runtime.credential_files import with_access

    return with_access({option.key: values[option.key] for option in options})


def _say(text: str) -> None:
    print(f"doctor: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(examine())
