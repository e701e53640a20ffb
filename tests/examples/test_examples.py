"""What holds for each of the examples: short, by public names only, in the documents, and run by a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

import fanlight
from tests.support.commands import ROOT
from tests.support.examples import FOLDER

NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
MAX_LINES = 60


def imports(source: str) -> Iterator[tuple[str, str]]:
    """(module, name) of each `from module import name`, (module, "") of each `import module`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_short_and_uses_public_names_only(name: str) -> None:
    source = (FOLDER / f"{name}.py").read_text()
    assert len(source.splitlines()) < MAX_LINES
    assert ast.get_docstring(ast.parse(source)), "says what it shows, and how to start it"
    ours = {each for each in imports(source) if each[0].partition(".")[0] in ("fanlight", "common")}
    public = {("fanlight", public) for public in (*fanlight.__all__, "aio", "")} | {("fanlight.aio", "")}
    assert ours, "it shows Fanlight"
    assert ours <= public, ours - public


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_a_test_and_a_line_in_the_documents(name: str) -> None:
    assert (ROOT / "tests" / "examples" / f"test_{name}.py").is_file()
    assert f"{name}.py" in (ROOT / "docs" / "programs.md").read_text()
