"""The page's pure modules, tested by Node: `js/*.test.js`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.timing import scaled

ROOT = Path(__file__).parents[4]


def test_the_pages_modules_hold_their_rules(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; scripts/test installs it where it may")
    # Node 18 takes modules for such only where a package.json says so.
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for folder in ("consumer/wall/static/js", "tests/unit/consumer/wall/js"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    tests = sorted(map(str, tmp_path.glob("tests/unit/consumer/wall/js/*.test.js")))
    command = [node, "--test", *tests]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=scaled(60), cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
