"""No picture is ever torn unnoticed, whoever is killed. `FANLIGHT_STRESS=10` checks ten times as many."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fanlight.common.shm.locks import remove_stale
from fanlight.common.shm.private_folder import ring_folder
from tests.support.commands import ROOT
from tests.support.sharing_stress import LONGEST_S, READERS
from tests.support.timing import scaled, wait_until

pytestmark = pytest.mark.brokerless

TIMES = float(os.environ.get("FANLIGHT_STRESS", "1"))
FRAMES = round(1_000_000 * TIMES)
LIMIT_S = scaled(LONGEST_S * max(1.0, TIMES))


@pytest.mark.timeout(LIMIT_S + scaled(60))
def test_no_picture_is_torn_unnoticed_while_readers_and_writers_are_killed(
    stream: str, tmp_path: Path
) -> None:
    results = tmp_path / "results.json"
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.support.sharing_stress", stream, str(FRAMES), str(LIMIT_S), results],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        assert program.wait(LIMIT_S + scaled(30)) == 0
    finally:
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
    seen: dict[str, float] = json.loads(results.read_text())

    assert seen["torn"] == 0, seen
    assert seen["undead"] == 0, "a killed writer counted as alive"
    assert seen["noticed"] > 0, "no picture was read while another one was written over it"
    assert seen["overtaken"] >= 100, seen
    assert seen["gone"] >= 100, seen
    # A machine that is too slow for all of them has checked what it could.
    assert seen["checked"] >= (FRAMES if seen["seconds"] < LIMIT_S else FRAMES / 20), seen
    assert seen["idle"] <= READERS / 5, f"readers that checked nothing: {seen}"
    assert seen["readers"] >= 20, seen
    assert seen["writers"] >= 2, seen

    with pytest.raises(ProcessLookupError):
        os.killpg(program.pid, 0)
    remove_stale()
    wait_until(lambda: not list(ring_folder().glob(f"{stream}.*")), 10, "nothing is left")
