"""In processes of their own: what a process has imported once, it has."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.timing import scaled

_LOADED = """
import sys
from fanlight.common.runtime.memory import lean_process
lean_process()
import pika, fanlight.common.transport.amqp.subscriber, fanlight.common.codec.h264
import fanlight.consumer.presenter
print(*(name for name in {names!r} if name in sys.modules))
"""


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=True,
    )
    return done.stdout.strip()


def test_a_consumer_without_a_window_loads_nothing_that_draws() -> None:
    assert run(_LOADED.format(names=("cv2", "matplotlib", "simplejpeg"))) == ""


def test_numpy_starts_no_threads() -> None:
    code = (
        "from fanlight.common.runtime.memory import lean_process\n"
        "lean_process()\n"
        "import numpy, os\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    assert run(code) == "1"


def test_a_variable_that_the_user_has_set_is_kept() -> None:
    code = (
        "from fanlight.common.runtime.memory import lean_process\n"
        "lean_process()\n"
        "import os; print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    assert run(code, OPENBLAS_NUM_THREADS="3") == "3"
