"""What is said if packages of the wall are missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fanlight.common.model.errors import FanlightError
from fanlight.consumer.wall.packages import NEEDED, wall_packages
from tests.support.commands import ROOT, clean_environment
from tests.support.timing import scaled

# Python refuses to import a module whose entry is None.
_WITHOUT = (
    "import sys; sys.modules[{package!r}] = None; from {module} import main; sys.exit(main({argv!r}))"
)


@pytest.mark.parametrize("package", NEEDED)
@pytest.mark.parametrize(
    ("module", "argv"),
    [
        ("fanlight.consumer.wall.cli", ["--listen", ":8080"]),
        ("fanlight.consumer.cli", ["--sink", "web::8080"]),
    ],
)
def test_a_missing_package_is_one_clear_line(package: str, module: str, argv: list[str]) -> None:
    program = _WITHOUT.format(package=package, module=module, argv=argv)
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=scaled(30), check=False,
    )  # fmt: skip
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.endswith("serving pages needs aiohttp and segno: pip install 'fanlight[wall]'")


def test_other_missing_modules_are_no_matter_of_the_wall() -> None:
    with pytest.raises(ModuleNotFoundError), wall_packages():
        raise ModuleNotFoundError(name="numpy")
    with pytest.raises(FanlightError), wall_packages():
        raise ModuleNotFoundError(name="segno")
