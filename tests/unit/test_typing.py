"""What a type checker says about programs that use the classes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.timing import scaled

ROOT = Path(__file__).parents[2]

RIGHT = """
import numpy as np
from fanlight import Codec, ConfigError, Consumer, ConsumerStats, EncodeError, FanlightError, Frame
from fanlight import FrameHeader, Producer, ProducerStats, StreamEnded, aio, pairs

def relay(out: Producer, frame: Frame, source: Consumer) -> None:
    try: out.send(frame.image, capture_ns=np.int64(frame.capture_ns))
    except (ConfigError, EncodeError, StreamEnded) as error: raise FanlightError(error) from error
    header: FrameHeader = frame.header
    codec: Codec = header.codec
    counts: tuple[ConsumerStats, ProducerStats] = source.stats(), out.stats()
    print(codec, counts[0].presented, counts[1].published)

async def relay_pairs(out: aio.Producer) -> None:
    async with aio.Consumer(streams=["a", "b"], max_age_s=0.2, size=(64, 48)) as source:
        async for left, right in aio.pairs(source, tolerance="5ms"):
            await out.send(left.image, meta={"right": right.seq})
        frame: Frame | None = await source.read(timeout_s=1)
        print(frame, source.stats("a").presented)

def both(source: Consumer) -> list[int]:
    return [left.seq - right.seq for left, right in pairs(source, 0.01)]
"""
WRONG = """
from fanlight import aio
aio.Consumer("cam", max_age=5)
aio.Producer(stream=5)
"""


def checked(program: str, folder: Path) -> str:
    """What mypy prints."""
    path = folder / "program.py"
    path.write_text(program)
    # Without the bodies of our own functions. A cache of its own: the project's may be in use.
    flags = ("--strict", "--follow-imports=silent", "--cache-dir", ".mypy_cache/programs")
    return subprocess.run(
        [sys.executable, "-m", "mypy", *flags, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=scaled(300),
        check=False,
    ).stdout


def test_a_right_program_passes(tmp_path: Path) -> None:
    said = checked(RIGHT, tmp_path)
    assert "checked 1 source file" in said or said.startswith("Success")
    assert "program.py:" not in said


def test_the_arguments_of_the_asynchronous_classes_are_checked(tmp_path: Path) -> None:
    said = checked(WRONG, tmp_path)
    assert 'program.py:3: error: Unexpected keyword argument "max_age" for "Consumer"' in said
    assert 'program.py:4: error: Argument "stream" to "Producer" has incompatible type "int"' in said


@pytest.mark.parametrize(
    "package", ["fanlight", "fanlight.aio", "fanlight.consumer", "fanlight.producer", "common.errors"]
)
def test_a_name_that_is_not_there_fails(package: str, tmp_path: Path) -> None:
    said = checked(f"from {package} import Typo\nTypo().start()\nprint(Typo)\n", tmp_path)
    assert f'program.py:1: error: Module "{package}" has no attribute "Typo"' in said
