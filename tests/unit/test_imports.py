"""No circle of imports among the source files: what one is made of can be read without it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("common", "producer", "consumer")


def modules() -> dict[str, str]:
    """The source of every module, by its full name."""
    found = {}
    for file in [
        *(ROOT / "fanlight").glob("*.py"),
        *(f for name in FOLDERS for f in (ROOT / name).rglob("*.py")),
    ]:
        parts = file.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts if parts[0] == "fanlight" else ("fanlight", *parts))
        found[name.removesuffix(".__init__")] = file.read_text()
    return found


def imported(sources: Mapping[str, str], name: str) -> Iterator[str]:
    """The modules of ours that one names in an import, inside functions and for type checkers only too."""
    for node in ast.walk(ast.parse(sources[name])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in sources)
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"{name} has a relative import: write the name in full")
            for alias in node.names:
                # `from package import x`: the module x, or a name in the package itself.
                found = f"{node.module}.{alias.name}"
                yield from (
                    each for each in [found if found in sources else node.module] if each in sources
                )


def circle(sources: Mapping[str, str]) -> list[str]:
    """One circle, if there are any."""
    try:
        TopologicalSorter({name: set(imported(sources, name)) for name in sources}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle(modules()) == []


@pytest.mark.parametrize(
    "back",
    [
        "import p.a",
        "from p import a",
        "from p.a import x",
        "def f():\n    from p.a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.a import x",
    ],
)
def test_a_circle_is_found(back: str) -> None:
    sources = {"p": "", "p.a": "from p import b", "p.b": "import p.c", "p.c": back}
    assert set(circle(sources)) == {"p.a", "p.b", "p.c"}
    assert circle({**sources, "p.c": "import sys\nfrom p import __doc__"}) == []
