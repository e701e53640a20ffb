"""The wheel, in an environment that knows nothing of this checkout, beside files of the same names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Final

import pytest

from scripts.lib import broker_docker
from scripts.lib.ports import free_ports
from tests.support.timing import scaled

ROOT: Final = Path(__file__).parents[2]
# What a wheel is made of; it is built from a copy, since setuptools leaves its own files behind.
PARTS: Final = ("pyproject.toml", "README.md", "LICENSE", "src", "common", "producer", "consumer")
IMAGE: Final = "python:3.13-slim"  # the newest Python that has an image everywhere, and all wheels

PROGRAM: Final = """
import importlib.metadata, pathlib, sys
import numpy as np
import fanlight
from fanlight import Consumer, Producer

assert "site-packages" in fanlight.__file__ or "dist-packages" in fanlight.__file__, fanlight.__file__
assert pathlib.Path(fanlight.__file__).parents[1] == pathlib.Path(importlib.metadata.distribution(
    "fanlight").locate_file(".")), "another one is in the way"
url = "tcp+multiplex://127.0.0.1:PORT"
image = np.full((240, 320, 3), 128, np.uint8)
with Producer(url=url, codec="raw") as out, Consumer(url=url, via="broker") as watching:
    frame = None
    while frame is None:
        out.send(image)
        frame = watching.read(timeout_s=0.1)
    assert (frame.image == image).all()

import common, consumer, producer

assert (common.MINE, consumer.MINE, producer.MINE) == (1, 2, 3)
print("fine")
"""
IMPORTS: Final = """
import ast, pathlib
import fanlight

assert [getattr(fanlight, name) for name in fanlight.__all__]
for file in sorted(pathlib.Path("examples").glob("*.py")):
    tree = ast.parse(file.read_text())
    tree.body = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    exec(compile(tree, file, "exec"))
    print(file.stem)
"""
COMMANDS: Final = (
    ("fanlight-producer", "--help"),
    ("fanlight-consumer", "--help"),
    ("fanlight-wall", "--help"),
    ("python", "-m", "fanlight.producer", "--help"),
    ("python", "-m", "fanlight.consumer", "--help"),
    ("python", "-m", "fanlight.consumer.wall", "--help"),
)


def unprefixed(name: str) -> str:
    return name.removeprefix("fanlight/")


def checked(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command that has to succeed prints. Nothing in the environment leads to this checkout."""
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("FANLIGHT_", "PYTHON"))
    }
    done = subprocess.run(
        command, cwd=cwd, env=outside, capture_output=True, text=True, check=False, timeout=scaled(300)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("source")
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, copy / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, copy)
    folder = tmp_path_factory.mktemp("wheel")
    checked(sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", folder, copy)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment with the wheel and, by a path, what it depends on."""
    environment = tmp_path_factory.mktemp("environment")
    checked(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    packages = Path(checked(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    before = set(packages.iterdir())
    checked(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "-q", wheel)
    added = {path.name for path in set(packages.iterdir()) - before}
    assert added == {"fanlight", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    # The .pth file of an editable Fanlight there has no effect: only those of this environment are read.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python.parent


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A user's folder with a program, and modules of the names that a checkout has."""
    (tmp_path / "common").mkdir()
    for at, file in enumerate(("common/__init__.py", "consumer.py", "producer.py"), start=1):
        (tmp_path / file).write_text(f"MINE = {at}\n")
    (tmp_path / "program.py").write_text(PROGRAM.replace("PORT", str(free_ports(1)[0])))
    return tmp_path


def test_a_wheel_brings_one_name_and_each_module_once(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"fanlight"}
    modules = {unprefixed(name) for name in names if name.endswith(".py")}
    folders = ("common", "producer", "consumer")
    in_checkout = {
        path.relative_to(ROOT).as_posix() for each in folders for path in (ROOT / each).rglob("*.py")
    }
    assert modules == in_checkout | {path.name for path in (ROOT / "src" / "fanlight").glob("*.py")}
    assert "fanlight/py.typed" in names
    static = ROOT / "consumer" / "wall" / "static"
    page = {path.relative_to(ROOT).as_posix() for path in static.rglob("*") if path.is_file()}
    assert page == {name for name in map(unprefixed, names) if name.startswith("consumer/wall/static/")}
    assert "consumer/wall/static/index.html" in page


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_are_found_beside_files_of_the_same_names(
    scripts: Path, beside: Path, command: tuple[str, ...]
) -> None:
    program, *arguments = command
    assert checked(scripts / program, *arguments, cwd=beside).startswith("usage: ")


def test_a_program_and_the_library_do_not_get_in_each_others_way(scripts: Path, beside: Path) -> None:
    assert checked(scripts / "python", "program.py", cwd=beside) == "fine\n"


def test_a_program_imports_every_public_name_and_what_examples_import(scripts: Path, beside: Path) -> None:
    shutil.copytree(ROOT / "examples", beside / "examples")
    (beside / "imports.py").write_text(IMPORTS)
    names = sorted(file.stem for file in (ROOT / "examples").glob("*.py"))
    assert checked(scripts / "python", "imports.py", cwd=beside).split() == names


@pytest.mark.docker
def test_all_of_it_under_the_newest_python_with_wheels_of_all_dependencies(
    wheel: Path, beside: Path
) -> None:
    problem = broker_docker.missing()
    if problem is not None:
        pytest.skip(problem)
    shutil.copy(wheel, beside)
    shutil.copy(ROOT / "constraints.txt", beside)
    commands = " && ".join(f"{' '.join(command)} >help" for command in COMMANDS)
    script = (
        f"cd /beside && pip install -q --only-binary :all: -c constraints.txt ./{wheel.name} 2>&1"
        f" && {commands} && python -W error program.py"
    )
    command = ["docker", "run", "--rm", "-v", f"{beside}:/beside", IMAGE, "sh", "-c", script]
    assert checked(*command).splitlines()[-1] == "fine"


MISSING: Final = (
    r"consumer: window cannot be opened: (\S+) is missing: apt-get install (.+) \(names of .*status"
)


@pytest.mark.docker
def test_on_a_slim_image_a_window_names_all_that_it_needs(wheel: Path, tmp_path: Path) -> None:
    problem = broker_docker.missing()
    if problem is not None:
        pytest.skip(problem)
    shutil.copy(wheel, tmp_path)
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    window = "DISPLAY=:7654 fanlight-consumer --sink window 2>&1 | tee said"
    packages = r"sed 's/.*apt-get install \(.*\) (names.*/\1/' said"
    script = (
        f"cd /beside && pip install -q --only-binary :all: -c constraints.txt ./{wheel.name} >&2; {window}"
        f"; pip install -q --only-binary :all: -c constraints.txt './{wheel.name}[window]' >&2; {window}"
        f"; (apt-get update; apt-get install -y --no-install-recommends $({packages})) >&2; {window}"
    )
    said = checked(
        "docker", "run", "--rm", "-v", f"{tmp_path}:/beside", IMAGE, "sh", "-c", script
    ).splitlines()
    assert len(said) == 3, said
    assert said[0].startswith("consumer: window cannot be opened: OpenCV is not installed: pip install ")
    assert re.fullmatch(MISSING, said[1]), said[1]
    assert "no X server answers at DISPLAY=:7654" in said[2]
