"""The command line of `scripts/doctor`: makes `.venv`, where it goes on with all checks."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from fanlight.common.model.errors import FanlightError
from scripts.lib.bootstrap import PYTHON, RUN, ensure_venv
from scripts.lib.instance import CHECKOUT

if TYPE_CHECKING:
    from fanlight.common.runtime.main import Load


def main() -> int:
    """Run `scripts/doctor`; the exit code, unless this process goes on in the virtual environment."""
    try:
        ensure_venv(_say, RUN)
    except (FanlightError, OSError) as error:
        _say(str(error))
        return 1
    os.chdir(CHECKOUT)
    return os.execv(PYTHON, [str(PYTHON), "-m", "scripts.lib.doctor", *sys.argv[1:]])


def examine() -> int:
    """Run all checks; the exit code."""
    from fanlight.common.runtime.main import command_line
    from fanlight.common.runtime.memory import lean_process
    from fanlight.consumer.settings import ConsumerSettings
    from fanlight.producer.settings import ProducerSettings

    lean_process()
    about = "Check whether everything is there that producers and consumers need, and say what to do."
    return command_line("doctor", about, [ProducerSettings, ConsumerSettings], None, _report)


def _report(load: Load) -> int:
    from fanlight.common.observe.doctor import report
    from fanlight.common.observe.machine_check import machine_checks
    from fanlight.consumer.doctor import consumer_checks
    from fanlight.consumer.settings import ConsumerSettings
    from fanlight.producer.doctor import producer_checks
    from fanlight.producer.settings import ProducerSettings

    checks = producer_checks(load(ProducerSettings)) | consumer_checks(load(ConsumerSettings))
    return report("doctor", machine_checks() | checks)


def _say(text: str) -> None:
    print(f"doctor: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(examine())
