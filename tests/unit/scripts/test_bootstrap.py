"""What is installed into `.venv`, and when. Without installing anything: that takes a minute."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib import bootstrap
from scripts.lib.bootstrap import ALL, RUN


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The extras that were installed, one after the other; `.venv` is there, and empty."""
    extras: list[str] = []
    (tmp_path / "python").touch()
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / "python")
    monkeypatch.setattr(bootstrap, "_STAMP", tmp_path / "stamp")
    monkeypatch.setattr(bootstrap, "_run", lambda command, *_: extras.append(command[-1]))
    return extras


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([RUN, RUN], [".[camera,wall,window]"]),
        ([RUN, ALL, RUN], [".[camera,wall,window]", ".[dev]"]),
        ([ALL, RUN, ALL], [".[dev]"]),
    ],
)
def test_a_script_installs_what_it_runs_and_nothing_twice(
    installed: list[str], asked: list[str], expected: list[str]
) -> None:
    for extras in asked:
        bootstrap.ensure_venv(lambda _: None, extras)
    assert installed == expected


def test_another_pyproject_is_installed_anew(installed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap.ensure_venv(lambda _: None, RUN)
    monkeypatch.setattr(bootstrap, "_INPUTS", ("pyproject.toml",))
    bootstrap.ensure_venv(lambda _: None, RUN)
    assert len(installed) == 2
