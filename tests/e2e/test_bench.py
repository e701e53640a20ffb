"""The benchmark runs, on two consumers and for a moment; what its figures are is not a test's business."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from tests.support.commands import ROOT, clean_environment
from tests.support.timing import scaled


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/bench.py", *arguments],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(110),
        check=False,
    )


def test_viewers_are_measured_and_every_frame_is_accounted_for(tmp_path: Path) -> None:
    cases = ["h264", "sync", "clocks"]
    run = bench(
        "--results", str(tmp_path), "viewers", "--viewers", "2", "--seconds", "2", "--repeats", "1", *cases
    )
    assert run.returncode in (0, 1), run.stderr  # 1: a figure was missed, which a busy machine may
    assert "failed" not in run.stdout, run.stdout
    assert run.stderr == ""
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert [(row["design"], row["viewers"]) for row in rows] == [
        ("fanlight", "2"),
        ("sync", "2"),
        ("clocks", "4"),
    ]
    for row in rows:
        assert 5 <= float(row["fps_worst"]) <= 31
        assert float(row["age_p50_ms"]) > 0
        assert 0 < float(row["cores_consumers"]) < float(row["cores_total"])
        assert float(row["pss_consumer_mib"]) > 1
    assert {"cpu.png", "latency.png", "skew.png", "summary.md", "machine.json"} <= {
        file.name for file in tmp_path.iterdir()
    }


def test_an_unknown_case_is_one_line(tmp_path: Path) -> None:
    run = bench("--results", str(tmp_path), "viewers", "nonsense")
    assert run.returncode == 2
    assert run.stdout.splitlines()[-1].startswith(
        "bench: no case nonsense: there are codec, gstreamer, h264"
    )
