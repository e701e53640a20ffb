"""The lowest versions that pyproject.toml allows. The highest are those of constraints.txt."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.support.timing import scaled

ROOT: Final = Path(__file__).parents[2]
# All that touches a third-party package, and a stream through a broker (without one there are no others).
TESTS: Final = (
    *("-m", "not brokerless"),
    "tests/unit/common/codec",
    "tests/unit/common/observe/test_exposition.py",
    "tests/unit/common/transport/amqp",
    "tests/unit/consumer/sinks/test_window.py",
    "tests/unit/consumer/wall",
    "tests/unit/producer/source/test_camera.py",
    "tests/integration/test_broker_link.py",
    "tests/integration/test_broker_publisher.py",
    "tests/integration/test_broker_subscriber.py",
    "tests/integration/test_pipeline.py::test_every_picture_arrives_as_it_was_sent",
)


def lowest() -> dict[str, str]:
    """By the name of the package; a bound without a version fails."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["wall"], *extras["window"]]
    found = [re.fullmatch(r"([\w-]+)>=([\d.]+)(,<\d+)?", one) for one in wanted]
    return {one[1]: one[2] for one in found if one is not None} if all(found) else {}


@pytest.mark.timeout(600)
@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11),
    reason="the lowest versions of all packages have wheels for Python 3.11",
)
def test_the_lowest_versions_that_are_allowed_work(tmp_path: Path, broker_url: str) -> None:
    wanted = lowest()
    assert {"aiohttp", "numpy", "opencv-python", "pika"} <= set(wanted)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    python = tmp_path / "bin" / "python"
    pins = [f"{name}=={version}" for name, version in wanted.items()]
    subprocess.run(
        [*pip, "--python", python, "install", "-q", "--no-deps", "--only-binary", ":all:", *pins],
        check=True,
    )
    # After that, so that pip does not see them: the tools of the tests.
    where = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    Path(where, "tools.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FANLIGHT_TEST_URL": broker_url},
        capture_output=True,
        text=True,
        timeout=scaled(250),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
