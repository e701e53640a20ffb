"""In processes of their own: what a process has loaded once, it has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import av
import pytest

from tests.support.timing import scaled

AV_LIBS = Path(av.__file__).parents[1] / "av.libs"
UNIFY = "from fanlight.common.runtime.x_libraries import unify_x_libraries as f; f()"

_CV2 = find_spec("cv2")
assert _CV2 is not None
assert _CV2.origin is not None
SHARED = {path.name for path in AV_LIBS.glob("libxcb-*")} & {
    path.name for path in Path(_CV2.origin).parents[1].glob("opencv*.libs/libxcb-*")
}
pytestmark = pytest.mark.skipif(not SHARED, reason="these wheels have no library of the same name")


def printed(*statements: str, path: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(statements)],
        env=os.environ if path is None else {**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=True,
    )
    return done.stdout.strip()


# The file that a library loaded from now on finds the function in.
_WHERE = """
import ctypes
address = ctypes.cast(ctypes.CDLL(None).xcb_shm_query_version, ctypes.c_void_p).value
for line in open("/proc/self/maps"):
    first, last = (int(end, 16) for end in line.split()[0].split("-"))
    if first <= address < last:
        print(line.split()[-1])
"""
_X_LIBRARIES = 'print(*(line.split()[-1] for line in open("/proc/self/maps") if "libxcb" in line))'


@pytest.mark.parametrize("before", ["", "import av", "import cv2", "import av, cv2", "import cv2, av"])
def test_the_copies_of_opencv_are_found_first_whatever_was_imported(before: str) -> None:
    assert re.search(
        "/opencv_[a-z_]*python.libs/libxcb-shm-", printed(before, UNIFY, "import av, cv2", _WHERE)
    )


@pytest.mark.parametrize(
    "libraries",
    [[], ["libxcb-shm-0123.so.0"], [library.name for library in AV_LIBS.glob("libxcb-*")]],
    ids=["none", "another name", "no library at all"],
)
def test_libraries_of_opencv_that_do_not_fit_are_not_loaded(tmp_path: Path, libraries: list[str]) -> None:
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text("raise AssertionError('it must not be imported')")
    folder = tmp_path / "opencv_python_headless.libs"
    folder.mkdir()
    for name in libraries:
        (folder / name).write_text("no library at all")
    if len(libraries) == 1:
        shutil.copy(next(AV_LIBS.glob("libxcb-shm-*")), folder / "libxcb-shm-4567.so")
    assert printed(UNIFY, _X_LIBRARIES, path=tmp_path) == ""


def test_it_costs_less_than_half_a_mib() -> None:
    """150 KiB where Python still has room in pages of its own, 370 where it needs others: by chance."""
    memory = (
        "def own():",
        "    lines = open('/proc/self/smaps_rollup').read().splitlines()",
        "    return sum(int(line.split()[1]) for line in lines if line.startswith('Private_Dirty'))",
    )
    growth = printed(
        "import numpy, fanlight.common.runtime.x_libraries", *memory, "a = own()", UNIFY, "print(own() - a)"
    )
    assert int(growth) <= 512, "KiB"
