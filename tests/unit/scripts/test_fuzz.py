"""The kept inputs through every target, and a short run of the fuzzer itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scripts.fuzzing.meter import MOST_SECONDS
from scripts.fuzzing.target import CORPUS, kept, telling
from scripts.fuzzing.targets import TARGETS
from tests.support.commands import run_script

pytest.importorskip("atheris")


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_breaks_nothing(name: str) -> None:
    inputs = [*TARGETS[name].seeds(), *kept(name)]
    run = TARGETS[name].make()
    for data in inputs:
        began_s = time.thread_time()
        run(data)
        assert time.thread_time() - began_s < MOST_SECONDS, data
    assert len(inputs) >= 1


def test_every_file_that_is_kept_belongs_to_a_target() -> None:
    assert {file.stem.removesuffix("-found") for file in CORPUS.iterdir()} <= set(TARGETS)


def test_a_short_run_with_new_inputs_breaks_nothing(tmp_path: Path) -> None:
    flags = ("--target", "tcp_handshake", "--runs", "2000", "--seed", "7", "--findings", str(tmp_path))
    ran = run_script("scripts/fuzz.py", *flags)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("tcp_handshake: 2000 inputs in ")


def test_an_unknown_target_is_refused_with_those_there_are() -> None:
    ran = run_script("scripts/fuzz.py", "--target", "bogus")
    assert ran.returncode == 2
    assert "'bogus' cannot be used: allowed is amqp_table" in ran.stderr


def test_of_inputs_that_do_the_same_the_smallest_is_kept() -> None:
    run = TARGETS["segment"].make()
    seed = TARGETS["segment"].seeds()[0]
    assert telling(run, [b"aaaa", b"a", b"aaa", seed]) == [b"a", seed]
