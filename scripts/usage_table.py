"""Writes the table of threads, forks, loops and ends in docs/programs.md: `python -m scripts.usage_table`.

Each cell comes from the test that shows it, where `tests/support/usage.py` marks it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "programs.md"
THINGS: Final = (
    *("VideoCapture", "Consumer", "Producer", "Frame", "Results", "ordered", "pairs"),
    *("aio.Consumer", "aio.Producer"),
)
SITUATIONS: Final = {
    "threads": "several threads",
    "fork": "in a forked child",
    "asyncio": "in a coroutine",
    "signal": "in a signal handler",
    "break": "after `break`",
    "end": "after the end",
}


class Cell(NamedTuple):
    """One cell, and the test that shows what it says."""

    thing: str
    situation: str
    says: str
    file: str
    test: str


def cells(folder: Path = ROOT / "tests") -> Iterator[Cell]:
    """Of all tests."""
    for file in sorted(folder.rglob("test_*.py")):
        source = file.read_text()
        if "@usage(" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from _marked(node, file.relative_to(folder.parent).as_posix())


def _marked(test: ast.FunctionDef | ast.AsyncFunctionDef, file: str) -> Iterator[Cell]:
    for each in test.decorator_list:
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "usage":
            thing, situation, says = map(ast.literal_eval, each.args)
            yield Cell(thing, situation, says, file, test.name)


def written(text: str) -> str:
    """The page with its table as it has to be.

    Raises:
        KeyError: a cell has no test.
    """
    found = {(cell.thing, cell.situation): cell for cell in cells()}
    rows = [["", *SITUATIONS.values()], ["---"] * (1 + len(SITUATIONS))]
    rows += [[f"`{thing}`", *(_linked(found[thing, each]) for each in SITUATIONS)] for thing in THINGS]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    whole = f"<!-- usage -->\n{table}<!-- end: usage -->"
    return re.sub("<!-- usage -->\n.*<!-- end: usage -->", lambda _: whole, text, flags=re.DOTALL)


def _linked(cell: Cell) -> str:
    return f'[{cell.says}](../{cell.file} "{cell.test}")'


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
