"""docs/dependencies.md says what is pinned, and what is pinned is what runs."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "dependencies.md").read_text()
LISTED: Final = {
    name: (version, licence)
    for name, version, licence in re.findall(r"^\| ([\w-]+) \| ([\d.]+) \| ([^|]+?) \|", PAGE, re.MULTILINE)
}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().split()
    return {canonical(name): version for name, _, version in (line.partition("==") for line in lines)}


def direct() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(one for some in project["optional-dependencies"].values() for one in some),
    ]
    names = {re.split(r"[^\w-]", one)[0] for one in wanted}
    return {canonical(name) for name in names} - {"fanlight"}


def test_every_direct_dependency_is_listed_and_nothing_else() -> None:
    assert {canonical(name) for name in LISTED} == direct()


def test_every_direct_dependency_is_pinned() -> None:
    assert direct() <= set(pins())


@pytest.mark.parametrize("name", LISTED)
def test_what_is_listed_is_what_is_pinned_and_what_runs(name: str) -> None:
    version, licence = LISTED[name]
    assert pins()[canonical(name)] == version
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        assert name == "atheris", "the one that not every platform has"
        return
    assert metadata["Version"] == version
    classified = [
        one.rpartition(" :: ")[2]
        for one in metadata.get_all("Classifier") or []
        if one.startswith("License ::")
    ]
    stated = [*(metadata.get_all("License-Expression") or []), *classified]
    assert licence in stated or not stated
