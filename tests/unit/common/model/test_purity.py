"""`common/model` decides, and leaves sockets, threads and clocks to others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
MODULES = sorted(path.stem for path in (ROOT / "common/model").glob("*.py") if path.stem != "__init__")

IMPURE = {
    "asyncio", "concurrent", "datetime", "importlib", "multiprocessing", "os", "queue", "sched",
    "select", "selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "sys", "_thread",
    "threading", "time",
}  # fmt: skip


def imported_by(source: str) -> Iterator[str]:
    """Top-level names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Name) and node.id == "__import__":
            yield "importlib"


@pytest.mark.parametrize("module", MODULES)
def test_it_names_nothing_that_waits_listens_or_reads_the_time(module: str) -> None:
    source = (ROOT / f"common/model/{module}.py").read_text()
    assert set(imported_by(source)) & IMPURE == set()


@pytest.mark.parametrize(
    "source",
    [
        "import os.path as p", "from time import monotonic", "def f():\n    import socket",
        "t = __import__('time')", "from importlib import import_module",
    ],
)  # fmt: skip
def test_the_check_finds(source: str) -> None:
    assert set(imported_by(source)) & IMPURE
