from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fanlight.common.runtime.signals import StopSignals
from tests.support.timing import scaled

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_stops_and_the_same_one_again_does_nothing(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    for _ in range(2):  # each is a new one
        stopped = threading.Event()
        with StopSignals(stopped.set):
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            assert stopped.wait(scaled(15))
        assert signal.getsignal(number) is before


TWICE = """
import os, signal, sys, threading
from fanlight.common.runtime import start
from fanlight.common.runtime.signals import StopSignals
start.prepare()
stopped = threading.Event()
with StopSignals(stopped.set):
    os.kill(os.getpid(), signal.SIGTERM)
    stopped.wait()
os.kill(os.getpid(), signal.SIGTERM)  # `timeout` signals the group too, when the first one is done with
sys.exit(7)
"""


def test_the_same_signal_after_the_orderly_end_changes_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", TWICE], cwd=ROOT, check=False, timeout=scaled(20))
    assert done.returncode == 7
