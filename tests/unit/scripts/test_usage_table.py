"""The table of docs/programs.md: each cell has one test, and says what that test says."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

from scripts.usage_table import PAGE, SITUATIONS, THINGS, Cell, cells, written


def test_each_cell_has_one_test() -> None:
    found = Counter((cell.thing, cell.situation) for cell in cells())
    assert set(found) == set(product(THINGS, SITUATIONS))
    assert not [cell for cell, count in found.items() if count > 1]


def test_the_page_says_what_the_tests_say() -> None:
    text = PAGE.read_text()
    assert written(text) == text, "run: python -m scripts.usage_table"
    assert all(f'[{cell.says}](../{cell.file} "{cell.test}")' in text for cell in cells())


def test_marks_are_found_on_tests_only(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    marked = '@usage("A", "fork", "no")\n@usage("B", "end", "yes")\ndef test_it(): pass\n'
    (folder / "test_x.py").write_text(f"{marked}\ndef test_other(): pass\n")
    (folder / "helper.py").write_text(marked)
    file = "tests/test_x.py"
    assert list(cells(folder)) == [
        Cell("A", "fork", "no", file, "test_it"), Cell("B", "end", "yes", file, "test_it")
    ]  # fmt: skip
