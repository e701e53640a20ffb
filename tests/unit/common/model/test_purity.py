"""`common/model` decides, and leaves sockets, threads and clocks to others."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
MODULES = sorted(path.stem for path in (ROOT / "common/model").glob("*.py") if path.stem != "__init__")

THIRD_PARTY_ALLOWED = {"numpy"}
IMPURE = {
    "asyncio", "concurrent", "datetime", "importlib", "multiprocessing", "os", "queue", "sched",
    "select", "selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "sys", "_thread",
    "threading", "time",
}  # fmt: skip

_REPORT = """
import json, sys
before = set(sys.modules)
import fanlight.common.model.{module}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def imported_by(source: str) -> Iterator[str]:
    """Top-level names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Name) and node.id == "__import__":
            yield "importlib"


def test_there_is_something_to_check() -> None:
    assert {"frame", "freshness", "sequence", "errors"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_importing_it_alone_pulls_in_nothing_but_the_contract(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _REPORT.format(module=module)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pulled: list[str] = json.loads(done.stdout)
    ours = {name for name in pulled if name.partition(".")[0] in {"fanlight", "scripts"}}
    model = {f"fanlight.common.model.{pure}" for pure in MODULES}
    assert ours <= {"fanlight", "fanlight.common", "fanlight.common.model", *model}
    roots = {name.partition(".")[0] for name in pulled} - {"fanlight"}
    assert roots - set(sys.stdlib_module_names) <= THIRD_PARTY_ALLOWED
    if not roots & THIRD_PARTY_ALLOWED:
        assert not roots & {"socket", "ssl", "asyncio", "selectors", "subprocess", "multiprocessing"}


@pytest.mark.parametrize("module", MODULES)
def test_it_names_nothing_that_waits_listens_or_reads_the_time(module: str) -> None:
    source = (ROOT / f"common/model/{module}.py").read_text()
    assert set(imported_by(source)) & IMPURE == set()


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import os.path as p",
        "from time import monotonic",
        "from datetime import datetime",
        "def f():\n    import socket",
        "if True:\n    from concurrent.futures import Future",
        "t = __import__('time')",
        "from importlib import import_module",
    ],
)
def test_the_check_finds(source: str) -> None:
    assert set(imported_by(source)) & IMPURE
