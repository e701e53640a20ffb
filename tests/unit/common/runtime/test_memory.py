"""In processes of their own: what a process has imported once, it has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.timing import scaled

_LEAN = "import os, sys\nfrom fanlight.common.runtime.memory import lean_process\nlean_process()\n"


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _LEAN + code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("code", "unused"),
    [
        (
            "import pika, fanlight.common.transport.amqp.subscriber, fanlight.common.codec.h264\n"
            "import fanlight.consumer.presenter",
            ("cv2", "matplotlib", "simplejpeg"),
        ),
        (
            "import fanlight.consumer.metrics, fanlight.consumer.presenter, fanlight.producer.metrics\n"
            "from fanlight.common.observe import monitored\n"
            "with monitored(None, '', {}, lambda _: None, lambda: None): pass",
            ("prometheus_client", "http.server", "email"),
        ),
    ],
    ids=["without a window", "without metrics"],
)
def test_a_process_does_not_load_libraries_that_it_does_not_use(code: str, unused: tuple[str, ...]) -> None:
    assert run(f"{code}\nprint(*(name for name in {unused} if name in sys.modules))") == ""


def test_numpy_starts_no_threads() -> None:
    assert run("import numpy; print(len(os.listdir('/proc/self/task')))") == "1"


def test_a_variable_that_the_user_has_set_is_kept() -> None:
    assert run("print(os.environ['OPENBLAS_NUM_THREADS'])", OPENBLAS_NUM_THREADS="3") == "3"
