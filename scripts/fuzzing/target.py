"""One parser or decoder as the fuzzer sees it, and where its kept inputs are."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
CORPUS: Final = ROOT / "tests" / "corpus"
GOLDEN: Final = ROOT / "tests" / "golden"


class Broken(Exception):
    """What was read is not what it has to be."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads what others send.

    Attributes:
        make: gives the function to call with each input. It raises nothing: documented errors end in it.
        seeds: inputs to begin with.
        words: what inputs are made of, beside the bytes that are found by chance.
        max_bytes: of an input.
    """

    name: str
    make: Callable[[], Callable[[bytes], None]]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...] = ()
    max_bytes: int = 1024
    decoder: bool = False


def golden(pattern: str) -> list[bytes]:
    """The golden files of all versions that match."""
    return [path.read_bytes() for path in sorted(GOLDEN.glob(f"v*/{pattern}"))]


def kept(name: str) -> list[bytes]:
    """The kept inputs of a target: those that once broke something, and those that reach every line."""
    return _read(f"{name}-found") + _read(name)


def _read(name: str) -> list[bytes]:
    path = CORPUS / f"{name}.txt"
    return [base64.b64decode(line) for line in path.read_text().split()] if path.exists() else []


def keep(name: str, inputs: Iterable[bytes]) -> int:
    """Replace those that reach every line; how many there are. One line of the file each."""
    lines = [base64.b64encode(data).decode() for data in inputs]
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return len(lines)


def telling(run: Callable[[bytes], None], inputs: Iterable[bytes]) -> list[bytes]:
    """Of these, smallest first, each that takes a step from line to line that none before it took."""
    seen: set[tuple[object, int, int]] = set()
    found: list[bytes] = []
    steps: set[tuple[object, int, int]] = set()

    def trace(frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        code, before = frame.f_code, -1
        if not code.co_filename.startswith(str(ROOT)):
            return None

        def line(_frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
            nonlocal before
            if event == "line":
                steps.add((code, before, _frame.f_lineno))
                before = _frame.f_lineno
            return line

        return line

    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        steps.clear()
        sys.settrace(trace)
        try:
            run(data)
        finally:
            sys.settrace(None)
        if not steps <= seen:
            seen |= steps
            found.append(data)
    return found
