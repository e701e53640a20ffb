"""What `scripts/test` shows of the steps that it runs."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import pytest

from fanlight.common.model.errors import FanlightError
from scripts.lib.steps import Steps


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(tmp_path, os.environ)


def test_steps_side_by_side_are_all_in_the_summary(
    steps: Steps, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {"good": "....  [100%]\n2 passed in 0.1s", "bad": ".F  [100%]\n1 failed in 0.1s"}
    jobs = [
        partial(steps.run, name, sys.executable, "-c", f"print({text!r}); raise SystemExit({code})")
        for (name, text), code in zip(outputs.items(), (0, 1), strict=True)
    ]
    steps.side_by_side(jobs, 2)
    with steps.step("python"):
        _fail()
    shown = capsys.readouterr().out
    assert "....  [100%]" not in shown, "progress of what passed"
    assert ".F  [100%]" in shown
    assert "no broker" in shown
    assert steps.failed == ["bad", "python"]
    summary = steps.summary().splitlines()
    assert sorted(line.split()[0] for line in summary[2:-1]) == ["FAILED", "FAILED", "ok"]
    assert any(line.endswith("good    2 passed in 0.1s") for line in summary)
    assert summary[-1].startswith("FAILED: bad, python, in ")


def test_nothing_is_started_after_an_interruption(steps: Steps) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    late = partial(steps.run, "late", sys.executable, "-c", "")
    with pytest.raises(KeyboardInterrupt):
        steps.side_by_side([interrupted, late], 1)
    assert steps.run("later", sys.executable, "-c", "") is None


def _fail() -> None:
    raise FanlightError("no broker")
