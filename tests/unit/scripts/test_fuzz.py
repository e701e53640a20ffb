"""The kept inputs through every target, and a short run of the fuzzer itself."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.fuzzing.target import CORPUS, ROOT, kept, telling
from scripts.fuzzing.targets import TARGETS
from tests.support.timing import scaled

pytest.importorskip("atheris")


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "fuzz.py"), *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=scaled(60), check=False
    )


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_breaks_nothing(name: str) -> None:
    inputs = [*TARGETS[name].seeds(), *kept(name)]
    run = TARGETS[name].make()
    for data in inputs:
        began_s = time.thread_time()
        run(data)
        assert time.thread_time() - began_s < 1.0, data
    assert len(inputs) >= 1


def test_every_file_that_is_kept_belongs_to_a_target() -> None:
    assert {file.stem.removesuffix("-found") for file in CORPUS.iterdir()} <= set(TARGETS)


@pytest.mark.parametrize("name", ["tcp_visitor"])
def test_a_short_run_with_new_inputs_breaks_nothing(name: str, tmp_path: Path) -> None:
    ran = fuzz("--target", name, "--seconds", "3", "--seed", "7", "--findings", str(tmp_path))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{name}: " in ran.stdout
    assert "a second" in ran.stdout


def test_an_unknown_target_is_refused_with_those_there_are() -> None:
    ran = fuzz("--target", "bogus")
    assert ran.returncode == 2
    assert "'bogus' cannot be used: allowed is amqp_table" in ran.stderr


def test_of_inputs_that_do_the_same_the_smallest_is_kept() -> None:
    run = TARGETS["segment"].make()
    seed = TARGETS["segment"].seeds()[0]
    assert telling(run, [b"aaaa", b"a", b"aaa", seed]) == [b"a", seed]
